"""What a workspace remembers between runs: a small sqlite file under build/.mlpipe, written after each task.

All of it can be made again: a state that cannot be read is thrown away, and the store restores what it knew.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from mlpipe.engine.files import disk_errors

Table = Literal["tasks", "fields", "files", "code", "sets"]
_TABLES: tuple[Table, ...] = ("tasks", "fields", "files", "code", "sets")


def state_folder(workspace_root: Path) -> Path:
    """Return where a workspace keeps its state, logs, records, locks and history."""
    return workspace_root / "build" / ".mlpipe"


class State:
    """Tables from names to JSON-able data, read at once when first asked for, written by `flush`.

    tasks: what doit keeps of each task. fields: the key of each task's last attempt, for people who ask why.
    files: signature and digest of files outside the store. code: the same and the imports of Python files. sets: what a digest of several files is made of.
    """

    def __init__(self, path: Path | None) -> None:
        """Open the file, or make it; None is a state that is never written."""
        self.path = path
        self._tables: dict[Table, dict[str, Any]] = {}
        self._unread: dict[Table, dict[str, str]] = {}
        self._changed: dict[Table, set[str]] = {table: set() for table in _TABLES}
        self._connection = None if path is None else _open(path)

    def get(self, table: Table, name: str) -> Any:
        """Return what is kept under a name; None where nothing is."""
        data, unread = self._table(table)
        if name in unread:
            data[name] = json.loads(unread.pop(name))
        return data.get(name)

    def put(self, table: Table, name: str, value: Any) -> None:
        """Keep JSON-able data under a name, None to forget it. Changing what `get` returned needs a `put`, too."""
        data, unread = self._table(table)
        unread.pop(name, None)
        data[name] = value
        self._changed[table].add(name)

    def names(self, table: Table) -> list[str]:
        """Return all names of a table."""
        data, unread = self._table(table)
        return [*unread, *(name for name, value in data.items() if value is not None)]

    def flush(self) -> None:
        """Write what changed, all of it or nothing. Errors: StoreUnusable."""
        if self.path is None or self._connection is None or not any(self._changed.values()):
            return
        with disk_errors(self.path.parent, "free some space, or make the folder writable"), _sqlite_errors(), self._connection:
            for table, names in self._changed.items():
                values = [(name, json.dumps(self._tables[table][name])) for name in names if self._tables[table][name] is not None]
                gone = [(name,) for name in names if self._tables[table][name] is None]
                self._connection.executemany(f"INSERT OR REPLACE INTO {table} VALUES (?, ?)", values)  # noqa: S608 - one of _TABLES
                self._connection.executemany(f"DELETE FROM {table} WHERE name = ?", gone)  # noqa: S608
                names.clear()

    def close(self) -> None:
        """Write what changed and let go of the file."""
        try:
            self.flush()
        finally:
            self.discard()

    def discard(self) -> None:
        """Let go of the file without writing."""
        if self._connection is not None:
            self._connection.close()

    def _table(self, table: Table) -> tuple[dict[str, Any], dict[str, str]]:
        if table not in self._tables:
            rows = [] if self._connection is None else self._connection.execute(f"SELECT name, data FROM {table}").fetchall()  # noqa: S608
            self._tables[table] = {}
            self._unread[table] = dict(rows)
        return self._tables[table], self._unread[table]


class _sqlite_errors:  # noqa: N801 - used as a statement
    """Give what sqlite says of the disk the numbers that the operating system has for it."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        import errno

        if isinstance(error, sqlite3.OperationalError):
            numbers = {sqlite3.SQLITE_FULL: errno.ENOSPC, sqlite3.SQLITE_READONLY: errno.EROFS, sqlite3.SQLITE_CANTOPEN: errno.EACCES}
            number = numbers.get(error.sqlite_errorcode & 0xFF)
            if number is not None:
                raise OSError(number, str(error)) from error


def _open(path: Path) -> sqlite3.Connection:
    with disk_errors(path.parent, "free some space, or make the folder writable"), _sqlite_errors():
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            return _connect(path)
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):  # the disk or another process, not the file's content
                raise
            for suffix in ("", "-wal", "-shm"):
                with suppress(OSError):
                    path.with_name(path.name + suffix).unlink()
            return _connect(path)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=60)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        # Safe against kill -9; a power failure may lose the last tasks, which the store restores.
        connection.execute("PRAGMA synchronous=NORMAL")
        for table in _TABLES:
            connection.execute(f"CREATE TABLE IF NOT EXISTS {table} (name TEXT PRIMARY KEY, data TEXT NOT NULL) WITHOUT ROWID")
            connection.execute(f"SELECT name, data FROM {table} LIMIT 1").fetchone()  # noqa: S608
        connection.commit()
    except BaseException:
        connection.close()
        raise
    return connection


class TaskTable:
    """The state as a backend of doit's Dependency: `get`, `set`, `in_`, `remove`, `remove_all`, `dump`, `name`."""

    def __init__(self, state: State) -> None:
        self.state = state
        self.name = str(state.path)

    def get(self, task: str, field: str) -> Any:
        """Return one field of a task; None where there is none."""
        return (self.state.get("tasks", task) or {}).get(field)

    def set(self, task: str, field: str, value: Any) -> None:
        """Keep one field of a task."""
        self.state.put("tasks", task, {**(self.state.get("tasks", task) or {}), field: value})

    def in_(self, task: str) -> bool:
        """Whether anything is kept of a task."""
        return self.state.get("tasks", task) is not None

    def remove(self, task: str) -> None:
        """Forget a task."""
        if self.in_(task):
            self.state.put("tasks", task, None)

    def remove_all(self) -> None:
        """Forget all tasks."""
        for task in self.state.names("tasks"):
            self.remove(task)

    def dump(self) -> None:
        """Write what changed."""
        self.state.flush()
