"""Loads and runs damaged models, in a process of its own: python worker.py MODELS FIRST COUNT MEGABYTES SECONDS.

Prints a line of JSON a case before it and one after it. A case that takes too long ends the process, with every thread's stack on stderr.
"""

from __future__ import annotations

import faulthandler
import json
import pickle
import resource
import shutil
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

import numpy as np
from model_mutations import CHANGES as MODEL_CHANGES
from mutations import ALONE, MANIFEST, Files, Mutator, protobuf_of
from mutations import STRUCTURED as PROGRAM_CHANGES

from mlpipe.errors import MlpipeError
from mlpipe.model_files.protobuf import model_pb2
from mlpipe.runtime import load_model

REFERENCES = {"Double": lambda x, times=2.0, **_others: x * times, "Own": lambda inputs, times=2.0: {"y": np.multiply(inputs["x"], times)}}
"""What stands in for the classes of custom layers and models."""

KIB = 1024 if sys.platform == "darwin" else 1
"""What `ru_maxrss` counts in, over 1024 bytes."""


def main() -> None:
    """Run the cases."""
    folder, first, count = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    megabytes, seconds = int(sys.argv[4]), float(sys.argv[5])
    paths = {path.stem: path for path in sorted(folder.glob("*.ml*"))}
    bases = {name: _files(path) for name, path in paths.items()}
    feeds = {name: pickle.loads((folder / f"{name}.pickle").read_bytes()) for name in paths}
    names = sorted(bases)
    for name in names:  # everything is imported, and every kernel built once, before the limit is set
        model = load_model(paths[name], custom_layers=REFERENCES)
        model.predict(feeds[name], state=model.make_state() if model.states else None)
    if sys.platform == "linux":
        limit = _virtual_bytes() + (megabytes << 20)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    for seed in range(first, first + count):
        name = names[seed % len(names)]
        mutator = Mutator(seed)
        changes = PROGRAM_CHANGES if MANIFEST in bases[name] else MODEL_CHANGES
        files = mutator.damage(bases[name], changes)
        print(json.dumps({"seed": seed, "base": name, "said": mutator.said}), flush=True)
        faulthandler.dump_traceback_later(seconds, exit=True)
        outcome = _run(files, feeds[name], "float16" if seed % 5 == 0 else "float32")
        faulthandler.cancel_dump_traceback_later()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // KIB // 1024
        print(json.dumps({"seed": seed, "parses": _parses(files[protobuf_of(files)]), "peak_megabytes": peak, **outcome}), flush=True)


def _virtual_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def _files(package: Path) -> Files:
    if package.is_file():
        return {ALONE: package.read_bytes()}
    return {str(path.relative_to(package)): path.read_bytes() for path in sorted(package.rglob("*")) if path.is_file()}


def _parses(data: bytes) -> bool:
    try:
        return model_pb2().Model.FromString(data).WhichOneof("Type") is not None
    except Exception:  # noqa: BLE001 - whatever the reason, it does not
        return False


def _run(files: Files, fed: dict[str, Any], precision: str) -> dict[str, Any]:
    """Return what came of a package: `predicted`, `refused` with the message, or `broken` with what should not have happened."""
    folder = Path(tempfile.mkdtemp(suffix=".mlpackage"))
    try:
        for name, data in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        if ALONE not in files:
            (folder / "Data" / "com.apple.CoreML" / "weights").mkdir(exist_ok=True)  # there, though empty, in packages without large constants
        model = load_model(folder / ALONE if ALONE in files else folder, precision=precision, custom_layers=REFERENCES)
        any_of_them = next(iter(fed.values()))
        model.predict({feature.name: fed.get(feature.name, any_of_them) for feature in model.inputs}, state=model.make_state() if model.states else None)
    except MlpipeError as error:
        text = str(error)
        # Kernels that fail for want of memory were let go too far.
        return {"outcome": "broken", "why": text} if "alloc" in text.lower() or "memory" in text.lower() else {"outcome": "refused", "why": text}
    except BaseException:  # noqa: BLE001 - this is what is looked for
        return {"outcome": "broken", "why": traceback.format_exc()}
    finally:
        shutil.rmtree(folder)
    return {"outcome": "predicted"}


if __name__ == "__main__":
    main()
