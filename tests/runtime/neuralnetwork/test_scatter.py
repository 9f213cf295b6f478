"""Updates at indices against loops over every index."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

MODES: dict[str, Callable[[Any, Any], Any]] = {
    "SCATTER_UPDATE": lambda _, update: update,
    "SCATTER_ADD": np.add,
    "SCATTER_SUB": np.subtract,
    "SCATTER_MUL": np.multiply,
    "SCATTER_DIV": np.divide,
    "SCATTER_MAX": np.maximum,
    "SCATTER_MIN": np.minimum,
}


def indices_for(mode: str, shape: tuple[int, ...], size: int) -> np.ndarray:
    """Return indices, negative ones too; each once where the order of updates would matter, else with repetitions."""
    count = int(np.prod(shape))
    chosen = np.arange(count) if mode == "SCATTER_UPDATE" else np.arange(count) % 2
    return (np.where(chosen % 3 == 1, chosen - size, chosen)).reshape(shape)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("axis", "shape"), [(0, (3,)), (1, (2, 2)), (-1, (4,))])
def test_scatter(nn: Any, mode: str, axis: int, shape: tuple[int, ...]) -> None:
    x = nn.random(5, 6, 7)
    indices = indices_for(mode, shape, x.shape[axis])
    place = axis % 3
    updates = nn.random(*x.shape[:place], *shape, *x.shape[place + 1 :], seed=1) + 3
    expected = np.moveaxis(x.astype(np.float64), place, 0).copy()
    values = np.moveaxis(updates, range(place, place + len(shape)), range(len(shape)))
    for position in np.ndindex(*shape):
        expected[indices[position]] = MODES[mode](expected[indices[position]], values[position])
    nn.close(nn.run("scatter", {"axis": axis, "mode": mode}, x, indices, updates), np.moveaxis(expected, 0, place))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("depth", [1, 2])
def test_scatter_nd(nn: Any, mode: str, depth: int) -> None:
    x = nn.random(5, 6, 3)
    indices = np.stack([indices_for(mode, (4,), size) for size in x.shape[:depth]], -1)
    updates = nn.random(4, *x.shape[depth:], seed=1) + 3
    expected = x.astype(np.float64)
    for number, place in enumerate(map(tuple, indices)):
        expected[place] = MODES[mode](expected[place], updates[number])
    nn.close(nn.run("scatterND", {"mode": mode}, x, indices, updates), expected)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("axis", [0, 1, -1])
def test_scatter_along_axis(nn: Any, mode: str, axis: int) -> None:
    x = nn.random(5, 6, 7)
    along = indices_for(mode, (4,), x.shape[axis]).reshape([4 if number == axis % 3 else 1 for number in range(3)])
    shape = [4 if number == axis % 3 else size for number, size in enumerate(x.shape)]
    indices, updates = np.broadcast_to(along, shape), nn.random(*shape, seed=1) + 3
    expected = x.astype(np.float64)
    for position in np.ndindex(*shape):
        place = tuple(indices[position] if number == axis % 3 else index for number, index in enumerate(position))
        expected[place] = MODES[mode](expected[place], updates[position])
    nn.close(nn.run("scatterAlongAxis", {"axis": axis, "mode": mode}, x, indices, updates), expected)


def test_shapes_that_do_not_fit_are_refused(nn: Any) -> None:
    assert "updates of rank 3" in nn.refusal("scatter", {}, (5, 6), (2,), (2, 6, 1))
    assert "another axis" in nn.refusal("scatterAlongAxis", {"axis": 0}, (5, 6), (2, 5), (2, 5))
