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


def test_negative_indices_count_from_the_end_until_ios16_and_are_refused_after(run) -> None:
    updates = np.ones((4, 1), np.float32)

    def body(mb, x, i):
        return mb.scatter(data=x, indices=i, updates=updates, axis=1, mode="add")

    feed = {"x": DATA, "i": np.asarray([-2], np.int32)}
    (result,) = run(body, feed, opset="iOS15")
    np.testing.assert_allclose(result, DATA + np.asarray([0, 0, 0, 1, 0], np.float32))
    with pytest.raises(InvalidInput, match="cannot compute these inputs"):
        run(body, feed)


def test_division_is_refused(run) -> None:
    with pytest.raises(NotExecutable, match="mode 'div'"):
        run(lambda mb, x: mb.scatter(data=x, indices=np.asarray([0], np.int32), updates=np.ones((1, 5), np.float32), mode="div"), {"x": DATA})


@pytest.mark.parametrize(
    ("parameters", "where"),
    [
        ({"begin": [1, 0], "end": [3, 5]}, np.s_[1:3]),
        ({"begin": [0, 4], "end": [4, 1], "stride": [2, -2]}, np.s_[::2, 4:1:-2]),
        ({"begin": [0, 1], "end": [0, 0], "begin_mask": [True, False], "end_mask": [True, True]}, np.s_[:, 1:]),
        ({"begin": [-1, 1], "end": [0, 3], "squeeze_mask": [True, False]}, np.s_[-1, 1:3]),
    ],
)
def test_slice_update(run, parameters, where) -> None:
    expected = DATA.copy()
    update = RANDOM.standard_normal(DATA[where].shape).astype(np.float32)
    expected[where] = update
    (result,) = run(lambda mb, x, u: mb.slice_update(x=x, update=u, **parameters), {"x": DATA, "u": update}, opset="iOS18")
    np.testing.assert_array_equal(result, expected)
