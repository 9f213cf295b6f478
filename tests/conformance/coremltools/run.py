"""Runs coremltools' test suite on mlpipe's runtime, in shards, each in a process of its own.

`python tests/conformance/coremltools/run.py --folder RESULTS --shards 0-9/10` goes on where an earlier run stopped; `--retry` runs failures again.
`python tests/conformance/coremltools/summary.py --folder RESULTS` writes the results into docs/conformance.md.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).parent
SUITES = {
    "ops": "coremltools.converters.mil.mil.ops.tests",
    "tensorflow": "coremltools.converters.mil.frontend.tensorflow.test",
    "tensorflow2": "coremltools.converters.mil.frontend.tensorflow2.test",
    "ml_program": "coremltools.test.ml_program",
}
"""Our names -> the packages of coremltools that hold the tests."""

MLMODEL_SUITES = {
    "neural_network": "coremltools.test.neural_network",
    "pipeline": "coremltools.test.pipeline",
    "sklearn": "coremltools.test.sklearn_tests",
    "xgboost": "coremltools.test.xgboost_tests",
}
"""Suites of `.mlmodel` files, run where they are named. The last three need scikit-learn 1.5.1, XGBoost 1.4.2, libsvm-official 3.30.0, pandas and requests:
an environment of their own."""

ENVIRONMENT = {
    "INCLUDE_MIL_FP32_UNIT_TESTS": "1",
    "RUN_BACKWARD_COMPATIBILITY": "1",
    "PYTHONHASHSEED": "0",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONPATH": os.pathsep.join(filter(None, [str(HERE), os.environ.get("PYTHONPATH")])),
    "OMP_NUM_THREADS": "1",
    "CUDA_VISIBLE_DEVICES": "",
    "TF_CPP_MIN_LOG_LEVEL": "3",
    # The suite is written for Keras 2, which lives on in this package.
    "TF_USE_LEGACY_KERAS": "1" if importlib.util.find_spec("tf_keras") else "0",
}
"""All operator sets, also in float32, whose tolerance of 1e-4 means something; and whatever else could make two runs differ."""

SECONDS_A_TEST = 180
PASSED_OR_FAILED = (0, 1, 5)
"""pytest's exit codes of a session that reached its end; 5 is an empty shard, 1 may also be a module that cannot be imported."""
NOT_STARTED = (2, 3, 4)
"""Interrupted, an error inside pytest or in its arguments: not what a test can do, and not to be tried again."""
ATTEMPTS = 20
"""A test that takes its process down is counted, and the shard goes on behind it."""


def run_shard(
    target: str,
    shard: str,
    results: Path,
    *,
    backend: str = "mlprogram",
    precision: str = "float32",
    each: int | None = None,
    retry: bool = False,
    without: Sequence[str] = (),
) -> None:
    """Run one shard of the tests in a package, or in a file; the results are appended to the file. `without` names packages to do without."""
    installed = importlib.util.find_spec("coremltools")
    assert installed is not None
    assert installed.submodule_search_locations
    packages = Path(next(iter(installed.submodule_search_locations))).parent
    results.parent.mkdir(parents=True, exist_ok=True)
    options = ["--shard", shard, "--backend", backend, "--precision", precision, "--results", str(results.resolve())]
    options += [] if each is None else [f"--each={each}"]
    options += [f"--without={package}" for package in without]
    # pytest gets an empty configuration and the folder of packages as its root: neither mlpipe's own settings nor the place of the tests matter.
    plain = ["-c", os.devnull, f"--rootdir={packages}", "-p", "no:cacheprovider", "-p", "no:randomly", "-W", "ignore", "--tb=short", "-q", "--no-header"]
    command = [sys.executable, "-m", "pytest", "-p", "oracle.plugin", *plain, "--continue-on-collection-errors", f"--timeout={SECONDS_A_TEST}", *options]
    with results.with_suffix(".log").open("a") as log:
        for attempt in range(ATTEMPTS):
            again = ["--retry"] if retry and attempt == 0 else []
            ended = subprocess.run([*command, *again, "--pyargs", target], env=os.environ | ENVIRONMENT, stdout=log, stderr=log, check=False)
            if ended.returncode in PASSED_OR_FAILED:
                return
            if ended.returncode in NOT_STARTED:
                break
    raise RuntimeError(f"shard {shard} of {target} did not end: see {results.with_suffix('.log')}")


def main() -> None:
    """Run the shards that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--shards", default="0-9/10", help="first-last/count")
    parser.add_argument("--suites", nargs="+", default=list(SUITES), choices=list(SUITES | MLMODEL_SUITES))
    parser.add_argument("--backend", default="mlprogram", choices=("mlprogram", "neuralnetwork"))
    parser.add_argument("--precision", default="float32", choices=("float32", "float16"))
    parser.add_argument("--each", type=int, help="at most so many of every test function in a shard")
    parser.add_argument("--retry", action="store_true")
    chosen = parser.parse_args()
    options = {"backend": chosen.backend, "precision": chosen.precision, "each": chosen.each, "retry": chosen.retry}
    numbers, count = chosen.shards.split("/")
    first, _, last = numbers.partition("-")
    for number in range(int(first), int(last or first) + 1):
        for suite in chosen.suites:
            sampled = "" if chosen.each is None else f"-each{chosen.each}"
            file = chosen.folder / f"{suite}-{chosen.backend}-{number}of{count}{sampled}.jsonl"
            run_shard((SUITES | MLMODEL_SUITES)[suite], f"{number}/{count}", file, **options)
            print(f"{file.name} done", flush=True)


if __name__ == "__main__":
    main()
