from __future__ import annotations

from pathlib import Path

import pytest

from mlpipe.errors import RecipeError
from mlpipe.recipe.workspace import load_workspace

RECIPE = "source: {keras: ../../model.keras}\n"


@pytest.fixture
def workspace(folder: Path) -> Path:
    """A workspace of two recipes."""
    for name in ("one", "two"):
        (folder / "recipes" / name).mkdir(parents=True)
        (folder / "recipes" / name / "recipe.yaml").write_text(RECIPE)
    (folder / "pipeline.yaml").write_text(
        "recipes: [recipes/*/recipe.yaml, recipes/one]\ncache: {size: 20 GB}\nenv: [MLPIPE_TEST_A]\nworkers: {jobs: 2}\n"
        "defaults: {description: 'says ${env.MLPIPE_TEST_A:-nothing}'}\n"
    )
    return folder


def test_a_workspace_lists_its_recipes(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(workspace / "recipes" / "two")
    found = load_workspace()
    assert (found.root, [plan.name for plan in found.plans]) == (workspace, ["one", "two"])
    assert found.files == (workspace / "pipeline.yaml", workspace / "recipes/one/recipe.yaml", workspace / "recipes/two/recipe.yaml")
    assert found.recipe_globs == (str(workspace / "recipes/*/recipe.yaml"), str(workspace / "recipes/one"))
    assert (found.cache_size_bytes, found.workers.jobs, found.environment) == (20 * 10**9, 2, {"MLPIPE_TEST_A": None})
    assert found.plans[0].description == "says nothing"


def test_the_environment_that_was_read_is_recorded(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLPIPE_TEST_A", "hello")
    found = load_workspace(workspace)
    assert (found.environment, found.plans[1].description) == ({"MLPIPE_TEST_A": "hello"}, "says hello")


def test_a_recipe_that_is_named_twice_is_one(workspace: Path) -> None:
    named = [workspace / "recipes" / "two", workspace / "recipes" / "one" / ".." / "two" / "recipe.yaml"]
    assert [plan.name for plan in load_workspace(None, named).plans] == ["two"]


@pytest.mark.parametrize("named", ["recipes/two/recipe.yaml", "recipes/two"])
def test_a_named_recipe_belongs_to_the_workspace_above_it(
    named: str, workspace: Path, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    found = load_workspace(None, [workspace / named])
    assert (found.root, [plan.name for plan in found.plans], found.recipe_globs) == (workspace, ["two"], ())


def test_without_a_workspace_the_recipes_folder_is_one(folder: Path) -> None:
    (folder / "a.yaml").write_text("source: {keras: model.keras}\n")
    found = load_workspace(None, [Path("a.yaml")])
    assert (found.root, found.files, found.workers.jobs, found.cache_size_bytes) == (folder, (folder / "a.yaml",), None, None)


def test_the_mistakes_of_all_recipes_are_shown_at_once(workspace: Path) -> None:
    (workspace / "recipes/one/recipe.yaml").write_text("source: {}\n")
    (workspace / "recipes/two/recipe.yaml").write_text("source: [\n")
    with pytest.raises(RecipeError) as raised:
        load_workspace()
    assert [line.split(":")[0] for line in str(raised.value).split("\n")] == ["recipes/one/recipe.yaml", "recipes/two/recipe.yaml"]


def test_a_mistake_of_the_defaults_is_shown_once(workspace: Path) -> None:
    (workspace / "pipeline.yaml").write_text("recipes: [recipes/*]\ndefaults: {compare: {metrics: [nope]}}\n")
    with pytest.raises(RecipeError, match=r"^pipeline.yaml:2:32: compare.metrics\[0\]: expected [^\n]*$"):
        load_workspace()


@pytest.mark.parametrize("names", [("same", "same"), ("Same", "same")])
def test_recipes_need_names_of_their_own(names: tuple[str, str], workspace: Path) -> None:
    for folder, name in zip(("one", "two"), names, strict=True):
        (workspace / "recipes" / folder / "recipe.yaml").write_text(RECIPE + f"name: {name}\n")
    with pytest.raises(RecipeError, match=r"is the name of recipes/one/recipe.yaml too; both would be built in the same folder"):
        load_workspace()


@pytest.mark.parametrize(
    ("pipeline", "message"),
    [
        ("recipes: [recipies/*]\n", "pipeline.yaml:1:11: recipes[0]: no recipe matches 'recipies/*'"),
        ("recipes: []\n", "pipeline.yaml:1:1: the workspace lists no recipes; add `recipes: [recipes/*/recipe.yaml]`, or name a recipe"),
        ("cache: {}\n", "pipeline.yaml:1:1: the workspace lists no recipes; add `recipes: [recipes/*/recipe.yaml]`, or name a recipe"),
    ],
)
def test_a_workspace_without_recipes(pipeline: str, message: str, workspace: Path) -> None:
    (workspace / "pipeline.yaml").write_text(pipeline)
    with pytest.raises(RecipeError) as raised:
        load_workspace()
    assert str(raised.value) == message


def test_nothing_to_load(folder: Path) -> None:
    with pytest.raises(RecipeError, match=r"^there is no pipeline.yaml in this folder or above; name a recipe"):
        load_workspace()
    with pytest.raises(RecipeError, match=r"^absent.yaml: cannot read the file"):
        load_workspace(None, [folder / "absent.yaml"])


def test_a_workspace_may_lie_in_a_folder_whose_name_looks_like_a_glob(folder: Path) -> None:
    odd = folder / "[odd]*"
    (odd / "one").mkdir(parents=True)
    (odd / "one" / "recipe.yaml").write_text(RECIPE)
    (odd / "pipeline.yaml").write_text("recipes: [one/*.yaml]\n")
    assert [plan.name for plan in load_workspace(odd).plans] == ["one"]
