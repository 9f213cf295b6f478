"""A picture of everything a finished run rested on and made, so that a run with nothing to do need not build anything to find that out.

It may only ever say "nothing changed" or "I do not know". Imported before anything heavy, so it imports next to nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlpipe.engine.outcome import RunResult

_FORMAT = 1
_LONGEST_LIFE_SECONDS = 12 * 3600
"""The full way is gone at least this often: it tells the store which artifacts are still in use."""
_STORE_VARIABLES = ("MLPIPE_CACHE", "XDG_CACHE_HOME", "HOME")
_CLOCK_TICK_NS = 20_000_000


def read_snapshot(workspace_root: Path, selection: str) -> Any | None:
    """Return the summary of the last run with this selection if nothing it rests on or made has changed; None in any doubt.

    `selection` is whatever of the command line decides what runs, as text.
    """
    try:
        data = json.loads(_path(workspace_root, selection).read_bytes())
        stands = (
            data["program"] == _program()
            and 0 <= time.time() - data["written"] <= _LONGEST_LIFE_SECONDS
            and all(os.environ.get(name) == value for name, value in data["environment"].items())
            and data["selection"] == selection
            and data["fingerprint"] == _fingerprint(data["paths"])
        )
        return data["summary"] if stands else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def write_snapshot(
    workspace_root: Path,
    selection: str,
    summary: Any,
    result: RunResult,
    *,
    files: Iterable[Path],
    folders: Iterable[Path],
    environment: Mapping[str, str | None],
    started_ns: int,
) -> bool:
    """Keep a summary for `read_snapshot`; return whether that could be done.

    `files` were read to make the tasks (also those that were looked for and absent), `folders` are those whose listing decided which samples there are
    (see `listed_folders`), `environment` what the recipes read of it, and `started_ns` the time (`time.time_ns()`) before all of this was first read.
    Nothing is kept of a run in which a task failed, or while which one of these changed.
    """
    path = _path(workspace_root, selection)
    path.unlink(missing_ok=True)
    known = {str(name): _text(found) for name, found in result.watched}
    for read in map(str, (*files, *folders, *result.listed)):
        status = _status(read)
        if status is not None and status.st_ctime_ns >= started_ns - _CLOCK_TICK_NS:
            return False
        known.setdefault(read, _text(_numbers(status)))
    if not result.ok or _digest(known.values()) != _fingerprint(known):
        return False
    from mlpipe.engine.files import write_atomically

    data = {
        "program": _program(),
        "written": time.time(),
        "environment": {**{name: os.environ.get(name) for name in _STORE_VARIABLES}, **environment},
        "selection": selection,
        "summary": summary,
        "fingerprint": _digest(known.values()),
        "paths": list(known),
    }
    try:
        write_atomically(path, json.dumps(data).encode(), _folder(workspace_root).with_name("tmp"))
    except FileNotFoundError:  # another run has started, and emptied it
        return False
    return True


def forget_snapshots(workspace_root: Path) -> None:
    """Remove all snapshots of a workspace."""
    for path in _folder(workspace_root).glob("*.json"):
        path.unlink(missing_ok=True)


def listed_folders(pattern: str) -> list[Path]:
    """Return every folder in which a new file or folder could match a glob (with `**`, too), so that its listing has to be watched."""
    import glob

    found: set[Path] = set()
    parts = Path(pattern).parts
    first = next((index for index, part in enumerate(parts) if glob.has_magic(part)), len(parts) - 1)
    for count in range(first, len(parts)):
        matches = map(Path, glob.glob(str(Path(*parts[:count])), recursive=True))  # noqa: PTH207 - the pattern is absolute
        found.update(match for match in matches if match.is_dir())
    return sorted(found)


def _program() -> list[Any]:
    """Return which mlpipe, on which Python and machine, this is."""
    return [_FORMAT, __file__, sys.version, sys.prefix, os.uname().machine]


def _folder(workspace_root: Path) -> Path:
    return workspace_root / "build" / ".mlpipe" / "snapshots"


def _path(workspace_root: Path, selection: str) -> Path:
    return _folder(workspace_root) / f"{hashlib.sha256(selection.encode()).hexdigest()[:16]}.json"


def _fingerprint(paths: Iterable[str]) -> str:
    stat = os.stat
    texts = []
    for path in paths:
        try:
            status = stat(path)
        except (FileNotFoundError, NotADirectoryError):
            texts.append("-")
        else:
            texts.append(f"{status.st_mtime_ns},{status.st_ctime_ns},{status.st_size},{status.st_ino}")
    return _digest(texts)


def _digest(texts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


def _status(path: str) -> os.stat_result | None:
    try:
        return Path(path).stat()
    except (FileNotFoundError, NotADirectoryError):
        return None


def _numbers(status: os.stat_result | None) -> Sequence[int] | None:
    return None if status is None else (status.st_mtime_ns, status.st_ctime_ns, status.st_size, status.st_ino)


def _text(numbers: Sequence[int] | None) -> str:
    return "-" if numbers is None else ",".join(map(str, numbers))
