"""A run with nothing to do is recognised without building anything, and nothing else is."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from mlpipe.engine.snapshot import listed_folders

HEAVY = {"doit", "yaml", "pydantic", "click", "sqlite3", "numpy", "dataclasses", "inspect"}


@pytest.fixture
def done(demo):
    (demo.root / "layer.py").write_text("def layer(x):\n    return x\n")
    demo.edit(user_code=True)
    time.sleep(0.1)
    assert demo.run("snapshot")["kept"]
    assert demo.run("snapshot")["snapshot"]
    return demo


def test_it_imports_nothing_heavy(done):
    modules = set(done.run("snapshot")["modules"])
    assert not modules & HEAVY
    assert not {name for name in modules if name.startswith("mlpipe.")} - {"mlpipe.engine", "mlpipe.engine.snapshot"}


def _one_byte(path: Path) -> None:
    status = path.stat()
    with path.open("r+b") as stream:
        first = stream.read(1)
        stream.seek(0)
        stream.write(bytes([first[0] ^ 1]))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def _append(path: Path) -> None:
    path.write_text(path.read_text() + "# edited\n")


CHANGES = {
    "a sample's byte": lambda demo: _one_byte(demo.root / "data/1.txt"),
    "a sample added": lambda demo: (demo.root / "data/7.txt").write_text("7"),
    "a sample removed": lambda demo: (demo.root / "data/1.txt").unlink(),
    "the recipe": lambda demo: (demo.root / "recipe.json").write_text('{"bits": [8, 4]}'),
    "a file that was absent": lambda demo: (demo.root / "absent.json").write_text("{}"),
    "the source": lambda demo: _one_byte(demo.root / "model.txt"),
    "a user module": lambda demo: (demo.root / "layer.py").write_text("def layer(x):\n    return x + 1\n"),
    "a step's code": lambda demo: _append(demo.code / "demo_steps/predict.py"),
    "an output": lambda demo: _one_byte(demo.build / "q4.bin"),
    "an output gone": lambda demo: (demo.build / "q4.bin").unlink(),
    "an artifact": lambda demo: next((demo.cache / "artifacts").rglob("outputs.json")).unlink(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_any_change_is_noticed(done, change):
    CHANGES[change](done)
    assert "modules" not in done.run("snapshot", status=0)


def test_another_environment_is_noticed(done, tmp_path):
    done.cache = tmp_path / "other"
    assert done.outcomes("snapshot").keys() == {"ran"}


def test_an_old_or_damaged_snapshot_is_not_believed(done):
    (path,) = (done.root / "build/.mlpipe/snapshots").glob("*.json")
    text = path.read_text()
    for damaged in ("", text[:-100], text.replace('"written": 1', '"written": 0'), text.replace('"written": ', '"written": 9'), "[]", "null"):
        path.write_text(damaged)
        assert "modules" not in done.run("snapshot")
    assert "modules" in done.run("snapshot")


def test_a_failed_run_leaves_no_snapshot(done):
    done.edit(misbehave={"gate": "fail"})
    assert not done.run("snapshot", status=3)["kept"]
    assert list((done.root / "build/.mlpipe/snapshots").glob("*.json")) == []


def test_a_change_during_the_run_leaves_no_snapshot(demo):
    demo.edit(seconds={"convert": 1.0})
    process = demo.start("snapshot")
    for line in process.stderr:
        if line.startswith("started demo:convert"):
            (demo.root / "data" / "8.txt").write_text("8")
            break
    output, _ = process.communicate(timeout=60)
    assert '"kept": false' in output
    assert "predict:q8" in demo.outcomes("snapshot")["ran"]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("data/*.png", ["data"]),
        ("data/*/x.png", ["data", "data/a", "data/b"]),
        ("data/**/*.png", ["data", "data/a", "data/a/c", "data/b"]),
        ("data/one.png", ["data"]),
    ],
)
def test_folders_whose_listing_decides_what_a_glob_matches(tmp_path, pattern, expected):
    for folder in ("data/a/c", "data/b", "other"):
        (tmp_path / folder).mkdir(parents=True)
    assert [str(folder.relative_to(tmp_path)) for folder in listed_folders(str(tmp_path / pattern))] == expected
