"""A pipe whose other end only the main process holds: at its end of file the main process is gone, and so must its workers be."""

from __future__ import annotations

import os
import select
import signal
import threading


class Lifeline:
    """A context in which this process's group is killed as soon as the main process is gone."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._stop_read, self._stop_write = os.pipe()
        self._thread = threading.Thread(target=self._watch, name="lifeline", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *exception: object) -> None:
        """End the watch and its thread, so that the process has one thread again and may fork."""
        os.close(self._stop_write)
        self._thread.join()
        os.close(self._stop_read)

    def _watch(self) -> None:
        readable, _, _ = select.select([self._descriptor, self._stop_read], [], [])
        if self._stop_read not in readable:
            os.killpg(0, signal.SIGKILL)
