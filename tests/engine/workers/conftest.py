"""What the tests of worker processes share."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from mlpipe.engine.workers import Job, JobOutcome, WorkerPool

HERE = Path(__file__).parent
MakeJob = Callable[..., Job]


@pytest.fixture(autouse=True)
def _steps_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)  # it would hide that C's own buffer has to be flushed
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(HERE), os.environ.get("PYTHONPATH")])))


@pytest.fixture(params=["fork", "spawn"])
def method(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def make_job(tmp_path: Path) -> MakeJob:
    def make(
        do: str, *, task: str = "r:step", preload: str = "main", timeout: float | None = None, memory: int = 0, limit: int | None = None, **parameters: object
    ) -> Job:
        request = {
            "parameters": {"do": do, **parameters},
            "inputs": {"model": str(tmp_path)},
            "values": {"model": {"n": 1}},
            "files": {"samples": [str(tmp_path / "a"), str(tmp_path / "b")]},
            "folder": str(tmp_path / "recipe"),
            "output": str(tmp_path / "output"),
        }
        return Job(task, "worker_steps", request, preload, tmp_path / "logs" / f"{task}.log", timeout, memory, limit)

    return make


@pytest.fixture
def run_job() -> Callable[[Job, str], JobOutcome]:
    """Return a function that runs one job in a pool of its own."""

    def run(job: Job, method: str = "fork") -> JobOutcome:
        with WorkerPool(1, None, lambda *_: None, method=method) as pool:
            pool.submit(job)
            [outcome] = pool.wait(60)
        return outcome

    return run


@pytest.fixture
def gone() -> Callable[[int], bool]:
    """Return a function that says whether a process that was killed is gone at once: well before it would end by itself."""

    def is_gone(pid: int) -> bool:
        end = time.monotonic() + 10
        while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
            if time.monotonic() > end:
                return False
            time.sleep(0.01)
        return True

    return is_gone


@pytest.fixture
def marked(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[psutil.Process]]]:
    """Return a function that lists the living processes that were started below this test."""
    mark = f"MLPIPE_TEST_{uuid.uuid4().hex}"
    monkeypatch.setenv(mark, "1")

    def find() -> list[psutil.Process]:
        found = []
        for process in psutil.process_iter():
            try:
                if mark in process.environ() and process.status() != psutil.STATUS_ZOMBIE and process.pid != os.getpid():
                    found.append(process)
            except psutil.Error:
                continue
        return found

    yield find
    for process in find():
        process.kill()
