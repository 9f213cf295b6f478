from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from mlpipe.engine.workers import Job, JobOutcome, WorkerPool

MakeJob = Callable[..., Job]
RunJob = Callable[..., JobOutcome]
Gone = Callable[[int], bool]


def test_step_receives_its_request_and_returns_values_and_notes(make_job: MakeJob, run_job: RunJob, method: str) -> None:
    outcome = run_job(make_job("echo", number=3), method)
    assert outcome.error is None
    assert outcome.values == {
        "parameters": {"do": "echo", "number": 3},
        "values": {"model": {"n": 1}},
        "paths": ["PosixPath"] * 5,
        "task": "r:step",
    }
    assert outcome.notes == ("a note",)
    assert outcome.user_files == ()
    assert 0 < outcome.cpu_seconds < 10
    assert outcome.seconds > 0
    assert 5e6 < outcome.peak_bytes < 1e9


def test_large_values_arrive_whole(make_job: MakeJob, run_job: RunJob, method: str) -> None:
    assert run_job(make_job("large"), method).values == ["x" * 1000] * 20_000


def test_large_requests_arrive_whole(make_job: MakeJob, run_job: RunJob) -> None:
    assert run_job(make_job("echo", text="y" * 5_000_000)).values["parameters"]["text"] == "y" * 5_000_000


def test_everything_that_a_step_prints_goes_to_its_log(make_job: MakeJob, run_job: RunJob, method: str, capfd: pytest.CaptureFixture[str]) -> None:
    job = make_job("noise")
    assert run_job(job, method).error is None
    assert sorted(job.log.read_text().splitlines()) == ["from C", "from a child", "from print", "ünicode"]
    assert capfd.readouterr() == ("", "")


def test_twenty_jobs_on_two_workers(make_job: MakeJob, method: str) -> None:
    waiting = [make_job("nap", task=f"t{number}", seconds=0.02) for number in range(20)]
    outcomes = []
    with WorkerPool(2, None, lambda *_: None, method=method) as pool:
        while waiting or len(outcomes) < 20:
            while waiting and pool.capacity(0):
                pool.submit(waiting.pop())
            outcomes += pool.wait(30)
    assert sorted(outcome.task for outcome in outcomes) == sorted(f"t{number}" for number in range(20))
    spans = [outcome.values for outcome in outcomes]
    at_once = max(sum(start <= moment < end for start, end in spans) for moment in itertools.chain(*spans))
    assert at_once <= 2


def test_two_jobs_run_at_the_same_time(make_job: MakeJob) -> None:
    with WorkerPool(2, None, lambda *_: None) as pool:
        for task in ("a", "b"):
            pool.submit(make_job("nap", task=task, seconds=0.5))
        outcomes = pool.wait(30)
        outcomes += [] if len(outcomes) == 2 else pool.wait(30)
    (start_a, end_a), (start_b, end_b) = (outcome.values for outcome in outcomes)
    assert max(start_a, start_b) < min(end_a, end_b)


@pytest.mark.parametrize(
    ("jobs", "memory", "running", "wanted", "expected"),
    [
        (2, 100, [], 50, True),
        (2, 100, [], 500, True),  # one job may always run
        (2, 100, [60], 40, True),
        (2, 100, [60], 41, False),
        (2, 100, [10, 10], 0, False),
        (3, 100, [10, 10], 80, True),
    ],
)
def test_capacity(make_job: MakeJob, jobs: int, memory: int, running: list[int], wanted: int, expected: bool) -> None:
    with WorkerPool(jobs, memory, lambda *_: None) as pool:
        for number, size in enumerate(running):
            pool.submit(make_job("linger", task=f"t{number}", memory=size))
        assert pool.capacity(wanted) is expected


def test_memory_defaults_to_no_more_than_the_machine_has(make_job: MakeJob) -> None:
    with WorkerPool(2, None, lambda *_: None) as pool:
        pool.submit(make_job("linger", memory=0))
        assert pool.capacity(psutil.virtual_memory().total + 1) is False
        assert pool.capacity(1 << 20) is True


def test_progress_is_passed_on_but_not_every_step_of_it(make_job: MakeJob, method: str) -> None:
    seen = []
    with WorkerPool(1, None, lambda *message: seen.append(message), method=method) as pool:
        pool.submit(make_job("count"))
        pool.wait(30)
    assert ("r:step", 5000.0, 5000.0, "counting") in seen
    assert len(seen) < 100


def test_wait_returns_nothing_when_time_is_up_or_nothing_runs(make_job: MakeJob) -> None:
    with WorkerPool(1, None, lambda *_: None) as pool:
        assert pool.wait(None) == []
        pool.submit(make_job("linger"))
        start = time.monotonic()
        assert pool.wait(0.3) == []
        assert 0.3 <= time.monotonic() - start < 20  # the step lingers for a minute


def test_waiting_costs_no_processor_time(make_job: MakeJob) -> None:
    with WorkerPool(1, None, lambda *_: None) as pool:
        pool.submit(make_job("linger"))
        pool.wait(1)  # until the server has started
        server = psutil.Process(pool._servers["main"]._process.pid)
        before = time.process_time() + sum(server.cpu_times()[:2])
        pool.wait(1)
        assert time.process_time() + sum(server.cpu_times()[:2]) - before < 0.05


def test_what_a_step_leaves_running_is_killed(make_job: MakeJob, run_job: RunJob, method: str, gone: Gone) -> None:
    pid = run_job(make_job("leave_child"), method).values
    assert gone(pid)


def test_user_modules_are_reported_also_when_they_fail(make_job: MakeJob, run_job: RunJob, tmp_path: Path) -> None:
    folder = tmp_path / "recipe"
    outside = tmp_path / "shared.py"
    folder.mkdir()
    outside.write_text("value = 6\n")
    folder.joinpath("linked.py").symlink_to(outside)
    folder.joinpath("user.py").write_text(f"import sys\nsys.path.insert(0, {str(folder)!r})\nimport linked\ndef run():\n    return linked.value\n")
    outcome = run_job(make_job("call_user_code", file="user.py"))
    assert outcome.values == 6
    assert outcome.user_files == (folder / "linked.py", folder / "user.py")
    folder.joinpath("user.py").write_text("def run():\n    raise ValueError\n")
    assert run_job(make_job("call_user_code", file="user.py")).user_files == (folder / "user.py",)


def test_packages_of_an_environment_inside_the_recipe_folder_are_not_the_users(make_job: MakeJob, run_job: RunJob) -> None:
    job = make_job("echo", preload="numpy")
    request = job.request | {"folder": "/"}
    outcome = run_job(type(job)(**(vars(job) | {"request": request})))
    assert [path.name for path in outcome.user_files] == ["worker_steps.py"]


def test_the_working_directory_does_not_shadow_packages(
    make_job: MakeJob, run_job: RunJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    (tmp_path / "numpy.py").write_text("raise SystemExit('shadowed')")
    monkeypatch.chdir(tmp_path)
    assert run_job(make_job("echo", preload="numpy"), method).error is None


@pytest.mark.skipif(sys.platform != "linux", reason="NOT RUN: counts in /proc")
def test_no_file_descriptor_is_left_open(make_job: MakeJob) -> None:
    def use() -> None:
        with WorkerPool(1, None, lambda *_: None) as pool:
            for do in ("echo", "segfault"):
                pool.submit(make_job(do))
                pool.wait(30)

    descriptors = Path("/proc/self/fd")
    use()
    before = len(list(descriptors.iterdir()))
    use()
    assert len(list(descriptors.iterdir())) == before
