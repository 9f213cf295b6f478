"""The ground that everything stands on: signatures, whole-or-absent writes, copies of their own."""

from __future__ import annotations

import os
import threading
import time

import pytest

from mlpipe.engine import exports
from mlpipe.engine.files import clone, file_sha256, settled_sha256, signature, tree, write_atomically
from mlpipe.engine.store import Store
from mlpipe.errors import StepFailed


def test_a_signature_tells_of_an_edit_whose_mtime_was_set_back(tmp_path):
    path = tmp_path / "a"
    path.write_text("one")
    before = signature(path)
    time.sleep(0.02)
    path.write_text("two")
    os.utime(path, ns=(before[0], before[0]))
    after = signature(path)
    assert after[0] == before[0]
    assert after != before
    assert signature(tmp_path / "absent") is None


def test_a_digest_belongs_to_its_signature_while_somebody_writes(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"0" * 1000)
    stop = threading.Event()

    def write():
        while not stop.is_set():
            path.write_bytes(os.urandom(1000))
            time.sleep(0.03)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(10):
            try:
                found, digest = settled_sha256(path)
            except StepFailed:
                continue
            data_digest = file_sha256(path)
            assert digest == data_digest or signature(path) != found
    finally:
        stop.set()
        writer.join()


def test_a_file_just_written_is_read_only_when_its_tick_is_over(tmp_path, monkeypatch):
    slept = []
    monkeypatch.setattr("mlpipe.engine.files.time.sleep", slept.append)
    path = tmp_path / "a"
    path.write_text("one")
    monkeypatch.setattr("mlpipe.engine.files.time.time_ns", lambda: path.stat().st_mtime_ns + 1_000_000)
    settled_sha256(path)
    assert [round(seconds, 3) for seconds in slept] == [0.019]
    monkeypatch.setattr("mlpipe.engine.files.time.time_ns", lambda: path.stat().st_mtime_ns + 20_000_000)
    settled_sha256(path)
    assert len(slept) == 1


def test_a_missing_file(tmp_path):
    with pytest.raises(StepFailed, match="missing"):
        settled_sha256(tmp_path / "absent")


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "place" / "file"
    write_atomically(path, b"old", tmp_path / "scratch")
    with pytest.raises(TypeError):
        write_atomically(path, "no bytes", tmp_path / "scratch")
    assert path.read_bytes() == b"old"
    assert tree(tmp_path) == ["place/file"]


def test_a_copy_is_a_file_of_its_own(tmp_path):
    (tmp_path / "a").write_text("text")
    (tmp_path / "a").chmod(0o444)
    clone(tmp_path / "a", tmp_path / "b", executable=True)
    assert (tmp_path / "b").stat().st_ino != (tmp_path / "a").stat().st_ino
    assert (tmp_path / "b").stat().st_mode & 0o777 == 0o755
    (tmp_path / "b").write_text("other")
    assert (tmp_path / "a").read_text() == "text"


def test_an_export_keeps_the_executable_bit_and_replaces_whatever_stood_there(tmp_path):
    store = Store(tmp_path / "store")
    with store.session():
        output = store.new_output()
        (output / "tool").write_text("#!/bin/sh\n")
        (output / "tool").chmod(0o700)
        artifact = store.commit(output)
        manifest = store.verify(artifact)
        target = tmp_path / "build" / "tool"
        target.mkdir(parents=True)
        files = exports.part(manifest, "tool")
        exports.place(store.files_of(artifact), "tool", files, target, tmp_path / "scratch")
        assert exports.matches(target, files)
        assert os.access(target, os.X_OK)
        exports.place(store.files_of(artifact), "nothing", exports.part(manifest, "nothing"), target, tmp_path / "scratch")
        assert not target.exists()
