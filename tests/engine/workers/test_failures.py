from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from mlpipe.engine.workers import Job, JobOutcome, WorkerPool
from mlpipe.engine.workers.failures import from_status

MakeJob = Callable[..., Job]
RunJob = Callable[..., JobOutcome]
Gone = Callable[[int], bool]


@pytest.mark.parametrize(
    ("do", "parameters", "kind", "exit_code", "what", "why"),
    [
        ("segfault", {}, "signal", 3, "killed by SIGSEGV", "native code crashed"),
        ("kill_self", {"signal": "SIGABRT"}, "signal", 3, "killed by SIGABRT", "native code crashed"),
        ("kill_self", {"signal": "SIGKILL"}, "signal", 3, "killed by SIGKILL", None),
        ("kill_self", {"signal": "SIGTERM"}, "signal", 3, "killed by SIGTERM", "something sent it this signal"),
        ("exit_self", {"status": 0}, "signal", 3, "the step's process ended itself with status 0", "some code that it called ended the process"),
        ("exit_self", {"status": 7}, "signal", 3, "the step's process ended itself with status 7", "some code that it called ended the process"),
        ("expected", {}, "expected", 3, "no such op", None),
        ("fill_disk", {}, "expected", 3, "No space left on device", None),
        ("bug", {}, "bug", 70, "KeyError: 'inside'", "this is a bug in mlpipe; the log holds the traceback"),
        ("not_json", {}, "bug", 70, "TypeError: Object of type set is not JSON serializable", "this is a bug in mlpipe; the log holds the traceback"),
    ],
)
def test_a_step_fails_with_its_reason(
    make_job: MakeJob, run_job: RunJob, method: str, do: str, parameters: dict[str, object], kind: str, exit_code: int, what: str, why: str | None
) -> None:
    outcome = run_job(make_job(do, **parameters), method)
    assert outcome.error is not None
    assert (outcome.error["kind"], outcome.error["exit_code"], outcome.error["what"]) == (kind, exit_code, what)
    if why is not None:
        assert outcome.error["why"] == why
    assert outcome.values is None


def test_an_expected_error_keeps_its_parts(make_job: MakeJob, run_job: RunJob) -> None:
    assert run_job(make_job("expected")).error == {
        "code": "E320",
        "type": "ConversionFailed",
        "what": "no such op",
        "where": "recipe.yaml:3:5",
        "why": None,
        "fix": "lower it",
        "exit_code": 3,
        "kind": "expected",
    }


def test_a_crash_leaves_what_was_printed_before_and_the_python_stack(make_job: MakeJob, run_job: RunJob, method: str) -> None:
    job = make_job("segfault")
    run_job(job, method)
    log = job.log.read_text()
    assert log.startswith("before the crash\n")
    assert "in segfault" in log


def test_an_unexpected_exception_leaves_its_traceback_in_the_log(make_job: MakeJob, run_job: RunJob) -> None:
    job = make_job("bug")
    run_job(job)
    assert 'raise KeyError("inside")' in job.log.read_text()


def test_a_failure_leaves_the_others_alone(make_job: MakeJob, method: str) -> None:
    outcomes = {}
    with WorkerPool(4, None, lambda *_: None, method=method) as pool:
        for do in ("segfault", "bug", "exit_self", "nap"):
            pool.submit(make_job(do, task=do, seconds=0.5, status=1))
        while len(outcomes) < 4:
            outcomes |= {outcome.task: outcome for outcome in pool.wait(30)}
        pool.submit(make_job("echo", task="after"))
        [after] = pool.wait(30)
    assert {task for task, outcome in outcomes.items() if outcome.error is None} == {"nap"}
    assert after.error is None


def test_a_step_past_its_timeout_is_killed_with_its_children(make_job: MakeJob, method: str, gone: Gone) -> None:
    grandchildren = []
    with WorkerPool(2, None, lambda _task, done, *_: grandchildren.append(int(done)), method=method) as pool:
        start = time.monotonic()
        pool.submit(make_job("linger", task="late", timeout=1.0))
        pool.submit(make_job("nap", task="slow", seconds=1.5))
        [late] = pool.wait(30)
        took = time.monotonic() - start
        [slow] = pool.wait(30)
    assert late.error["what"] == "stopped after its timeout of 1 s"
    assert late.error["fix"] == "raise `workers: timeout:` for this step"
    assert (late.error["kind"], late.error["exit_code"]) == ("timeout", 3)
    assert 1 <= took < 20  # the step itself would linger for a minute
    assert slow.error is None
    [grandchild] = grandchildren
    assert gone(grandchild)


def test_a_step_within_its_timeout_is_left_alone(make_job: MakeJob, run_job: RunJob) -> None:
    assert run_job(make_job("nap", seconds=0.2, timeout=20.0)).error is None


@pytest.mark.skipif(sys.platform != "linux", reason="NOT RUN: macOS does not enforce it")
def test_a_declared_memory_limit_fails_the_step_alone(make_job: MakeJob, run_job: RunJob, method: str) -> None:
    outcome = run_job(make_job("exhaust_memory", preload="numpy", limit=200 << 20), method)
    assert outcome.error["what"] == "out of memory"
    assert (outcome.error["kind"], outcome.error["exit_code"]) == ("memory", 3)


def test_a_hint_is_no_limit(make_job: MakeJob, run_job: RunJob) -> None:
    assert run_job(make_job("exhaust_memory", memory=1)).error is None


@pytest.mark.parametrize(
    ("memory_killed", "kind", "why"),
    [
        (True, "memory", "the kernel ran out of memory"),
        (False, "signal", "something sent it this signal"),
        (None, "signal", "the machine may have run out of memory"),
    ],
)
def test_sigkill_is_blamed_on_memory_as_far_as_the_kernel_says_so(memory_killed: bool | None, kind: str, why: str) -> None:
    error = from_status(-9, memory_killed=memory_killed, timeout_seconds=None)
    assert (error["what"], error["kind"], error["why"]) == ("killed by SIGKILL", kind, why)


USER_ERRORS = {
    "plain": ("def run():\n    raise ValueError('mine')\n", "ValueError: mine", 2),
    "unpicklable": (
        (
            "import threading\nclass Odd(Exception):\n    def __init__(self, a, b):\n        self.lock = threading.Lock()\n"
            "    def __str__(self):\n        raise RuntimeError\ndef run():\n    raise Odd(1, 2)\n"
        ),
        "Odd: (its message cannot be shown: RuntimeError)",
        8,
    ),
    "inside a library": (
        "import json\ndef run():\n    json.loads('{')\n",
        "JSONDecodeError: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",
        3,
    ),
    "syntax": ("def run():\n    return (\n", "SyntaxError: '(' was never closed", 2),
    "no right": ("def run():\n    raise PermissionError(13, 'no')\n", "PermissionError: [Errno 13] no", 2),
    "exit": ("def run():\n    raise SystemExit(4)\n", "SystemExit: 4", 2),
}


@pytest.mark.parametrize("case", USER_ERRORS)
def test_an_error_in_the_recipes_own_code_names_its_line(make_job: MakeJob, run_job: RunJob, tmp_path: Path, case: str) -> None:
    text, what, line = USER_ERRORS[case]
    path = tmp_path / "recipe" / "user.py"
    path.parent.mkdir()
    path.write_text(text)
    error = run_job(make_job("call_user_code", file="user.py")).error
    assert (error["kind"], error["exit_code"]) == ("expected", 3)
    assert error["what"].startswith(what)
    assert error["where"].startswith(f"{path}:{line}")


def test_a_server_that_dies_takes_its_job_with_it_and_is_started_again_once(make_job: MakeJob, gone: Gone) -> None:
    grandchildren = []
    with WorkerPool(1, None, lambda _task, done, *_: grandchildren.append(int(done))) as pool:
        for attempt in range(2):
            pool.submit(make_job("linger", task=f"t{attempt}"))
            while len(grandchildren) == attempt:
                assert pool.wait(0.05) == []
            psutil.Process(pool._servers["main"]._process.pid).kill()
            [outcome] = pool.wait(30)
            assert outcome.error["what"] == "the process that starts workers died"
            assert outcome.error["why"].startswith("killed by SIGKILL")
            assert (outcome.error["kind"], outcome.error["exit_code"]) == ("signal", 3)
            assert gone(grandchildren[attempt])
        pool.submit(make_job("echo"))
        [outcome] = pool.wait(0)
        assert outcome.error["what"] == "the process that starts workers died"
