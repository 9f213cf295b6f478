"""Standard output and error as a program's users know them: a reader who leaves, or who was never there, changes no exit code."""

from __future__ import annotations

import io
import os
import sys
from typing import Any, TextIO

from mlpipe.errors import StoreUnusable


class _Stderr(io.FileIO):
    """A descriptor that takes everything: where news cannot be told, the work goes on."""

    def write(self, data: Any, /) -> int:
        """Return how many bytes are done with."""
        try:
            return super().write(data)
        except OSError:
            return memoryview(data).nbytes


class _Stdout(io.FileIO):
    """A descriptor that takes everything once its reader has left, and says once that what it writes to is full."""

    _failed = False

    def write(self, data: Any, /) -> int:
        """Return how many bytes are done with. Errors: StoreUnusable."""
        try:
            return super().write(data)
        except BrokenPipeError:
            return memoryview(data).nbytes
        except OSError as error:
            if self._failed:
                return memoryview(data).nbytes
            self._failed = True
            raise StoreUnusable("standard output cannot be written", why=error.strerror) from error


def prepare_streams() -> None:
    """Make sys.stdout and sys.stderr safe to write to until the process ends, also where they are closed pipes or closed altogether."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass  # a closed 0, 1 or 2 would be given to the next file that is opened
    os.close(descriptor)
    sys.stdout = _text(_Stdout(1, "w", closefd=False), sys.stdout)
    sys.stderr = _text(_Stderr(2, "w", closefd=False), sys.stderr)


def _text(raw: io.FileIO, before: TextIO | None) -> TextIO:
    """Return a text stream with the encoding of the one it replaces, which is None where it was closed."""
    encoding, errors = ("utf-8", "replace") if before is None else (before.encoding, before.errors)
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding, errors, line_buffering=raw.fileno() == 2 or raw.isatty())
