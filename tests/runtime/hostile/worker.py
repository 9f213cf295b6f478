"""Loads and runs damaged packages, in a process of its own: python worker.py PACKAGES FIRST COUNT MEGABYTES SECONDS.

Prints a line of JSON a case before it and one after it. A case that takes too long ends the process, with every thread's stack on stderr.
"""

from __future__ import annotations

import faulthandler
import importlib.util
import json
import resource
import shutil
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

import numpy as np

from mlpipe.errors import MlpipeError
from mlpipe.model_files.protobuf import model_pb2
from mlpipe.runtime import load_model

KIB = 1024 if sys.platform == "darwin" else 1
"""What `ru_maxrss` counts in, over 1024 bytes."""


def main() -> None:
    """Run the cases."""
    packages, first, count = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    megabytes, seconds = int(sys.argv[4]), float(sys.argv[5])
    module = importlib.util.spec_from_file_location("mutations", Path(__file__).with_name("mutations.py"))
    mutations = importlib.util.module_from_spec(module)
    module.loader.exec_module(mutations)
    bases = {path.stem: _files(path) for path in sorted(packages.glob("*.mlpackage"))}
    feeds = {name: np.load(packages / f"{name}.npy") for name in bases}
    names = sorted(bases)
    for name in names:  # everything is imported, and every kernel built once, before the limit is set
        model = load_model(packages / f"{name}.mlpackage")
        model.predict({"x": feeds[name]}, state=model.make_state() if model.states else None)
    if sys.platform == "linux":
        limit = _virtual_bytes() + (megabytes << 20)
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    for seed in range(first, first + count):
        name = names[seed % len(names)]
        mutator = mutations.Mutator(seed)
        files = mutator.damage(bases[name])
        print(json.dumps({"seed": seed, "base": name, "said": mutator.said}), flush=True)
        faulthandler.dump_traceback_later(seconds, exit=True)
        outcome = _run(files, feeds[name], "float16" if seed % 5 == 0 else "float32")
        faulthandler.cancel_dump_traceback_later()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // KIB // 1024
        print(json.dumps({"seed": seed, "parses": _parses(files[mutations.MODEL]), "peak_megabytes": peak, **outcome}), flush=True)


def _virtual_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def _files(package: Path) -> dict[str, bytes]:
    return {str(path.relative_to(package)): path.read_bytes() for path in sorted(package.rglob("*")) if path.is_file()}


def _parses(data: bytes) -> bool:
    try:
        return model_pb2().Model.FromString(data).WhichOneof("Type") == "mlProgram"
    except Exception:  # noqa: BLE001 - whatever the reason, it does not
        return False


def _run(files: dict[str, bytes], fed: np.ndarray, precision: str) -> dict[str, Any]:
    """Return what came of a package: `predicted`, `refused` with the message, or `broken` with what should not have happened."""
    folder = Path(tempfile.mkdtemp(suffix=".mlpackage"))
    try:
        for name, data in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        (folder / "Data" / "com.apple.CoreML" / "weights").mkdir(exist_ok=True)  # there, though empty, in packages without large constants
        model = load_model(folder, precision=precision)
        model.predict({feature.name: fed for feature in model.inputs}, state=model.make_state() if model.states else None)
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
