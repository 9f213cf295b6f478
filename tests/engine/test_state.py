"""The workspace's state: written at once, thrown away where it is damaged."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import subprocess
import sys

import pytest

from mlpipe.engine.state import State
from mlpipe.errors import StoreUnusable


def test_what_is_flushed_survives_a_kill_and_what_is_not_does_not(tmp_path):
    path = tmp_path / "state.sqlite3"
    program = f"""
import os
from pathlib import Path
from mlpipe.engine.state import State
state = State(Path({str(path)!r}))
state.put("tasks", "kept", {{"n": 1}})
state.put("tasks", "forgotten", {{"n": 2}})
state.flush()
state.put("tasks", "forgotten", None)
state.put("sets", "other", [1])
state.flush()
state.put("tasks", "lost", {{"n": 3}})
os.kill(os.getpid(), 9)
"""
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == -9
    state = State(path)
    assert state.get("tasks", "kept") == {"n": 1}
    assert state.names("tasks") == ["kept"]
    assert state.get("tasks", "lost") is None
    state.close()


@pytest.mark.parametrize("content", [b"", b"no database", b"SQLite format 3\0" + b"\xff" * 5000])
def test_a_damaged_file_is_thrown_away(tmp_path, content):
    path = tmp_path / "state.sqlite3"
    path.write_bytes(content)
    state = State(path)
    state.put("tasks", "a", {})
    state.close()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM tasks").fetchone() == (1,)


def test_a_place_that_cannot_be_written_is_one_clear_message(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnusable, match="cannot be written"):
        State(tmp_path / "file" / "state.sqlite3")
    (tmp_path / "state.sqlite3").mkdir()
    with pytest.raises(StoreUnusable, match="cannot be written"):
        State(tmp_path / "state.sqlite3")
    assert os.listdir(tmp_path / "state.sqlite3") == []  # noqa: PTH208
