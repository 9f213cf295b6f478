"""Arithmetic of several tensors against numpy."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import numpy as np
import pytest

BROADCAST: dict[str, Callable[[Any, Any], Any]] = {
    "addBroadcastable": np.add,
    "subtractBroadcastable": np.subtract,
    "multiplyBroadcastable": np.multiply,
    "divideBroadcastable": np.divide,
    "maxBroadcastable": np.maximum,
    "minBroadcastable": np.minimum,
    "powBroadcastable": np.power,
    "floorDivBroadcastable": np.floor_divide,
    "modBroadcastable": np.mod,
}


@pytest.mark.parametrize("kind", BROADCAST)
@pytest.mark.parametrize(("a", "b"), [((3, 4), (3, 4)), ((2, 1, 4), (3, 1)), ((4,), (2, 3, 4)), ((1,), (5,))])
def test_broadcasting(nn: Any, kind: str, a: Any, b: Any) -> None:
    x, y = nn.random(*a), nn.random(*b, seed=1)
    if kind == "powBroadcastable":
        x = np.abs(x) + 0.1
    nn.close(nn.run(kind, {}, x, y), BROADCAST[kind](x.astype(np.float64), y.astype(np.float64)))


def test_remainder_and_quotient_of_every_sign(nn: Any) -> None:
    x, y = np.asarray([7, -7, 7, -7, 6, -6, 0, 5.5]), np.asarray([3, 3, -3, -3, 3, -3, -2, -2])
    nn.close(nn.run("modBroadcastable", {}, x, y), np.mod(x, y))
    nn.close(nn.run("floorDivBroadcastable", {}, x, y), np.floor_divide(x, y))


LEGACY: dict[str, Callable[[list[Any]], Any]] = {
    "add": lambda xs: reduce(np.add, xs),
    "multiply": lambda xs: reduce(np.multiply, xs),
    "average": lambda xs: reduce(np.add, xs) / len(xs),
    "max": lambda xs: reduce(np.maximum, xs),
    "min": lambda xs: reduce(np.minimum, xs),
}


@pytest.mark.parametrize("kind", LEGACY)
@pytest.mark.parametrize(
    "shapes",
    [
        [(2, 3, 4, 5)] * 2,
        [(2, 3, 4, 5)] * 3,
        [(2, 3, 4, 5), (2, 3, 1, 1)],
        [(2, 1, 1, 1), (2, 3, 4, 5)],
        [(2, 3, 4, 5), (2, 1, 4, 5)],
        [(4,), (1, 4)],
        [(2, 3, 4, 5), (3, 1, 1)],
        [(1,), (3, 4)],
    ],
)
def test_several_inputs(nn: Any, kind: str, shapes: Any) -> None:
    arrays = [nn.random(*shape, seed=number) for number, shape in enumerate(shapes)]
    nn.close(nn.run(kind, {}, *arrays), LEGACY[kind]([array.astype(np.float64) for array in arrays]))


@pytest.mark.parametrize("kind", LEGACY)
def test_shapes_that_the_specification_does_not_list_are_refused(nn: Any, kind: str) -> None:
    assert "shapes" in nn.refusal(kind, {}, (2, 3, 4, 5), (2, 3, 4, 1))
    assert "shapes" in nn.refusal(kind, {}, (2, 3, 4, 5), (2, 2, 4, 5))
    assert "shapes" in nn.refusal(kind, {}, (3, 4), (4,))


def test_one_input_and_a_number(nn: Any) -> None:
    x = nn.random(3, 2, 2)
    nn.close(nn.run("add", {"alpha": 1.5}, x), x + 1.5)
    nn.close(nn.run("multiply", {"alpha": -2}, x), x * -2)


def test_dot(nn: Any) -> None:
    a, b = nn.random(2, 6, 1, 1), nn.random(2, 6, 1, 1, seed=1)
    product = np.einsum("bcij,bcij->b", a, b).reshape(2, 1, 1, 1)
    nn.close(nn.run("dot", {}, a, b), product)
    lengths = np.linalg.norm(a, axis=1, keepdims=True) * np.linalg.norm(b, axis=1, keepdims=True)
    nn.close(nn.run("dot", {"cosineSimilarity": True}, a, b), product / lengths)
    assert "not 1" in nn.refusal("dot", {}, (2, 3, 2), (2, 3, 2))
