"""The garbage collector of the store: what crashed processes left, then whatever was not used for longest."""

from __future__ import annotations

import contextlib
import json
import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mlpipe.engine.files import remove
from mlpipe.engine.locks import try_lock

USE_GRANULARITY_SECONDS = 1800.0
"""The time of last use is written only where it is older than this, so that a run with nothing to do writes nothing."""


@dataclass(frozen=True)
class _Artifact:
    folder: Path
    size: int
    last_use: float


def collect(root: Path, size_limit_bytes: int) -> int:
    """Remove leftovers and the least recently used artifacts until the rest fits; return the bytes freed.

    What a running process has used since it started stays, even above the limit.
    """
    oldest_start = _remove_leftovers(root)
    protected_from = None if oldest_start is None else oldest_start - 2 * USE_GRANULARITY_SECONDS
    artifacts = sorted(_artifacts(root), key=lambda artifact: artifact.last_use)
    total = sum(artifact.size for artifact in artifacts)
    freed = 0
    for artifact in artifacts:
        if total - freed <= size_limit_bytes:
            break
        if (protected_from is None or artifact.last_use < protected_from) and _remove_artifact(root, artifact):
            freed += artifact.size
    if freed:
        _remove_dangling_entries(root)
    return freed


def _remove_leftovers(root: Path) -> float | None:
    """Remove what dead processes left; return when the oldest living one started, None where none lives."""
    starts: list[float] = []
    living: set[str] = set()
    for lock in _children(root / "runs"):
        try:
            handle = try_lock(lock)
            if handle is None:
                starts.append(lock.stat().st_mtime)
                living.add(lock.name)
                continue
        except FileNotFoundError:
            continue
        remove(root / "tmp" / lock.name)
        lock.unlink(missing_ok=True)
        os.close(handle)
    # A folder whose lock is gone altogether: its process was killed while it left.
    for folder in _children(root / "tmp"):
        if folder.name not in living and not (root / "runs" / folder.name).exists():
            with contextlib.suppress(OSError):
                remove(folder)
    return min(starts, default=None)


def _artifacts(root: Path) -> Iterator[_Artifact]:
    for shard in _children(root / "artifacts"):
        for folder in _children(shard):
            manifest = folder / "manifest.json"
            try:
                size = sum(entry[0] for entry in json.loads(manifest.read_bytes())["files"].values())
                yield _Artifact(folder, size, manifest.stat().st_mtime)
            except (OSError, ValueError, KeyError, TypeError, AttributeError):
                yield _Artifact(folder, 0, 0.0)


def _remove_artifact(root: Path, artifact: _Artifact) -> bool:
    """Move an artifact out of sight at once, look whether somebody used it in that moment, then remove it."""
    grave = root / "tmp" / f"removed-{uuid.uuid4().hex}"
    try:
        grave.parent.mkdir(exist_ok=True)
        artifact.folder.rename(grave)
        manifest = grave / "manifest.json"
        if manifest.exists() and manifest.stat().st_mtime > artifact.last_use:
            grave.rename(artifact.folder)
            return False
        remove(grave)
    except OSError:
        return False
    return True


def _remove_dangling_entries(root: Path) -> None:
    for shard in _children(root / "actions"):
        for action in _children(shard):
            for path in _children(action):
                try:
                    digest = json.loads(path.read_bytes())["entry"]["artifact"]
                    dangling = not (root / "artifacts" / digest[:2] / digest).exists()
                except (OSError, ValueError, KeyError, TypeError):
                    continue
                if dangling:
                    path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):
                action.rmdir()


def _children(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []
