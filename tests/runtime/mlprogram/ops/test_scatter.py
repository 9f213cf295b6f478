"""Scattering against numpy's unbuffered in-place operations."""

from __future__ import annotations

import numpy as np
import pytest

from mlpipe.errors import InvalidInput, NotExecutable

RANDOM = np.random.default_rng(13)
DATA = RANDOM.standard_normal((4, 5)).astype(np.float32)
WHOLE = np.arange(20, dtype=np.int32).reshape(4, 5)
UFUNCS = {"add": np.add, "sub": np.subtract, "mul": np.multiply, "max": np.maximum, "min": np.minimum}


def combine(data, where, updates, mode):
    result = data.copy()
    if mode == "update":
        result[where] = updates
    else:
        UFUNCS[mode].at(result, where, updates)
    return result


@pytest.mark.parametrize("mode", [*UFUNCS, "update"])
@pytest.mark.parametrize("data", [DATA, WHOLE], ids=["float", "int"])
def test_scatter(run, mode, data) -> None:
    # Where several updates meet, "update" does not say which wins.
    indices = np.asarray([2, 0, 2] if mode != "update" else [2, 0, 1], np.int32)
    updates = (RANDOM.standard_normal((4, 3)) * 5).astype(data.dtype)
    (result,) = run(lambda mb, x, u: mb.scatter(data=x, indices=indices, updates=u, axis=1, mode=mode), {"x": data, "u": updates})
    np.testing.assert_allclose(result, combine(data, (slice(None), indices), updates, mode), rtol=1e-6)


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("indices", [np.asarray([[0, 2], [1, 0]], np.int32), np.int32(2)], ids=["matrix", "single"])
def test_scatter_with_indices_of_other_ranks(run, indices, axis) -> None:
    data = RANDOM.standard_normal((3, 4, 5)).astype(np.float32)
    where = axis % 3
    updates = RANDOM.standard_normal((*data.shape[:where], *np.shape(indices), *data.shape[where + 1 :])).astype(np.float32)
    expected = data.copy()
    for place in np.ndindex(np.shape(indices)):
        target = (slice(None),) * where
        expected[(*target, indices[place])] += updates[(*target, *place)]
    (result,) = run(lambda mb, x, u: mb.scatter(data=x, indices=indices, updates=u, axis=axis, mode="add"), {"x": data, "u": updates})
    np.testing.assert_allclose(result, expected, rtol=1e-5)


@pytest.mark.parametrize("mode", [*UFUNCS, "update"])
def test_scatter_along_axis(run, mode) -> None:
    indices = np.asarray([[3, 0, 1, 2, 0], [1, 2, 0, 3, 3]], np.int32)
    updates = RANDOM.standard_normal((2, 5)).astype(np.float32)
    (result,) = run(lambda mb, x, u: mb.scatter_along_axis(data=x, indices=indices, updates=u, axis=0, mode=mode), {"x": DATA, "u": updates})
    np.testing.assert_allclose(result, combine(DATA, (indices, np.arange(5)[None]), updates, mode), rtol=1e-6)


@pytest.mark.parametrize("mode", [*UFUNCS, "update"])
def test_scatter_nd(run, mode) -> None:
    indices = np.asarray([[3], [1]], np.int32)
    updates = RANDOM.standard_normal((2, 5)).astype(np.float32)
    (result,) = run(lambda mb, x, u: mb.scatter_nd(data=x, indices=indices, updates=u, mode=mode), {"x": DATA, "u": updates})
    np.testing.assert_allclose(result, combine(DATA, indices[:, 0], updates, mode), rtol=1e-6)


NEGATIVE = {
    "scatter": ({"axis": 1}, np.asarray([-2], np.int32), np.ones((4, 1), np.float32), np.s_[:, 3]),
    "scatter_along_axis": ({"axis": 1}, np.asarray([[-2]] * 4, np.int32), np.ones((4, 1), np.float32), np.s_[:, 3]),
    "scatter_nd": ({}, np.asarray([[-1, -5], [0, -1]], np.int32), np.ones(2, np.float32), ([3, 0], [0, 4])),
}


@pytest.mark.parametrize("op", NEGATIVE)
def test_negative_indices_count_from_the_end_until_ios16_and_are_refused_after(run, op) -> None:
    parameters, indices, updates, where = NEGATIVE[op]

    def body(mb, x, i):
        return getattr(mb, op)(data=x, indices=i, updates=updates, mode="add", **parameters)

    expected = DATA.copy()
    expected[where] += 1
    feed = {"x": DATA, "i": indices}
    (result,) = run(body, feed, opset="iOS15")
    np.testing.assert_allclose(result, expected)
    with pytest.raises(InvalidInput, match="cannot compute these inputs"):
        run(body, feed)
    with pytest.raises(NotExecutable, match="negative indices"):
        run(lambda mb, x: body(mb, x, indices), {"x": DATA})


WHOLE_DATA = np.asarray([[700, -701, 702], [-703, 704, 2_000_000_000]], np.int32)
DIVISION = {
    "scatter": ({"indices": np.asarray([0, 2, 0], np.int32), "axis": 1}, [[7, 3, -2], [5, -2, 3]]),
    "scatter_along_axis": ({"indices": np.asarray([[1, 0, 1], [1, 1, 1]], np.int32), "axis": 0}, [[7, 3, -2], [5, -2, 3]]),
    "scatter_nd": ({"indices": np.asarray([[0, 0], [1, 2], [0, 0]], np.int32)}, [7, 3, -2]),
}


@pytest.mark.parametrize("op", DIVISION)
@pytest.mark.parametrize("data", [WHOLE_DATA, WHOLE_DATA.astype(np.float32)], ids=["int", "float"])
def test_division(run, op, data) -> None:
    parameters, updates = DIVISION[op]
    updates = np.asarray(updates, data.dtype)
    expected = data.astype(np.float64)
    indices = parameters["indices"]
    for place in np.ndindex(updates.shape):
        if op == "scatter":
            target = (place[0], indices[place[1]])
        elif op == "scatter_along_axis":
            target = (indices[place], place[1])
        else:
            target = tuple(indices[place[0]])
        expected[target] = expected[target] / updates[place]
        if data.dtype == np.int32:
            expected[target] = np.trunc(expected[target])
    (result,) = run(lambda mb, x, u: getattr(mb, op)(data=x, updates=u, mode="div", **parameters), {"x": data, "u": updates})
    np.testing.assert_allclose(result, expected, rtol=1e-6)
