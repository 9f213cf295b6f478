from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from mlpipe.recipe.loader import parse
from mlpipe.recipe.merge import deep_merge
from mlpipe.recipe.nodes import Node

KEYS = st.sampled_from("abcd")
DATA = st.recursive(st.integers() | st.none() | st.lists(st.integers(), max_size=2), lambda inner: st.dictionaries(KEYS, inner, max_size=3), max_leaves=8)
MAPPINGS = st.dictionaries(KEYS, DATA, max_size=4)


def node(data: dict[str, Any], name: str = "recipe.yaml") -> Node:
    return parse(json.dumps(data), Path(name))


def leaves(data: Any, path: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    """Return everything that is no mapping with keys, by path."""
    if not isinstance(data, dict) or not data:
        return {path: data}
    return {where: leaf for key, inner in data.items() for where, leaf in leaves(inner, (*path, key)).items()}


@given(MAPPINGS, MAPPINGS)
@settings(deadline=None)
def test_what_is_written_wins_and_nothing_else_is_lost(under: dict[str, Any], over: dict[str, Any]) -> None:
    merged = leaves(deep_merge(node(under), node(over)).plain())
    for path, leaf in leaves(over).items():
        if leaf != {}:
            assert merged[path] == leaf
    for path, leaf in leaves(under).items():
        shadowed = any((path[: len(other)] == other and value != {}) or other[: len(path)] == path for other, value in leaves(over).items())
        if path and not shadowed:
            assert merged[path] == leaf


@given(MAPPINGS, MAPPINGS, MAPPINGS)
@settings(deadline=None)
def test_merging_is_associative_and_has_an_identity(first: dict[str, Any], second: dict[str, Any], third: dict[str, Any]) -> None:
    a, b, c = node(first), node(second), node(third)
    assert deep_merge(a, a).plain() == first
    assert deep_merge(node({}), a).plain() == first == deep_merge(a, node({})).plain()
    left, right = deep_merge(deep_merge(a, b), c).plain(), deep_merge(a, deep_merge(b, c)).plain()
    scalar_between = any(not isinstance(value, dict) for value in leaves(second).values())
    assert left == right or scalar_between  # a value that replaces a mapping forgets what was under it


def test_every_value_keeps_its_file() -> None:
    merged = deep_merge(node({"a": {"b": 1, "c": [1, 2]}}, "pipeline.yaml"), node({"a": {"c": [3]}}, "recipe.yaml"))
    assert merged.plain() == {"a": {"b": 1, "c": [3]}}
    assert {path: inner.place.file.name for path, inner in merged.walk() if inner.is_scalar} == {("a", "b"): "pipeline.yaml", ("a", "c", 0): "recipe.yaml"}
