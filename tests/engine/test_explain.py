"""Why a task is stale, as people read it."""

from __future__ import annotations

import pytest

from mlpipe.engine.explain import changes, sentence

SETS = {"s1": {"a.png": "1", "b.png": "2"}, "s2": {"a.png": "9", "c.png": "3"}, "c1": {"mlpipe.x": "1"}, "c2": {"mlpipe.x": "2"}}


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"parameters": {"bits": 8}}, {"parameters": {"bits": 6}}, ["parameters.bits: 8 -> 6"]),
        ({"parameters": {"a": None}}, {"parameters": {}}, ["parameters.a: null -> (none)", "parameters: (none) -> {}"]),
        ({"parameters": {"steps": [{"bits": 8}]}}, {"parameters": {"steps": [{"bits": 4}]}}, ["parameters.steps.0.bits: 8 -> 4"]),
        ({"parameters": {"names": ["a"]}}, {"parameters": {"names": ["a", "b"]}}, ['parameters.names: ["a"] -> ["a", "b"]']),
        ({"tools": {"coremltools": "9.0"}}, {"tools": {"coremltools": "9.1"}}, ["tools.coremltools: 9.0 -> 9.1"]),
        ({"inputs": {"model": "x"}}, {"inputs": {"model": "y"}}, ["inputs.model (digits:convert) changed"]),
        ({"code": "c1"}, {"code": "c2"}, ["code: mlpipe.x changed"]),
        ({"code": "c1"}, {"code": "unknown"}, ["code: c1 -> unknown"]),
        (
            {"files": {"samples": "s1"}},
            {"files": {"samples": "s2"}},
            ["files.samples: a.png changed", "files.samples: b.png: 2 -> (none)", "files.samples: c.png: (none) -> 3"],
        ),
        ({"python": "3.11", "step": "s"}, {"python": "3.12", "step": "s"}, ["python: 3.11 -> 3.12"]),
        ({"same": [1, 2]}, {"same": (1, 2)}, []),
    ],
)
def test_changes(old, new, expected):
    assert sorted(map(str, changes(old, new, SETS.get, {"model": "digits:convert"}))) == sorted(expected)


def test_a_long_list_is_cut():
    found = changes({"parameters": {str(n): 1 for n in range(5)}}, {"parameters": {str(n): 2 for n in range(5)}}, SETS.get, {})
    assert sentence(found) == "parameters.0: 1 -> 2, parameters.1: 1 -> 2, parameters.2: 1 -> 2, and 2 more"
