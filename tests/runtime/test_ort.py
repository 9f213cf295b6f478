"""onnxruntime starts no reporting thread when mlpipe imports it: nothing is sent anywhere."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

COUNT = "import os, time; time.sleep(0.5); print(len(os.listdir('/proc/self/task')))"
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"} | {"OPENBLAS_NUM_THREADS": "1"}


def threads_after(imports: str) -> int:
    done = subprocess.run([sys.executable, "-c", f"{imports}; {COUNT}"], env=ENVIRONMENT, check=True, capture_output=True, text=True)
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="NOT RUN: threads are counted in /proc")
def test_the_import_leaves_no_thread_behind() -> None:
    before = threads_after("import numpy")
    assert threads_after("from mlpipe.runtime.ort import import_onnxruntime; import_onnxruntime()") == before
    assert threads_after("import onnxruntime") > before, "onnxruntime no longer reports: the switch may go"
