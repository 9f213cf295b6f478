"""onnxruntime reports nothing when mlpipe uses it: the switch is set before its import, and no thread is left behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

IMPORT = "from mlpipe.runtime.ort import import_onnxruntime; module = import_onnxruntime()"
COUNT = "import os, time; time.sleep(0.5); print(len(os.listdir('/proc/self/task')))"
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"} | {"OPENBLAS_NUM_THREADS": "1"}


def printed_by(code: str, **environment: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], env=ENVIRONMENT | environment, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def test_reporting_is_off_when_the_import_begins(tmp_path: Path) -> None:
    """A module of the same name stands first on the path and says what it found while it was imported."""
    (tmp_path / "onnxruntime.py").write_text("import os\nfound = os.environ.get('ORT_DISABLE_TELEMETRY')\n")
    assert printed_by(f"{IMPORT}; print(module.found)", PYTHONPATH=str(tmp_path)) == "1"


@pytest.mark.skipif(sys.platform != "linux", reason="NOT RUN: threads are counted in /proc")
def test_the_import_leaves_no_thread_behind() -> None:
    assert printed_by(f"{IMPORT}; {COUNT}") == printed_by(f"import numpy; {COUNT}")
