"""What a key is made of: every field changes it, and where a checkout lies does not."""

from __future__ import annotations

import shutil
from dataclasses import replace

import pytest

from mlpipe.engine.files import canonical_json, digest_of
from mlpipe.engine.keys import Keys
from mlpipe.engine.state import State
from mlpipe.engine.task_spec import TaskSpec
from mlpipe.errors import StepFailed

STEP = "mlpipe.steps.step"


@pytest.fixture
def spec(tmp_path):
    folder = tmp_path / "recipe"
    (folder / "data" / "tree").mkdir(parents=True)
    for name in ("a.txt", "tree/b.txt"):
        (folder / "data" / name).write_text(name)
    return TaskSpec("r:x", STEP, {"bits": 8}, folder, files={"samples": (folder / "data/a.txt", folder / "data/tree")}, tools=("numpy",))


def key(spec, inputs=None, state=None):
    return digest_of(Keys(state or State(None)).fields(spec, inputs or {"model": "m"}))


def test_every_field_counts(spec):
    folder = spec.folder
    variants = {
        "same": key(spec),
        "parameters": key(replace(spec, parameters={"bits": 4})),
        "step": key(replace(spec, step="mlpipe.errors")),
        "inputs": key(spec, {"model": "n"}),
        "role": key(spec, {"other": "m"}),
        "tools": key(replace(spec, tools=("numpy", "pillow"))),
        "absent tool": key(replace(spec, tools=("numpy", "no-such-tool"))),
        "fewer files": key(replace(spec, files={"samples": (folder / "data/a.txt",)})),
    }
    (folder / "data/tree/b.txt").write_text("other")
    variants["content"] = key(spec)
    (folder / "data/tree/b.txt").write_text("tree/b.txt")
    (folder / "data/tree/b.txt").rename(folder / "data/tree/c.txt")
    variants["name"] = key(spec)
    assert len(set(variants.values())) == len(variants)


def test_what_does_not_change_the_result_does_not_count(spec, tmp_path):
    other = tmp_path / "another" / "checkout"
    shutil.copytree(spec.folder, other)
    moved = replace(spec, folder=other, files={"samples": (other / "data/a.txt", other / "data/tree")})
    assert key(moved) == key(spec)
    assert key(replace(spec, name="r:y", memory_bytes=5, timeout_seconds=1, export={"a": tmp_path})) == key(spec)


def test_files_outside_the_recipe_are_named_by_what_they_share(spec, tmp_path):
    for place in ("here", "there"):
        (tmp_path / place / "deep").mkdir(parents=True)
        (tmp_path / place / "deep" / "1.txt").write_text("1")
        (tmp_path / place / "2.txt").write_text("2")
    here, there = (replace(spec, files={"f": (tmp_path / place / "deep/1.txt", tmp_path / place / "2.txt")}) for place in ("here", "there"))
    assert key(here) == key(there)
    (tmp_path / "there" / "2.txt").rename(tmp_path / "there" / "3.txt")
    assert key(replace(spec, files={"f": (tmp_path / "there/deep/1.txt", tmp_path / "there/3.txt")})) != key(here)


def test_digests_are_remembered_by_signature(spec, tmp_path):
    state = State(tmp_path / "s.sqlite3")
    first = key(spec, state=state)
    path = str(spec.folder / "data/a.txt")
    signature, digest = state.get("files", path)
    state.put("files", path, [signature, "0" * 64])
    assert key(spec, state=state) != first, "an unchanged signature is believed"
    (spec.folder / "data/a.txt").write_text("a.txt")
    assert key(spec, state=state) == first, "a changed one is not"
    assert state.get("files", path)[1] == digest
    state.close()


def test_a_file_that_changed_since_is_named(spec):
    keys = Keys(State(None))
    fields = keys.fields(spec, {})
    keys.check_unchanged(spec, fields)
    (spec.folder / "data/tree/b.txt").write_text("other")
    with pytest.raises(StepFailed, match=r"data/tree/b\.txt changed while it was read"):
        keys.check_unchanged(spec, fields)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), object()])
def test_canonical_json_refuses_what_json_cannot_say(value):
    with pytest.raises((ValueError, TypeError)):
        canonical_json({"x": value})


def test_canonical_json_has_one_spelling():
    assert canonical_json({"b": 1, "a": ["é", 1.5, None]}) == '{"a":["é",1.5,null],"b":1}'.encode()
