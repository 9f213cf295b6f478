"""The store: artifacts by digest, damage as a miss, the size limit, what running processes use, and clear messages."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from mlpipe.engine import store as store_module
from mlpipe.engine.store import Entry, Store
from mlpipe.errors import StepFailed, StoreUnusable


def put(store: Store, **files: str) -> str:
    output = store.new_output()
    for name, text in files.items():
        (output / name).write_text(text)
    return store.commit(output)


def age(store: Store, artifact: str, seconds: float) -> None:
    then = time.time() - seconds
    os.utime(store.files_of(artifact).parent / "manifest.json", (then, then))


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def test_equal_files_are_one_artifact_and_anything_else_is_another(store):
    with store.session():
        first = put(store, a="1", b="2")
        assert put(store, b="2", a="1") == first
        output = store.new_output()
        (output / "a").write_text("1")
        (output / "b").write_text("2")
        (output / "b").chmod(0o755)
        different = {first, put(store, a="1"), put(store, a="2", b="1"), put(store, c="1", b="2"), store.commit(output)}
        assert len(different) == 5
        assert store.verify(first) is not None
    assert not any((store.root / "tmp").iterdir())


def test_a_link_is_refused(store, tmp_path):
    with store.session():
        output = store.new_output()
        (output / "link").symlink_to(tmp_path)
        with pytest.raises(StepFailed, match="link"):
            store.commit(output)


def test_entries_are_kept_by_the_state_of_user_modules_and_damaged_ones_are_misses(store):
    one, two = (Entry("d" * 64, {"n": n}, (), {"layer.py": str(n)}, {}) for n in (1, 2))
    with store.session():
        store.add_entry("k" * 64, one)
        store.add_entry("k" * 64, two)
        store.add_entry("k" * 64, two)
        assert sorted(entry.values["n"] for entry in store.entries("k" * 64)) == [1, 2]
        path = next((store.root / "actions").rglob("*.json"))
        path.write_text(path.read_text().replace('"n": ', '"n": 1'))
        assert len(list(store.entries("k" * 64))) == 1
        assert not path.exists()
    assert list(store.entries("unknown")) == []


def test_the_least_recently_used_goes_first(store):
    store.size_limit_bytes = 250
    with store.session():
        old, used, new = (put(store, file=letter * 100) for letter in "abc")
        for artifact, seconds in ((old, 9000), (used, 9001), (new, 8000)):
            age(store, artifact, seconds)
        assert store.verify(used) is not None
        store.add_entry("k" * 64, Entry(old, None, (), {}, {}))
    assert [store.files_of(artifact).exists() for artifact in (old, used, new)] == [False, True, True]
    assert not (store.root / "actions" / "kk" / ("k" * 64)).exists()


def test_what_a_running_process_uses_stays_above_the_limit(store):
    other = Store(store.root, size_limit_bytes=0)
    with store.session():
        used, unused = put(store, file="a" * 100), put(store, file="b" * 100)
        age(store, used, 9000)
        age(store, unused, 9000)
        assert store.verify(used) is not None
        other.collect_garbage()
        assert store.verify(used) is not None
        assert store.verify(unused) is None
    other.collect_garbage()
    assert not store.files_of(used).exists()


def test_leftovers_of_a_killed_process_are_removed_and_those_of_a_living_one_are_not(store):
    program = f"""
import time
from pathlib import Path
from mlpipe.engine.store import Store
store = Store(Path({str(store.root)!r}))
with store.session():
    (store.new_output() / "half").write_text("half")
    print("ready", flush=True)
    time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "ready\n"
        store.collect_garbage()
        assert len(list((store.root / "tmp").rglob("half"))) == 1
        process.kill()
    store.collect_garbage()
    assert list((store.root / "tmp").iterdir()) == []
    assert list((store.root / "runs").iterdir()) == []


def test_a_cache_that_cannot_be_written_is_one_clear_message(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreUnusable, match=r"cannot be written .*MLPIPE_CACHE"), Store(tmp_path / "file" / "cache").session():
        pass


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="NOT RUN: there is no /dev/full")  # noqa: PTH110
def test_a_full_disk_is_one_clear_message(store):
    with store.session():
        output = store.new_output()
        (output.parent / "manifest.json").symlink_to("/dev/full")
        (output / "a").write_text("1")
        with pytest.raises(StoreUnusable, match="no space left"):
            store.commit(output)


def test_the_default_place(monkeypatch, tmp_path):
    monkeypatch.setenv("MLPIPE_CACHE", str(tmp_path))
    assert store_module.default_root() == tmp_path
    monkeypatch.delenv("MLPIPE_CACHE")
    assert store_module.default_root().name == "mlpipe"
