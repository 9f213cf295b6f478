"""What is kept of every executed task (a record) and of every run (a line of the history), under build/.mlpipe."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from mlpipe.engine.files import digest_of, disk_errors, write_atomically
from mlpipe.engine.outcome import RunResult
from mlpipe.engine.state import state_folder
from mlpipe.steps.step import Json

_FIX = "free some space, or make the build folder writable"


def now() -> str:
    """Return the time in UTC, as ISO 8601 writes it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def log_path(workspace_root: Path, task: str) -> Path:
    """Return where the log of a task's last run lies."""
    return Path(f"{workspace_root}/build/.mlpipe/logs/{task.replace(':', '/')}.log")


def record_id(record: Json) -> str:
    """Return the name of a record, which follows from what it says."""
    return digest_of(record)[:20]


def keep_record(workspace_root: Path, record: Json) -> None:
    """Write a record, unless it is there already."""
    path = _record_path(workspace_root, record_id(record))
    if not path.exists():
        with disk_errors(path.parent, _FIX):
            write_atomically(path, json.dumps(record, indent=1, sort_keys=True).encode(), state_folder(workspace_root) / "tmp")


def read_record(workspace_root: Path, identifier: str) -> Json | None:
    """Return a record; None where there is none."""
    try:
        return json.loads(_record_path(workspace_root, identifier).read_bytes())
    except (OSError, ValueError):
        return None


def append_history(workspace_root: Path, recipe: str, result: RunResult, facts: Mapping[str, Json]) -> Json:
    """Append one line to the history in one write, and return it: recipe, time, git revision, tasks with their record ids, and `facts`.

    `facts` are verdicts, sizes and metrics, as the caller has them.
    """
    prefix = f"{recipe}:"
    tasks = {name: task for name, task in result.tasks.items() if name.startswith(prefix)}
    line = {
        "recipe": recipe,
        "time": now(),
        "revision": git_revision(workspace_root),
        "partial": result.partial,
        "ok": all(task.outcome.is_good for task in tasks.values()),
        "tasks": {name: {"outcome": task.outcome.value, "record": task.record, "seconds": round(task.seconds, 3)} for name, task in tasks.items()},
        **facts,
    }
    path = _history_path(workspace_root)
    with disk_errors(path.parent, _FIX):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(handle, json.dumps(line, sort_keys=True).encode() + b"\n")
        finally:
            os.close(handle)
    return line


def read_history(workspace_root: Path) -> Iterator[Json]:
    """Yield the history's lines, oldest first; a line that a crash cut short is left out."""
    with suppress(FileNotFoundError), _history_path(workspace_root).open("rb") as lines:
        for line in lines:
            with suppress(ValueError):
                yield json.loads(line)


def git_revision(folder: Path) -> str | None:
    """Return the commit that is checked out, with `+` where tracked files differ from it; None outside git."""
    revision = _git(folder, "rev-parse", "HEAD")
    if not revision:
        return None
    return f"{revision}+" if _git(folder, "status", "--porcelain", "--untracked-files=no") else revision


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        command = ["git", "-C", str(folder), *arguments]
        answer = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False, stdin=subprocess.DEVNULL)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None


def _record_path(workspace_root: Path, identifier: str) -> Path:
    return state_folder(workspace_root) / "records" / f"{identifier}.json"


def _history_path(workspace_root: Path) -> Path:
    return state_folder(workspace_root) / "history.jsonl"
