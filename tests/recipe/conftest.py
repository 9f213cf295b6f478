"""A folder with the files that recipes name, and the ways to load what is written there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mlpipe.errors import RecipeError
from mlpipe.recipe.plan import Plan
from mlpipe.recipe.workspace import load_plan

FILES = ("model.keras", "model.onnx", "model.mlmodel", "labels.txt", "truth.csv", "x.npz", "a.png", "tables.py", "golden.npz")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory."""
    for name in FILES:
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def plan_of(folder: Path) -> Callable[..., Plan]:
    """Return the plan of a recipe's text, with a workspace file beside it if one is given."""

    def plan(recipe: str, pipeline: str | None = None) -> Plan:
        (folder / "recipe.yaml").write_text(recipe, encoding="utf-8")
        if pipeline is not None:
            (folder / "pipeline.yaml").write_text(pipeline, encoding="utf-8")
        return load_plan(folder / "recipe.yaml")

    return plan


@pytest.fixture
def mistakes_of(plan_of: Callable[..., Plan]) -> Callable[..., list[str]]:
    """Return the messages that a recipe's text gives."""

    def mistakes(recipe: str, pipeline: str | None = None) -> list[str]:
        with pytest.raises(RecipeError) as raised:
            plan_of(recipe, pipeline)
        return str(raised.value).split("\n")

    return mistakes


VALID = sorted(Path(__file__).with_name("valid").glob("*.yaml"))


@pytest.fixture(params=VALID, ids=lambda path: path.stem)
def valid_recipe(request: pytest.FixtureRequest) -> str:
    """The text of each recipe under valid/."""
    path: Path = request.param
    return path.read_text(encoding="utf-8")
