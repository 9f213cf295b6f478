"""One step in a process of its own. Run as a program it is a fresh process (macOS); a forkserver calls `work` in its fork."""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import importlib
import json
import os
import signal
import socket
import sys
import time
import traceback
from pathlib import Path
from typing import IO, Any, NoReturn, cast

from mlpipe.engine.task_spec import Preload
from mlpipe.engine.workers import memory
from mlpipe.engine.workers.failures import from_exception
from mlpipe.engine.workers.job import Job, read_job, write_answer
from mlpipe.engine.workers.lifeline import Lifeline
from mlpipe.engine.workers.profiles import preload
from mlpipe.engine.workers.user_code import user_files
from mlpipe.steps.step import StepResult, step_request

_SECONDS_BETWEEN_PROGRESS = 0.1
_LONGEST_PROGRESS = 120
"""Characters; a datagram must stay below macOS's limit of 2048 bytes."""


def work(job_descriptor: int, progress_descriptor: int, lifeline_descriptor: int, profile: Preload | None = None) -> NoReturn:
    """Run the job in the given file, write its answer there and end the process, without any framework's shutdown code."""
    status = 1
    try:
        with os.fdopen(job_descriptor, "r+b") as file, Lifeline(lifeline_descriptor):
            job = read_job(file)
            _redirect(job.log)
            _answer(job, file, socket.socket(fileno=progress_descriptor), profile)
        status = 0
    finally:
        if status != 0:
            traceback.print_exc()
        with contextlib.suppress(Exception):
            sys.stdout.flush()
            sys.stderr.flush()
            ctypes.CDLL(None).fflush(None)  # what native code printed
        os._exit(status)


def _redirect(log: Path) -> None:
    """Send file descriptors 1 and 2 to the log, and 0 to nothing: whatever writes there, in whatever language."""
    log.parent.mkdir(parents=True, exist_ok=True)
    target = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o644)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, descriptor in ((nothing, 0), (target, 1), (target, 2)):
        os.dup2(source, descriptor)
    os.close(nothing)
    os.close(target)
    for number, mode in ((1, "stdout"), (2, "stderr")):
        setattr(sys, mode, open(number, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False))  # noqa: SIM115
    faulthandler.enable(2)


def _answer(job: Job, file: IO[bytes], progress: socket.socket, profile: Preload | None) -> None:
    folder = Path(job.request["folder"])
    answer: dict[str, Any] = {"values": None, "notes": [], "user_files": [], "error": None}
    try:
        if profile is not None:
            preload(profile)
        if job.memory_limit_bytes is not None:
            memory.limit_own(job.memory_limit_bytes)
        result: StepResult = importlib.import_module(job.step).run(step_request(job.task, job.request, _Progress(job.task, progress)))
        json.dumps(result.values, allow_nan=False)  # what a step may not return, it is told here
        answer |= {"values": result.values, "notes": list(result.log_notes)}
    except BaseException as error:  # noqa: BLE001 - whatever a step raises, also SystemExit, is its answer
        traceback.print_exc()
        answer["error"] = from_exception(error, folder)
    answer["user_files"] = [str(path) for path in user_files(folder)]
    write_answer(answer, file)


class _Progress:
    """Tells the main process how far a step is, ten times a second at most. A message that finds no room is dropped: a later one says more."""

    def __init__(self, task: str, channel: socket.socket) -> None:
        self._task = task
        self._channel = channel
        self._next = 0.0

    def __call__(self, done: float, total: float, what: str) -> None:
        now = time.monotonic()
        if now < self._next and done < total:
            return
        self._next = now + _SECONDS_BETWEEN_PROGRESS
        message = json.dumps([self._task, float(done), float(total), what[:_LONGEST_PROGRESS]])
        with contextlib.suppress(OSError):
            self._channel.send(message.encode(), socket.MSG_DONTWAIT)


def _main() -> NoReturn:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    job, progress, lifeline = (int(argument) for argument in sys.argv[2:])
    for descriptor in (job, progress, lifeline):
        os.set_inheritable(descriptor, False)  # noqa: FBT003 - positional only
    work(job, progress, lifeline, cast("Preload", sys.argv[1]))


if __name__ == "__main__":
    _main()
