"""Reductions, orders, indices, matrices and constants against numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

REDUCTIONS: dict[str, Any] = {
    "reduceSum": np.sum,
    "reduceMean": np.mean,
    "reduceProd": np.prod,
    "reduceMax": np.max,
    "reduceMin": np.min,
    "reduceL1": lambda x, **how: np.abs(x).sum(**how),
    "reduceL2": lambda x, **how: np.sqrt((x**2).sum(**how)),
    "reduceSumSquare": lambda x, **how: (x**2).sum(**how),
    "reduceLogSum": lambda x, **how: np.log(x.sum(**how)),
    "reduceLogSumExp": lambda x, **how: np.log(np.exp(x).sum(**how)),
}


@pytest.mark.parametrize("kind", REDUCTIONS)
@pytest.mark.parametrize("keep", [False, True])
def test_reductions(nn: Any, kind: str, keep: bool) -> None:
    x = np.abs(nn.random(2, 3, 4)) + 0.1
    wide = x.astype(np.float64)
    for axes in ([1], [-1, 0], [0, 1, 2]):
        nn.close(nn.run(kind, {"axes": axes, "keepDims": keep}, x), REDUCTIONS[kind](wide, axis=tuple(axes), keepdims=keep))
    nn.close(nn.run(kind, {"reduceAll": True, "axes": [1], "keepDims": keep}, x), REDUCTIONS[kind](wide, axis=None, keepdims=keep))
    assert "no axes" in nn.refusal(kind, {}, (2, 2))


LEGACY: dict[str, Any] = {
    "SUM": np.sum,
    "AVG": np.mean,
    "PROD": np.prod,
    "LOGSUM": lambda x, **how: np.log(x + 1e-6).sum(**how),
    "SUMSQUARE": REDUCTIONS["reduceSumSquare"],
    "L1": REDUCTIONS["reduceL1"],
    "L2": REDUCTIONS["reduceL2"],
    "MAX": np.max,
    "MIN": np.min,
}
AXES = {"CHW": (-3, -2, -1), "HW": (-2, -1), "C": (-3,), "H": (-2,), "W": (-1,)}


@pytest.mark.parametrize("mode", LEGACY)
@pytest.mark.parametrize("axis", AXES)
def test_legacy_reduce(nn: Any, mode: str, axis: str) -> None:
    x = np.abs(nn.random(2, 3, 4, 5))
    expected = LEGACY[mode](x.astype(np.float64), axis=AXES[axis], keepdims=True)
    nn.close(nn.run("reduce", {"mode": mode, "axis": axis}, x), expected)


def test_legacy_reduce_epsilon_and_argmax(nn: Any) -> None:
    x = np.abs(nn.random(2, 3, 4))
    nn.close(nn.run("reduce", {"mode": "LOGSUM", "axis": "C", "epsilon": 0.5}, x), np.log(x + 0.5).sum(0, keepdims=True))
    for axis in ("C", "H", "W"):
        nn.close(nn.run("reduce", {"mode": "ARGMAX", "axis": axis}, x), np.argmax(x, AXES[axis][0], keepdims=True))
    assert "more than one axis" in nn.refusal("reduce", {"mode": "ARGMAX", "axis": "HW"}, (2, 2))


TIED = np.asarray([[3, 1, 3, 2], [0, 0, -1, -1], [5, 9, 9, 5]], np.float32)


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_indices_of_extremes(nn: Any, axis: int) -> None:
    nn.close(nn.run("argMax", {"axis": axis}, TIED), np.argmax(TIED, axis, keepdims=True))
    nn.close(nn.run("argMax", {"axis": axis, "removeDim": True}, TIED), np.argmax(TIED, axis))
    nn.close(nn.run("argMin", {"axis": axis}, TIED), np.argmin(TIED, axis, keepdims=True))
    nn.close(nn.run("argMin", {"axis": 0, "removeDim": True}, TIED[0]), np.asarray([1]))


@pytest.mark.parametrize("bottom", [False, True])
def test_top_k(nn: Any, bottom: bool) -> None:
    x = nn.random(4, 6)
    for axis, k in ((0, 2), (-1, 3)):
        order = np.argsort(x if bottom else -x, axis, kind="stable")
        places = np.take(order, range(k), axis)
        for arrays, params in (([x], {"K": k}), ([x, [k]], {"K": 1})):
            values, indices = nn.run("topK", {"axis": axis, "useBottomK": bottom, **params}, *arrays, outputs=2)
            nn.close(values, np.take_along_axis(x, places, axis))
            nn.close(indices, places)
    assert "first of" in nn.refusal("topK", {"axis": 0, "K": 5}, (4, 6), outputs=2)


@pytest.mark.parametrize("descending", [False, True])
def test_arg_sort(nn: Any, descending: bool) -> None:
    for axis in (0, 1):
        expected = np.argsort(-TIED if descending else TIED, axis, kind="stable")
        nn.close(nn.run("argSort", {"axis": axis, "descending": descending}, TIED), expected)


@pytest.mark.parametrize("exclusive", [False, True])
@pytest.mark.parametrize("reverse", [False, True])
def test_cumulative_sum(nn: Any, exclusive: bool, reverse: bool) -> None:
    x = nn.random(3, 5)
    ordered = x[:, ::-1] if reverse else x
    total = np.cumsum(ordered, 1) - (ordered if exclusive else 0)
    params = {"axis": -1, "excludeFinalSum": exclusive, "reverse": reverse}
    nn.close(nn.run("cumSum", params, x), total[:, ::-1] if reverse else total)


def test_gathers(nn: Any) -> None:
    x = nn.random(4, 3, 5)
    indices = np.asarray([[0, -1], [2, 1]])
    for axis in (0, 1, -1):
        nn.close(nn.run("gather", {"axis": axis}, x, indices), np.take(x, indices, axis))
    along = np.asarray([2, 0, -1, 1])[:, None, None] * np.ones((4, 2, 5))
    nn.close(nn.run("gatherAlongAxis", {"axis": 1}, x, along % 3), np.take_along_axis(x, along.astype(int) % 3, 1))
    nn.close(nn.run("gatherAlongAxis", {"axis": 1}, x, np.where(along == 2, -1, along)), np.take_along_axis(x, along.astype(int) % 3, 1))
    nn.close(nn.run("gatherND", {}, x, indices), x[indices[:, 0], indices[:, 1]])
    nn.close(nn.run("gatherND", {}, x, [[3], [0]]), x[[3, 0]])
    nn.close(nn.run("gatherND", {}, x, [1, 2, -1]), x[1, 2, -1])
    assert "rank 1" in nn.refusal("gatherND", {}, (4,), (3, 2))
    assert "another axis" in nn.refusal("gatherAlongAxis", {"axis": 1}, (4, 3), (3, 3))


@pytest.mark.parametrize(("axis", "position"), [(-1, 1), (0, 0), (1, 1), (-2, 0)])
def test_one_hot(nn: Any, axis: int, position: int) -> None:
    indices = np.asarray([2, 0, -1, 4, 3])
    expected = np.moveaxis(np.where(np.arange(4) == indices[:, None], 5, -1), 1, position)
    nn.close(nn.run("oneHot", {"oneHotVectorSize": 4, "axis": axis, "onValue": 5, "offValue": -1}, indices), expected)
    nn.close(nn.run("oneHot", {"oneHotVectorSize": 2, "axis": axis, "onValue": 5, "offValue": -1}, indices, [4]), expected)


BANDS: list[tuple[str, dict[str, Any], Any]] = [
    ("lowerTriangular", {}, np.tril),
    ("lowerTriangular", {"k": 1}, lambda x: np.tril(x, 1)),
    ("lowerTriangular", {"k": -2}, lambda x: np.tril(x, -2)),
    ("upperTriangular", {}, np.triu),
    ("upperTriangular", {"k": 2}, lambda x: np.triu(x, 2)),
    ("upperTriangular", {"k": -1}, lambda x: np.triu(x, -1)),
    ("matrixBandPart", {"numLower": 1, "numUpper": 0}, lambda x: np.tril(np.triu(x, -1))),
    ("matrixBandPart", {"numLower": -1, "numUpper": 2}, lambda x: np.tril(x, 2)),
    ("matrixBandPart", {"numLower": 0, "numUpper": -1}, np.triu),
]


@pytest.mark.parametrize(("kind", "params", "reference"), BANDS)
def test_bands(nn: Any, kind: str, params: dict[str, Any], reference: Any) -> None:
    x = nn.random(2, 4, 6)
    nn.close(nn.run(kind, params, x), reference(x))


def test_what_lies_outside_a_band_is_zero_even_where_it_was_infinite(nn: Any) -> None:
    assert nn.run("lowerTriangular", {}, [[1, np.inf], [2, 3]]).tolist() == [[1, 0], [2, 3]]


def test_constants(nn: Any) -> None:
    values = nn.random(2, 3, 4)
    nn.close(nn.run("loadConstantND", {"shape": [2, 3, 4], "data": nn.weights(values)}), values)
    nn.close(nn.run("loadConstant", {"shape": [2, 3, 4], "data": nn.weights(values)}), values.reshape(1, 1, 2, 3, 4))
    nn.close(nn.run("fillStatic", {"value": 2.5, "targetShape": [2, 3]}), np.full((2, 3), 2.5))
    nn.close(nn.run("fillLike", {"value": 2.5}, values), np.full((2, 3, 4), 2.5))
    nn.close(nn.run("fillDynamic", {"value": 2.5}, [2, 3]), np.full((2, 3), 2.5))


@pytest.mark.parametrize(("start", "end", "step"), [(-10.4, 23, 12.2), (0, 1000, 1), (50.5, 90.5, 1.5), (5, 8, 98), (10, 5, -0.6), (24, -65, -2)])
def test_ranges(nn: Any, start: float, end: float, step: float) -> None:
    expected = np.arange(start, end, step)
    given = {"startValue": start, "stepSizeValue": step}
    nn.close(nn.run("rangeStatic", {"endValue": end, **given}), expected)
    nn.close(nn.run("rangeDynamic", given, [end]), expected)
    nn.close(nn.run("rangeDynamic", {"stepSizeValue": step, "startValue": 99}, [end], [start]), expected)
    nn.close(nn.run("rangeDynamic", {}, [end], [start], [step]), expected)
