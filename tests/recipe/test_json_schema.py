from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from mlpipe.errors import RecipeError
from mlpipe.recipe.json_schema import json_schema
from mlpipe.recipe.loader import parse
from mlpipe.recipe.plan import Plan


def validator(kind: str) -> jsonschema.Draft202012Validator:
    return jsonschema.Draft202012Validator(json_schema(kind))


@pytest.mark.parametrize("kind", ["recipe", "pipeline"])
def test_schemas_are_valid(kind: str) -> None:
    jsonschema.Draft202012Validator.check_schema(json_schema(kind))
    assert json_schema(kind)["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_what_loads_is_valid(valid_recipe: str, plan_of: Callable[[str], Plan]) -> None:
    plan_of(valid_recipe)
    data = parse(valid_recipe, Path("recipe.yaml")).plain()
    assert [error.message for error in validator("recipe").iter_errors(data)] == []


@pytest.mark.parametrize(
    ("text", "is_valid"),
    [
        ("recipes: [a/*.yaml]\ncache: {size: 20 GB}\nenv: [A]\nworkers: {memory: 4 GB, timeout: {convert: 10m}}\n", True),
        ("mlpipe: 1\ndefaults: {convert: {to: neuralnetwork}, gate: {'*': {snr_db: '>= 3'}}, release: {variant: a}, source: {allow_code: true}}\n", True),
        ("defaults: {name: a}\n", False),
        ("defaults: {convrt: {}}\n", False),
        ("defaults: {gate: {'*': {snr_db: '=> 3'}}}\n", False),
        ("recipe: []\n", False),
        ("cache: 20 GB\n", False),
    ],
)
def test_workspace_files(text: str, is_valid: bool) -> None:
    assert validator("pipeline").is_valid(parse(text, Path("pipeline.yaml")).plain()) is is_valid


def _properties(schema: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(schema, dict):
        for name, entry in schema.get("properties", {}).items():
            yield f"{path}/{name}", entry
        for key, inner in schema.items():
            yield from _properties(inner, f"{path}/{key}")


@pytest.mark.parametrize("kind", ["recipe", "pipeline"])
def test_every_key_is_described(kind: str) -> None:
    assert [path for path, entry in _properties(json_schema(kind)) if not entry.get("description")] == []


def test_another_kind() -> None:
    with pytest.raises(RecipeError, match="there is no schema 'reciep'; choose recipe or pipeline"):
        json_schema("reciep")
