"""A running server of workers, as the main process holds it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
from typing import Literal

from mlpipe.engine.task_spec import Preload
from mlpipe.engine.workers.profiles import environment

_SECONDS_TO_END = 0.3
_TAIL_BYTES = 1000


class ServerProcess:
    """Starts a server and is its handle."""

    def __init__(self, profile: Preload, method: Literal["fork", "spawn"], progress: int, lifeline: int) -> None:
        self.profile = profile
        self.method = method
        """How its workers are made; a server that cannot fork safely says so when it is ready."""
        self.preload_cpu_seconds = 0.0
        self.control, theirs = socket.socketpair()
        self._noise = tempfile.TemporaryFile()  # noqa: SIM115 - what importing the frameworks prints; closed in `close`
        descriptors = (theirs.fileno(), progress, lifeline)
        # -P: the working directory must not shadow packages. Not the user's script: that would run it again.
        command = [sys.executable, "-P", "-m", "mlpipe.engine.workers.server", profile, method, *map(str, descriptors)]
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            command,
            stdin=subprocess.DEVNULL,
            stdout=self._noise,
            stderr=self._noise,
            pass_fds=descriptors,
            start_new_session=True,
            env=environment(),
        )
        theirs.close()

    def kill_worker(self, process: int | None) -> None:
        """Kill a worker and what it started. For the end of everything: else the server does it, which knows that the process is not another by now."""
        if process is not None:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process, signal.SIGKILL)

    def close(self) -> str:
        """End the server and return how it ended and what it printed last."""
        self.control.close()
        try:
            self._process.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._noise.seek(0, os.SEEK_END)
        self._noise.seek(max(0, self._noise.tell() - _TAIL_BYTES))
        printed = self._noise.read().decode(errors="replace").strip()
        self._noise.close()
        status = self._process.returncode
        ended = f"killed by {signal.Signals(-status).name}" if status < 0 else f"status {status}"
        return f"{ended}; it printed: {printed}" if printed else ended
