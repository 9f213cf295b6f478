from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlpipe.engine.workers import Job, JobOutcome, WorkerPool
from mlpipe.engine.workers.profiles import environment

MakeJob = Callable[..., Job]
RunJob = Callable[..., JobOutcome]


def in_a_worker(pool: WorkerPool, job: Job) -> Any:
    pool.submit(job)
    [outcome] = pool.wait(120)
    assert outcome.error is None, outcome.error
    return outcome.values


@pytest.mark.skipif(sys.platform != "linux", reason="NOT RUN: counts threads in /proc")
@pytest.mark.parametrize(
    ("profile", "present", "absent"),
    [
        ("numpy", {"numpy"}, {"onnx", "onnxruntime", "coremltools", "tensorflow"}),
        ("onnxruntime", {"numpy", "onnx", "onnxruntime"}, {"coremltools", "tensorflow", "torch"}),
        ("coremltools", {"numpy", "coremltools"}, {"tensorflow", "keras", "torch", "sklearn", "onnxruntime"}),
    ],
)
def test_a_profile_holds_its_modules_and_may_fork(
    make_job: MakeJob, profile: str, present: set[str], absent: set[str], capfd: pytest.CaptureFixture[str]
) -> None:
    with WorkerPool(1, None, lambda *_: None) as pool:
        seen = in_a_worker(pool, make_job("where_am_i", preload=profile))
        assert pool._servers[profile].method == "fork"
    assert seen["threads_of_server"] == 1
    assert present <= set(seen["modules"])
    assert not absent & set(seen["modules"])
    assert capfd.readouterr() == ("", "")


def test_after_the_coremltools_profile_other_packages_can_be_imported(make_job: MakeJob) -> None:
    with WorkerPool(1, None, lambda *_: None) as pool:
        seen = in_a_worker(pool, make_job("import_others", preload="coremltools"))
    assert "sklearn" not in seen["before"]
    assert seen["found"] == ["scipy", "sklearn", "tensorflow"]


def test_onnxruntime_computes_in_a_fork(make_job: MakeJob) -> None:
    with WorkerPool(1, None, lambda *_: None) as pool:
        assert [in_a_worker(pool, make_job("compute_onnx", preload="onnxruntime")) for _ in range(2)] == [[[7.0, 10.0], [15.0, 22.0]]] * 2
        assert pool._servers["onnxruntime"].method == "fork"


def test_tensorflow_computes_in_a_fork(make_job: MakeJob, capfd: pytest.CaptureFixture[str]) -> None:
    with WorkerPool(1, None, lambda *_: None) as pool:
        seen = in_a_worker(pool, make_job("compute_tensorflow", preload="tensorflow"))
        assert pool._servers["tensorflow"].method == "fork"
    assert seen["product"] == [[7.0, 10.0], [15.0, 22.0]]
    assert seen["dense"] == [[3.0], [7.0]]
    assert {"tensorflow", "keras", "coremltools"} <= set(seen["modules"])
    assert not {"torch", "sklearn"} & set(seen["modules"])
    assert capfd.readouterr() == ("", "")


def test_a_profile_that_starts_threads_gets_fresh_processes(make_job: MakeJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "onnx.py").write_text("import threading, time\nthreading.Thread(target=time.sleep, args=(600,), daemon=True).start()\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    with WorkerPool(1, None, lambda *_: None) as pool:
        in_a_worker(pool, make_job("echo", preload="onnxruntime"))
        assert pool._servers["onnxruntime"].method == "spawn"


@pytest.mark.parametrize(
    ("profile", "package", "command"),
    [("tensorflow", "tensorflow", 'pip install "mlpipe[tensorflow]"'), ("onnxruntime", "onnx", "pip install onnx")],
)
def test_a_package_that_is_missing_is_named_with_the_command(
    make_job: MakeJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str, profile: str, package: str, command: str
) -> None:
    # Stands for an environment without the package: says what Python says there.
    (tmp_path / f"{package}.py").write_text(f"raise ModuleNotFoundError(\"No module named '{package}'\", name='{package}')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    with WorkerPool(1, None, lambda *_: None, method=method) as pool:
        for _ in range(3):
            pool.submit(make_job("echo", preload=profile))
            [outcome] = pool.wait(60)
            assert (outcome.error["type"], outcome.error["exit_code"], outcome.error["kind"]) == ("EnvironmentLacksTool", 5, "expected")
            assert outcome.error["what"] == f"{package} is not installed"
            assert outcome.error["fix"] == f"install it: {command}"


def test_a_package_that_crashes_at_import_says_what_it_printed(make_job: MakeJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_job: RunJob) -> None:
    (tmp_path / "onnx.py").write_text("import os\nos.write(2, b'no such instruction')\nos.abort()\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    error = run_job(make_job("echo", preload="onnxruntime")).error
    assert error["what"] == "the process that starts workers died"
    assert error["why"] == "killed by SIGABRT; it printed: no such instruction"


def test_thread_counts_are_fixed_and_the_users_choices_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.setenv("PYTHONHASHSEED", "5")
    monkeypatch.setenv("MINE", "1")
    made = environment()
    assert (made["OMP_NUM_THREADS"], made["PYTHONHASHSEED"], made["MINE"]) == ("1", "5", "1")


def test_importing_the_pool_imports_no_framework() -> None:
    code = "import sys, mlpipe.engine.workers; print(*{'numpy','onnx','onnxruntime','coremltools','tensorflow','rich','doit'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "\n"
