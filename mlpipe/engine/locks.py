"""File locks that go with the process that holds them, however it ends.

`flock` itself: importing the filelock package costs 45 ms.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from mlpipe.engine.files import disk_errors


def try_lock(path: Path, *, create: bool = False) -> int | None:
    """Return a handle that holds the lock of a file; None where another process holds it, or removed the file meanwhile."""
    handle = os.open(path, os.O_RDWR | (os.O_CREAT if create else 0), 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if path.stat().st_ino == os.fstat(handle).st_ino:
            return handle
    except OSError:
        pass
    os.close(handle)
    return None


@contextmanager
def locked(path: Path, waiting: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock of a file inside the block, after waiting for it if need be; `waiting` is told when that is so. The file stays.

    Errors: StoreUnusable.
    """
    with disk_errors(path.parent, "make the folder writable"):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(handle, 100, 0).decode(errors="replace").strip()
            waiting(f"another mlpipe run (process {holder or 'unknown'}) is working in {path.parent.parent}; waiting for it to finish")
            fcntl.flock(handle, fcntl.LOCK_EX)
        os.ftruncate(handle, 0)
        os.pwrite(handle, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(handle)
