"""Files as the engine sees them: signatures that are cheap, digests that are certain, writes that are whole or absent."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from mlpipe.errors import StepFailed, StoreUnusable

Signature = tuple[int, int, int, int]
"""(mtime_ns, ctime_ns, size, inode). The ctime tells of an edit whose mtime was set back."""

# A file that was written within the same tick of the file system's clock (4 ms, 10 ms on slow kernels) as it was read can change
# again without a trace in its times; so such a file is read only once the tick is over.
_TICK_NS = 20_000_000
_FICLONE = 0x40049409  # linux/fs.h: share the blocks of another file


def signature(path: str | os.PathLike[str]) -> Signature | None:
    """Return the signature of what stands at path; None where nothing does."""
    try:
        status = os.stat(path)  # noqa: PTH116 - 10,000 times in a run with nothing to do
    except (FileNotFoundError, NotADirectoryError):
        return None
    return status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino


def file_sha256(path: str | os.PathLike[str]) -> str:
    """Return the sha256 of a file's bytes, as hexadecimal digits."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def settled_sha256(path: str | os.PathLike[str]) -> tuple[Signature, str]:
    """Return signature and sha256 of a file, which belong together even if somebody writes to the file at this moment.

    Errors: StepFailed where the file is missing, or keeps changing.
    """
    for _ in range(5):
        before = signature(path)
        if before is None:
            raise StepFailed("the file is missing", where=str(path), why="a step reads it", fix="restore it, or change the recipe")
        age = time.time_ns() - before[1]
        if 0 <= age < _TICK_NS:
            time.sleep((_TICK_NS - age) / 1e9)
        try:
            digest = file_sha256(path)
        except OSError as error:
            raise StepFailed("the file cannot be read", where=str(path), why=error.strerror) from error
        if signature(path) == before:
            return before, digest
    raise StepFailed("the file keeps changing while it is read", where=str(path), fix="run again once nothing writes to it")


def tree(folder: str | os.PathLike[str], *, ours: bool = False) -> list[str]:
    """Return the relative paths (with `/`) of all files below a folder, sorted.

    In a folder of the user's, links are followed and __pycache__ is left out; in one of `ours` a link counts as a file that should not be there.
    """
    found: list[str] = []
    pending = [("", os.fspath(folder))]
    while pending:
        prefix, path = pending.pop()
        with os.scandir(path) as entries:
            for entry in entries:
                if not entry.is_dir(follow_symlinks=not ours):
                    found.append(prefix + entry.name)
                elif ours or entry.name != "__pycache__":
                    pending.append((f"{prefix}{entry.name}/", entry.path))
    return sorted(found)


def folders(root: str | os.PathLike[str]) -> list[str]:
    """Return a folder and all folders below it, except __pycache__: their signatures tell of files that were added; nothing for a file."""
    found = []
    for path, names, _ in os.walk(root):
        names[:] = [name for name in names if name != "__pycache__"]
        found.append(path)
    return found


def relative_text(path: str, folder: str) -> str:
    """Return a normal path relative to a folder, with `/`."""
    if path.startswith(folder + os.sep):
        return path[len(folder) + 1 :].replace(os.sep, "/")
    return os.path.relpath(path, folder).replace(os.sep, "/")


def canonical_json(value: Any) -> bytes:
    """Return the one spelling of JSON-able data that digests are made of. Errors: ValueError for NaN and infinities."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def digest_of(value: Any) -> str:
    """Return the sha256 of JSON-able data."""
    return hashlib.sha256(canonical_json(value)).hexdigest()


def write_atomically(path: Path, data: bytes, scratch: Path) -> None:
    """Write a file so that readers and crashes see the old or the new content, whole.

    What a kill leaves is in `scratch`, a folder on the same file system that somebody empties. There is no fsync: after a power failure a digest
    tells, and a damaged file is made again.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=scratch)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(temporary).unlink()
        raise


def clone(source: Path, target: Path, *, executable: bool) -> None:
    """Make target a file of its own with the bytes of source: shared blocks where the file system can, else a copy. Never a link."""
    if not _reflink(source, target):
        shutil.copyfile(source, target)
    target.chmod(0o755 if executable else 0o644)


def _reflink(source: Path, target: Path) -> bool:
    if sys.platform == "darwin":
        import ctypes

        function = getattr(ctypes.CDLL(None), "clonefile", None)
        return function is not None and function(os.fsencode(source), os.fsencode(target), 0) == 0
    import fcntl

    with source.open("rb") as reader, target.open("wb") as writer:
        try:
            fcntl.ioctl(writer.fileno(), _FICLONE, reader.fileno())
        except OSError:
            return False
    return True


def remove(path: Path) -> None:
    """Remove a file, a link or a folder; nothing there is fine."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def disk_errors(place: Path, fix: str) -> Iterator[None]:
    """Turn a full disk or a folder that cannot be written, inside the block, into one clear StoreUnusable."""
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise StoreUnusable("no space left on the disk", where=str(place), fix=fix) from error
        if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST}:
            raise StoreUnusable("the folder cannot be written", where=str(place), why=error.strerror, fix=fix) from error
        raise
