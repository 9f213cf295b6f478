"""A server of workers, one for each profile: imports the profile, then starts one process for each job and reports how it ended.

Where forking is safe it forks itself; elsewhere (macOS, or a package that starts threads when it is imported) it starts a fresh
process for each job and imports nothing itself. It runs in a session of its own, so that a terminal's Ctrl-C reaches the main process only.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import selectors
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any, Literal, NoReturn, cast

from mlpipe.engine.task_spec import Preload
from mlpipe.engine.workers.failures import as_failure
from mlpipe.engine.workers.lifeline import Lifeline
from mlpipe.engine.workers.messages import receive, send
from mlpipe.engine.workers.profiles import preload
from mlpipe.engine.workers.worker import work
from mlpipe.errors import MlpipeError

Method = Literal["fork", "spawn"]


class _Server:
    """Starts and watches the workers of one profile, in one thread, asleep while nothing happens."""

    def __init__(self, profile: Preload, method: Method, control: int, progress: int, lifeline: int) -> None:
        self._profile = profile
        self._method = method
        self._control = socket.socket(fileno=control)
        self._control.set_inheritable(False)
        self._progress = progress
        self._lifeline = lifeline
        self._children: dict[int, int] = {}
        """Process id -> number of the job."""
        self._wake_read, self._wake_write = socket.socketpair()
        self._selector = selectors.DefaultSelector()

    def prepare(self) -> bool:
        """Import what the workers share, say so, and return whether that worked."""
        if self._method == "fork":
            try:
                with Lifeline(self._lifeline):
                    preload(self._profile)
            except MlpipeError as error:
                send(self._control, {"failed": as_failure(error)})
                return False
            if not _has_one_thread():
                self._method = "spawn"
            gc.collect()
            gc.freeze()  # keeps the pages that workers share from being copied
        for descriptor in (self._progress, self._lifeline):
            os.set_inheritable(descriptor, self._method == "spawn")
        send(self._control, {"ready": self._method, "cpu_seconds": time.process_time()})
        return True

    def serve(self) -> None:
        """Serve until the main process is gone or has closed its end."""
        for end in (self._wake_read, self._wake_write):
            end.settimeout(0)
        signal.set_wakeup_fd(self._wake_write.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
        for readable in (self._control, self._wake_read, self._lifeline):
            self._selector.register(readable, selectors.EVENT_READ)
        try:
            while True:
                ready = {key.fileobj for key, _ in self._selector.select()}
                if self._lifeline in ready:
                    return
                if self._wake_read in ready:
                    with contextlib.suppress(BlockingIOError):
                        self._wake_read.recv(4096)
                    self._reap()
                if self._control in ready:
                    self._handle(*receive(self._control))
        except (EOFError, BrokenPipeError):
            return
        finally:
            for process in self._children:
                _kill_group(process)

    def _handle(self, message: dict[str, Any], descriptor: int | None) -> None:
        if "kill" in message:
            for process in [process for process, job in self._children.items() if job == message["kill"]]:
                _kill_group(process)
            return
        assert descriptor is not None, "a job comes with its file"
        process = self._fork(descriptor, message["step"]) if self._method == "fork" else self._spawn(descriptor)
        os.close(descriptor)
        self._children[process] = message["start"]
        send(self._control, {"started": message["start"], "process": process})

    def _fork(self, job: int, step: str) -> int:
        with contextlib.suppress(Exception):  # a step that cannot be imported says so in its worker
            importlib.import_module(step)
        process = os.fork()
        if process == 0:
            self._become_worker(job)
        with contextlib.suppress(OSError):  # both sides set it: neither may be first
            os.setpgid(process, process)
        return process

    def _become_worker(self, job: int) -> NoReturn:
        try:
            os.setpgid(0, 0)
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            self._selector.close()
            for end in (self._control, self._wake_read, self._wake_write):
                end.close()
            work(job, self._progress, self._lifeline)
        finally:
            os._exit(1)

    def _spawn(self, job: int) -> int:
        arguments = [sys.executable, "-P", "-m", "mlpipe.engine.workers.worker", self._profile, str(job), str(self._progress), str(self._lifeline)]
        os.set_inheritable(job, True)  # noqa: FBT003 - positional only
        return os.posix_spawn(sys.executable, arguments, os.environ, setpgroup=0, setsigdef=(signal.SIGCHLD,))

    def _reap(self) -> None:
        while self._children:
            process, status, usage = os.wait4(-1, os.WNOHANG)
            if process == 0:
                return
            job = self._children.pop(process)
            _kill_group(process)  # what it left behind
            peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
            ended = {"ended": job, "status": os.waitstatus_to_exitcode(status), "cpu_seconds": usage.ru_utime + usage.ru_stime, "peak_bytes": peak}
            send(self._control, ended)


def _kill_group(process: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):  # macOS says PermissionError for a group of zombies
        os.killpg(process, signal.SIGKILL)


def _has_one_thread() -> bool:
    """Return whether this process has one thread, those that Python did not start included, so that forking it is safe."""
    tasks = Path("/proc/self/task")
    for _ in range(50):  # a thread that was joined may take a moment to leave
        if (len(list(tasks.iterdir())) if tasks.is_dir() else threading.active_count()) == 1:
            return True
        time.sleep(0.01)
    return False


def _main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    control, progress, lifeline = (int(argument) for argument in sys.argv[3:])
    server = _Server(cast("Preload", sys.argv[1]), cast("Method", sys.argv[2]), control, progress, lifeline)
    if server.prepare():
        server.serve()


if __name__ == "__main__":
    _main()
