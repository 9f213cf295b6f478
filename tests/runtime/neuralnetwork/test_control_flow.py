"""Branches, loops and copies: networks inside networks, against the same steps in numpy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

X = np.asarray([[1.0, -2.0, 3.0], [0.5, 0.25, -1.0]], np.float32)
WEIGHTS = np.asarray([[0.5, 0.1, 0], [0, 0.4, 0.2], [0.3, 0, 0.6]], np.float32)


def inner(*layers: tuple[str, Sequence[str], Sequence[str], dict[str, Any]]) -> dict[str, Any]:
    """Return a network inside a layer, as JSON."""
    return {
        "layers": [{"name": f"inner {number}", "input": reads, "output": makes, kind: params} for number, (kind, reads, makes, params) in enumerate(layers)]
    }


def number(name: str, value: float) -> tuple[str, list[str], list[str], dict[str, Any]]:
    return ("loadConstantND", [], [name], {"shape": [1], "data": {"floatValue": [value]}})


STEP = inner(
    ("innerProduct", ["state"], ["moved"], {"inputChannels": 3, "outputChannels": 3, "weights": {"floatValue": WEIGHTS.reshape(-1).tolist()}}),
    ("copy", ["moved"], ["state"], {}),
    ("add", ["count"], ["next"], {"alpha": 1}),
    ("copy", ["next"], ["count"], {}),
)
FEWER_THAN_FOUR = inner(("lessThan", ["count"], ["again"], {"alpha": 4}))
SMALL = inner(
    ("reduceSum", ["state"], ["sum"], {"axes": [0, 1]}), ("multiply", ["sum", "sum"], ["square"], {}), ("greaterThan", ["square"], ["again"], {"alpha": 0.5})
)


def steps(state: np.ndarray, count: int) -> np.ndarray:
    for _ in range(count):
        state = state @ WEIGHTS.T
    return state


def until_small(state: np.ndarray, most: int = 1000) -> tuple[np.ndarray, int]:
    count = 0
    while state.sum() ** 2 > 0.5 and count < most:
        state, count = state @ WEIGHTS.T, count + 1
    return state, count


def looping(nn: Any, loop: dict[str, Any], *, reads: Sequence[str] = (), before: Sequence[Any] = (), precision: str = "float32") -> tuple[np.ndarray, float]:
    layers = [number("count", 0), ("copy", ["x"], ["state"], {}), *before, ("loop", reads, [], {"bodyNetwork": STEP, **loop})]
    layers += [("add", ["state"], ["y"], {"alpha": 0}), ("copy", ["count"], ["n"], {})]
    result = nn.model(nn.specification(layers, {"x": X.shape}, ["y", "n"]), precision).predict({"x": X})
    return result["y"], float(result["n"][0])


@pytest.mark.parametrize(
    ("loop", "count"),
    [
        ({"maxLoopIterations": 3}, 3),
        ({"conditionVar": "again", "conditionNetwork": FEWER_THAN_FOUR}, 4),
        ({"conditionVar": "again", "conditionNetwork": FEWER_THAN_FOUR, "maxLoopIterations": 2}, 2),
        ({"conditionVar": "again", "conditionNetwork": FEWER_THAN_FOUR, "maxLoopIterations": 9}, 4),
        ({"maxLoopIterations": 1003}, 1003),
    ],
)
def test_a_loop_whose_iterations_are_known(nn: Any, loop: dict[str, Any], count: int) -> None:
    state, counted = looping(nn, loop)
    nn.close(state, steps(X, count))
    assert counted == count


@pytest.mark.parametrize("most", [None, 1, 1000])
def test_a_loop_whose_end_depends_on_the_numbers(nn: Any, most: int | None) -> None:
    wanted, count = until_small(X, most or 1000)
    assert count == (most if most == 1 else 5)
    state, counted = looping(nn, {"conditionVar": "again", "conditionNetwork": SMALL, **({"maxLoopIterations": most} if most else {})})
    nn.close(state, wanted)
    assert counted == count


@pytest.mark.parametrize("computed", [False, True])
def test_a_loop_that_is_told_how_often(nn: Any, computed: bool) -> None:
    """The input stands above the limit of the layer itself."""
    before = [("reduceSum", ["x"], ["sum"], {"reduceAll": True}), ("round", ["sum"], ["times"], {})] if computed else [number("times", 2)]
    state, counted = looping(nn, {"maxLoopIterations": 7}, reads=["times"], before=before)
    nn.close(state, steps(X, 2))
    assert counted == 2


def test_a_loop_that_grows_a_list(nn: Any) -> None:
    body = inner(("concatND", ["list", "x"], ["longer"], {"axis": 0}), ("copy", ["longer"], ["list"], {}))
    enough = inner(("reduceSum", ["list"], ["sum"], {"reduceAll": True}), ("lessThan", ["sum"], ["again"], {"alpha": 6}))
    layers = [("copy", ["x"], ["list"], {}), ("loop", [], [], {"bodyNetwork": body, "conditionVar": "again", "conditionNetwork": enough})]
    spec = nn.specification([*layers, ("copy", ["list"], ["y"], {})], {"x": X.shape}, ["y"])
    nn.close(nn.model(spec).predict({"x": X})["y"], np.concatenate([X] * 4))


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("otherwise", [True, False])
def test_a_branch(nn: Any, sign: int, known: bool, otherwise: bool) -> None:
    double = inner(("multiply", ["y0"], ["doubled"], {"alpha": 2}), ("copy", ["doubled"], ["y0"], {}), ("copy", ["x"], ["made"], {}))
    negate = inner(("multiply", ["y0"], ["negated"], {"alpha": -1}), ("copy", ["negated"], ["y0"], {}), ("multiply", ["x"], ["made"], {"alpha": 3}))
    condition = [number("c", sign)] if known else [("reduceSum", ["x"], ["c"], {"reduceAll": True})]
    params = {"ifBranch": double, **({"elseBranch": negate} if otherwise else {})}
    layers = [*condition, ("greaterThan", ["c"], ["positive"], {"alpha": 0}), ("add", ["x"], ["y0"], {"alpha": 1}), ("branch", ["positive"], [], params)]
    layers += [("add", ["y0", *(["made"] if otherwise else [])], ["y"], {})]
    x = np.abs(X) * sign
    start = x + 1
    wanted = start * 2 + (x if otherwise else 0) if sign > 0 else -start + 3 * x if otherwise else start
    nn.close(nn.model(nn.specification(layers, {"x": x.shape}, ["y"])).predict({"x": x})["y"], wanted)


def test_what_stands_inside_and_cannot_be_executed_is_listed(nn: Any) -> None:
    body = inner(("loopBreak", [], [], {}), ("custom", ["x"], ["a"], {"className": "Mine"}))
    spec = nn.specification([("loop", [], [], {"bodyNetwork": body, "maxLoopIterations": 2}), ("copy", ["x"], ["y"], {})], {"x": X.shape}, ["y"])
    assert [layer.type for layer in nn.model(spec).unsupported()] == ["loopBreak", "custom"]


def test_a_branch_that_makes_a_rank_depend_on_numbers_is_refused(nn: Any) -> None:
    flat = inner(("flattenTo2D", ["x"], ["f"], {"axis": 1}), ("expandDims", ["f"], ["e"], {"axes": [0]}), ("copy", ["e"], ["z"], {}))
    layers = [
        ("reduceSum", ["x"], ["c"], {"reduceAll": True}),
        ("copy", ["x"], ["z"], {}),
        ("branch", ["c"], [], {"ifBranch": flat}),
        ("copy", ["z"], ["y"], {}),
    ]
    spec = nn.specification(layers, {"x": X.shape}, ["y"])
    assert "rank" in nn.model(spec).unsupported()[0].why


def test_a_loop_of_no_iterations(nn: Any) -> None:
    spec = nn.specification([("copy", ["x"], ["y"], {}), ("loop", [], [], {"bodyNetwork": inner(("copy", ["z"], ["y"], {}))})], {"x": X.shape}, ["y"])
    nn.close(nn.model(spec).predict({"x": X})["y"], X)
