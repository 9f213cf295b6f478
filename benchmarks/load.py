"""What loading a Core ML model costs in a fresh process: interpreter, imports, reading, lowering and building the session.

python benchmarks/load.py [--runs 5] [MODEL...]

CPU time of the whole process (user and system), median of several runs, and the most memory it took; without models, of ML Programs of 10 MB
that are made for it (54 and 107 convolutions with batch normalisation and activation). "import only" loads numpy, onnx and onnxruntime and nothing else.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

GOAL = "<= 0.50 s"
IMPORTS = "import numpy, onnx.helper, onnx.shape_inference; from mlpipe.runtime.ort import import_onnxruntime; import_onnxruntime()"
LOAD = "import sys; from mlpipe.runtime import load_model; load_model(sys.argv[1], precision=sys.argv[2], prepack=sys.argv[3] == 'True')"
MEASURE = "import resource; used = resource.getrusage(resource.RUSAGE_SELF); print(used.ru_utime + used.ru_stime, used.ru_maxrss)"


def measure(program: str, *arguments: str) -> tuple[float, float]:
    """Return CPU seconds and peak megabytes of a process of its own. Errors: CalledProcessError where it fails."""
    done = subprocess.run([sys.executable, "-c", f"{program}\n{MEASURE}", *arguments], check=True, capture_output=True, text=True)
    seconds, peak = done.stdout.split()
    return float(seconds), float(peak) / (1e6 if sys.platform == "darwin" else 1e3)


def make(path: Path, precision: str, layers: int) -> None:
    """Write an ML Program of convolutions, each with batch normalisation and an activation."""
    from coremltools import convert, target
    from coremltools import precision as precisions
    from coremltools.converters.mil import Builder as mb  # noqa: N813 - as everybody calls it

    random = np.random.default_rng(0)

    @mb.program(input_specs=[mb.TensorSpec((1, 72, 16, 16))], opset_version=target.iOS17)
    def program(x):  # type: ignore[no-untyped-def] # noqa: ANN001, ANN202
        one = np.ones(72, np.float32)
        for _ in range(layers):
            y = mb.conv(x=x, weight=random.standard_normal((72, 72, 3, 3), dtype=np.float32) / 25, pad_type="same")
            y = mb.batch_norm(x=y, mean=random.standard_normal(72, dtype=np.float32), variance=one, gamma=one, beta=one)
            x = mb.add(x=x, y=mb.relu(x=y))
        return x

    kept = getattr(precisions, precision.upper())
    convert(program, convert_to="mlprogram", minimum_deployment_target=target.iOS17, compute_precision=kept, skip_model_load=True).save(str(path))


def ten_megabytes(folder: Path) -> list[Path]:
    """Return ML Programs of 10 MB, in float32 and in float16, made in processes of their own: a child's peak counts what its parent held."""
    paths = []
    for precision, layers in (("float32", 54), ("float16", 107)):
        paths.append(folder / f"10 MB in {precision}.mlpackage")
        subprocess.run([sys.executable, __file__, "--make", paths[-1], precision, str(layers)], check=True, capture_output=True)
    return paths


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    print("| model | size | precision | prepack | CPU | peak memory | goal for 10 MB |\n|---|---|---|---|---|---|---|")
    runs = [measure(IMPORTS) for _ in range(arguments.runs)]
    print(f"| import only | | | | {statistics.median(cpu for cpu, _ in runs):.2f} s | {max(peak for _, peak in runs):.0f} MB | |")
    with tempfile.TemporaryDirectory() as name:
        for model in arguments.models or ten_megabytes(Path(name)):
            size = sum(file.stat().st_size for file in (model.rglob("*") if model.is_dir() else [model]) if file.is_file())
            for precision, prepack in (("float32", True), ("float32", False), ("float16", True)):
                runs = [measure(LOAD, str(model), precision, str(prepack)) for _ in range(arguments.runs)]
                cpu, peak = statistics.median(cpu for cpu, _ in runs), max(peak for _, peak in runs)
                goal = GOAL if not arguments.models else ""
                cells = (model.name, f"{size / 1e6:.1f} MB", precision, "yes" if prepack else "no", f"{cpu:.2f} s", f"{peak:.0f} MB", goal)
                print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--make"]:
        make(Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]))
    else:
        main()
