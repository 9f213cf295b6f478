from __future__ import annotations

import pytest

from mlpipe.engine.clean import clean
from mlpipe.engine.state import State
from mlpipe.errors import RecipeError


@pytest.fixture
def build(tmp_path):
    """A build folder that two recipes, one of which failed at once, share with another program."""
    folder = tmp_path / "build"
    (folder / ".mlpipe" / "logs" / "failed").mkdir(parents=True)
    state = State(folder / ".mlpipe" / "state.sqlite3")
    state.put("tasks", "digits:convert", {})
    state.close()
    for name in ("digits", "failed", "objects"):
        (folder / name).mkdir()
        (folder / name / "file").touch()
    (folder / "notes.txt").touch()
    return folder


def left(build):
    return sorted(path.name for path in build.iterdir())


def test_only_what_runs_made_is_removed(build):
    assert [path.name for path in clean(build, [], everything=False)] == ["digits", "failed"]
    assert left(build) == [".mlpipe", "notes.txt", "objects"]
    clean(build, [], everything=True)
    assert left(build) == ["notes.txt", "objects"]
    with pytest.raises(RecipeError, match="not made by mlpipe"):
        clean(build, [], everything=True)


@pytest.mark.parametrize("name", ["objects", "notes.txt", "..", ".", "", ".mlpipe", "digits/../objects", "/"])
def test_what_is_no_recipe_is_refused(build, name):
    before = left(build)
    with pytest.raises(RecipeError, match="there is nothing of recipe"):
        clean(build, [name], everything=True)
    assert left(build) == before


def test_a_linked_folder_is_let_go_of_and_stays(build, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "file").touch()
    (build / ".mlpipe" / "logs" / "linked").mkdir()
    (build / "linked").symlink_to(tmp_path / "elsewhere")
    clean(build, ["linked"], everything=False)
    assert not (build / "linked").is_symlink()
    assert (tmp_path / "elsewhere" / "file").exists()
