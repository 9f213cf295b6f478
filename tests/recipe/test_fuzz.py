"""Whatever stands in a recipe, the answer is a plan or a list of mistakes with places, never a traceback."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlpipe.errors import Location, RecipeError, RecipeErrors
from mlpipe.recipe.loader import parse
from mlpipe.recipe.workspace import load_plan

VALID = sorted(Path(__file__).with_name("valid").glob("*.yaml"))
JUNK: list[Any] = [
    None, True, 0, -1, 3.5, 10**30, float("inf"), "", "x", "converted", "*", ">= 3", "98%", "${width}", "${", "${env.X}", "model.keras", "a/b", "..",
    "tables.py:f", ":", "\u0000", [], ["x"], [1, 2], [[]], [{}], {}, {"x": 1}, {"": {}}, {"bits": [8, 4]}, {"matrix": {}}, {"steps": 3}, {"name": "${x}"},
    {"min": 1}, {"npz": 3}, {"keras": None}, {"method": "linear"}, {"include": [3]}, {"snr_db": {"k": []}},
]  # fmt: skip
KEYS = ["zzz", "method", "bits", "name", "*", "samples", "k", ""]


def places(data: Any) -> list[tuple[Any, Any]]:
    """Return every (container, key) in some data."""
    pairs = list(data.items()) if isinstance(data, dict) else list(enumerate(data)) if isinstance(data, list) else []
    return [(data, key) for key, _ in pairs] + [place for _, inner in pairs for place in places(inner)]


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
@given(data=st.data())
@settings(deadline=None, max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_recipe_with_junk_in_it_is_refused_or_loaded(path: Path, folder: Path, data: st.DataObject) -> None:
    recipe = parse(path.read_text(encoding="utf-8"), path).plain()
    for _ in range(data.draw(st.integers(1, 3))):
        found = places(recipe)
        if not found:
            break
        container, key = found[data.draw(st.integers(0, len(found) - 1))]
        match data.draw(st.sampled_from(["replace", "remove", "add"])):
            case "replace":
                container[key] = copy.deepcopy(data.draw(st.sampled_from(JUNK)))
            case "remove":
                del container[key]
            case "add" if isinstance(container, dict):
                container[data.draw(st.sampled_from(KEYS))] = copy.deepcopy(data.draw(st.sampled_from(JUNK)))
    (folder / "recipe.yaml").write_text(json.dumps(recipe).replace("Infinity", ".inf"), encoding="utf-8")
    errors = errors_of(folder / "recipe.yaml")
    assert all(isinstance(error.where, Location) and error.where.line and error.where.column for error in errors)
    assert len({str(error) for error in errors}) == len(errors)


def errors_of(recipe: Path) -> tuple[RecipeError, ...]:
    """Return the mistakes of a recipe, none if it loads."""
    try:
        load_plan(recipe)
    except RecipeErrors as errors:
        return errors.errors
    return ()
