from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpipe.recipe.loader import parse
from mlpipe.recipe.matrix import expand_matrix
from mlpipe.recipe.mistakes import Mistakes
from mlpipe.recipe.variables import Environment, Variables


def combinations(matrix: Any) -> list[dict[str, Any]]:
    mistakes = Mistakes()
    node = parse(json.dumps({"matrix": matrix}), Path("recipe.yaml")).mapping["matrix"]
    found, _ = expand_matrix(node, (), Variables(None, Environment({}, ()), mistakes), mistakes)
    mistakes.raise_if_any()
    return [{key: value.plain() for key, value in combination.values.items()} for combination in found]


def test_includes_as_github_documents_them() -> None:
    """Source: the example of "Expanding or adding matrix configurations" in GitHub's workflow documentation."""
    matrix = {
        "fruit": ["apple", "pear"],
        "animal": ["cat", "dog"],
        "include": [
            {"color": "green"},
            {"color": "pink", "animal": "cat"},
            {"fruit": "apple", "shape": "circle"},
            {"fruit": "banana"},
            {"fruit": "banana", "animal": "cat"},
        ],
    }
    assert combinations(matrix) == [
        {"fruit": "apple", "animal": "cat", "color": "pink", "shape": "circle"},
        {"fruit": "apple", "animal": "dog", "color": "green", "shape": "circle"},
        {"fruit": "pear", "animal": "cat", "color": "pink"},
        {"fruit": "pear", "animal": "dog", "color": "green"},
        {"fruit": "banana"},
        {"fruit": "banana", "animal": "cat"},
    ]


@pytest.mark.parametrize(
    ("matrix", "expected"),
    [
        ({"a": [1, 2], "exclude": [{"a": 1}]}, [{"a": 2}]),
        ({"a": [1, 2], "b": [3, 4], "exclude": [{"a": 1, "b": 3}]}, [{"a": 1, "b": 4}, {"a": 2, "b": 3}, {"a": 2, "b": 4}]),
        ({"a": [1, 2], "b": [3, 4], "exclude": [{"b": 3}]}, [{"a": 1, "b": 4}, {"a": 2, "b": 4}]),
        ({"a": [1], "exclude": [{"a": 1}], "include": [{"a": 1}]}, [{"a": 1}]),
        ({"include": [{"a": 1}, {"a": 2}]}, [{"a": 1}, {"a": 2}]),
        ({"a": [1, 1.0, "1", True], "exclude": [{"a": "1"}]}, [{"a": 1}, {"a": 1.0}, {"a": True}]),
    ],
)
def test_matrices(matrix: Any, expected: list[dict[str, Any]]) -> None:
    assert combinations(matrix) == expected


AXES = st.dictionaries(st.sampled_from("abc"), st.lists(st.integers(0, 5), min_size=1, max_size=3, unique=True), min_size=1)


@given(AXES, st.data())
@settings(deadline=None)
def test_a_matrix_is_the_product_without_what_is_excluded(axes: dict[str, list[int]], data: st.DataObject) -> None:
    every = combinations(axes)
    assert len(every) == math.prod(len(values) for values in axes.values())
    assert len({tuple(sorted(point.items())) for point in every}) == len(every)
    gone = data.draw(st.sampled_from(every))
    if len(every) > 1:
        assert combinations({**axes, "exclude": [gone]}) == [point for point in every if point != gone]
        added = combinations({**axes, "exclude": [gone], "include": [gone]})
        assert sorted(map(str, added)) == sorted(map(str, every))
