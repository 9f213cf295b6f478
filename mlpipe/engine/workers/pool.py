"""The main process's side: starts servers when their profile is first needed, hands them jobs, and collects how each ended. It has no thread."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO, Any, Literal, NoReturn, Self

from mlpipe.engine.task_spec import Preload
from mlpipe.engine.workers import memory
from mlpipe.engine.workers.failures import from_server, from_status
from mlpipe.engine.workers.job import Job, JobOutcome, read_answer, write_job
from mlpipe.engine.workers.messages import receive, send
from mlpipe.engine.workers.server_process import ServerProcess

_MAY_DIE = 1
"""A server that dies is started again once for each profile: what kills it twice would kill it for ever."""


@dataclass
class _Running:
    """A job under way."""

    job: Job
    file: IO[bytes]
    server: ServerProcess
    memory_kills: int | None
    started: float
    process: int | None = None
    timed_out: bool = False

    @property
    def deadline(self) -> float:
        if self.process is None or self.timed_out or self.job.timeout_seconds is None:
            return float("inf")
        return self.started + self.job.timeout_seconds


class WorkerPool:
    """Runs jobs, each in a process of its own. Leaving the context ends everything at once, also what is still running."""

    def __init__(
        self,
        jobs: int,
        memory_bytes: int | None,
        on_progress: Callable[[str, float, float, str], None],
        *,
        method: Literal["fork", "spawn"] = "spawn" if sys.platform == "darwin" else "fork",
    ) -> None:
        """Start nothing yet. `memory_bytes` is for all jobs at once, None for the machine's; on_progress(task, done, total, what) is called within `wait`."""
        self._jobs = jobs
        self._memory_bytes = memory.total_bytes() if memory_bytes is None else memory_bytes
        self._on_progress = on_progress
        self._method = method
        self._selector = selectors.DefaultSelector()
        self._progress, self._worker_progress = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._lifeline, self._lifeline_write = os.pipe()
        self._servers: dict[Preload, ServerProcess] = {}
        self._deaths: Counter[Preload] = Counter()
        self._failed: dict[Preload, dict[str, Any]] = {}
        self._running: dict[int, _Running] = {}
        self._finished: list[JobOutcome] = []
        self._submitted = 0
        self._restore_sigterm: Callable[[], object] | None = None
        self._progress.settimeout(0)
        self._selector.register(self._progress, selectors.EVENT_READ)

    def __enter__(self) -> Self:
        """Let SIGTERM interrupt the run as Ctrl-C does, unless the program has its own handler."""
        if threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
            signal.signal(signal.SIGTERM, _interrupt)
            self._restore_sigterm = lambda: signal.signal(signal.SIGTERM, signal.SIG_DFL)
        return self

    def __exit__(self, *exception: object) -> None:
        """Kill what is running, end the servers and close every channel."""
        os.close(self._lifeline_write)  # each server and worker kills its own group now; what follows makes sure
        for running in self._running.values():
            running.server.kill_worker(running.process)
            running.file.close()
        for server in self._servers.values():
            server.close()
        self._selector.close()
        self._progress.close()
        self._worker_progress.close()
        os.close(self._lifeline)
        if self._restore_sigterm is not None:
            self._restore_sigterm()

    def capacity(self, memory_bytes: int) -> bool:
        """Return whether another job of this size may start now. One job may always run."""
        if not self._running:
            return True
        used = sum(running.job.memory_bytes for running in self._running.values())
        return len(self._running) < self._jobs and used + memory_bytes <= self._memory_bytes

    def submit(self, job: Job) -> None:
        """Start a job; `wait` returns its outcome, also where it could not be started."""
        failure = self._failed.get(job.preload)
        if failure is not None:
            self._finished.append(_failed(job, failure))
            return
        server = self._servers.get(job.preload) or self._start(job.preload)
        number = self._submitted = self._submitted + 1
        file = tempfile.TemporaryFile()  # noqa: SIM115 - the job and then its answer; closed when the job has ended
        write_job(job, file)
        self._running[number] = _Running(job, file, server, memory.kills(), time.monotonic())
        try:
            send(server.control, {"start": number, "step": job.step}, file.fileno())
        except BrokenPipeError:
            self._lose(server)

    def wait(self, timeout: float | None = None) -> list[JobOutcome]:
        """Return the outcomes of jobs that have ended, at least one; none where `timeout` seconds pass first or nothing is under way."""
        end = float("inf") if timeout is None else time.monotonic() + timeout
        while not self._finished and self._running:
            now = time.monotonic()
            self._stop_late(now)
            until = min(end, *(running.deadline for running in self._running.values()))
            ready = self._selector.select(None if until == float("inf") else max(0.0, until - now))
            for key, _ in ready:
                if key.fileobj is self._progress:
                    self._report_progress()
                else:
                    self._handle(key.data)
            if not ready and time.monotonic() >= end:
                break
        finished, self._finished = self._finished, []
        return finished

    def _start(self, profile: Preload) -> ServerProcess:
        server = ServerProcess(profile, self._method, self._worker_progress.fileno(), self._lifeline)
        self._servers[profile] = server
        self._selector.register(server.control, selectors.EVENT_READ, server)
        return server

    def _stop_late(self, now: float) -> None:
        for number, running in self._running.items():
            if running.deadline <= now:
                running.timed_out = True
                with contextlib.suppress(BrokenPipeError):
                    send(running.server.control, {"kill": number})

    def _report_progress(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                task, done, total, what = json.loads(self._progress.recv(4096))
                self._on_progress(task, done, total, what)

    def _handle(self, server: ServerProcess) -> None:
        try:
            message, _ = receive(server.control)
        except EOFError:
            self._lose(server)
            return
        if "started" in message:
            running = self._running[message["started"]]
            running.process, running.started = message["process"], time.monotonic()
        elif "ended" in message:
            self._finish(self._running.pop(message["ended"]), message)
        elif "failed" in message:
            self._failed[server.profile] = message["failed"]
        elif "ready" in message:
            server.method = message["ready"]
            server.preload_cpu_seconds = message["cpu_seconds"]

    def _finish(self, running: _Running, message: dict[str, Any]) -> None:
        answer: dict[str, Any] = {}
        if message["status"] == 0:
            with contextlib.suppress(ValueError):
                answer = read_answer(running.file)
        running.file.close()
        if "values" not in answer:  # it ended without an answer
            kills = memory.kills()
            answer = {
                "values": None,
                "notes": [],
                "user_files": [],
                "error": from_status(
                    message["status"],
                    memory_killed=None if kills is None or running.memory_kills is None else kills > running.memory_kills,
                    timeout_seconds=running.job.timeout_seconds if running.timed_out else None,
                ),
            }
        self._finished.append(
            JobOutcome(
                task=running.job.task,
                values=answer["values"],
                notes=tuple(answer["notes"]),
                user_files=tuple(Path(path) for path in answer["user_files"]),
                error=answer["error"],
                seconds=time.monotonic() - running.started,
                cpu_seconds=message["cpu_seconds"],
                peak_bytes=message["peak_bytes"],
            )
        )

    def _lose(self, server: ServerProcess) -> None:
        """Report the jobs of a server that is gone, and forget it, so that the next job starts it again."""
        if self._servers.get(server.profile) is not server:
            return
        del self._servers[server.profile]
        self._selector.unregister(server.control)
        lost = [number for number, running in self._running.items() if running.server is server]
        for number in lost:
            server.kill_worker(self._running[number].process)
        detail = server.close()
        self._deaths[server.profile] += 1
        failure = self._failed.get(server.profile) or from_server(detail)
        if self._deaths[server.profile] > _MAY_DIE:
            self._failed[server.profile] = failure
        for number in lost:
            running = self._running.pop(number)
            running.file.close()
            self._finished.append(_failed(running.job, failure))


def _failed(job: Job, failure: dict[str, Any]) -> JobOutcome:
    return JobOutcome(job.task, None, (), (), failure, 0.0, 0.0, 0)


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
