"""Every layer that is registered as keeping the float16 grid does: float16 numbers in, nothing but float16 numbers out."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest

from mlpipe.runtime.neuralnetwork.layers import LAYERS
from mlpipe.runtime.precision import half_grid

RANDOM = np.random.default_rng(16)


def grid(*shape):
    """Return finite float16 numbers of all magnitudes."""
    numbers = RANDOM.integers(0, 1 << 16, shape, np.uint16).view(np.float16)
    return np.where(np.isfinite(numbers), numbers, np.float16(0.5)).astype(np.float32)


class Known(NamedTuple):
    """An input that another layer loads."""

    array: np.ndarray


def numbers(*values):
    return np.asarray(values, np.float32)


X = grid(2, 3, 4)
IMAGE = grid(1, 8, 6, 6)
SEQUENCE = grid(1, 1, 8, 6, 6)
ROW, PAIR = [({}, [X])], [({}, [X, grid(2, 3, 4)])]
ALONG = [({"axis": 1}, [X])]
REDUCED = [({"axes": [1]}, [X])]
PLACES = RANDOM.integers(0, 3, (2, 3, 4)).astype(np.float32)

CASES = {
    **dict.fromkeys(("ceil", "floor", "round", "sign", "logicalNot", "whereNonZero", "getShape", "argSort", "lowerTriangular", "upperTriangular"), ROW),
    **dict.fromkeys(("max", "min", "maxBroadcastable", "minBroadcastable", "equal", "notEqual"), PAIR),
    **dict.fromkeys(("lessThan", "lessEqual", "greaterThan", "greaterEqual", "logicalAnd", "logicalOr", "logicalXor", "broadcastToLike"), PAIR),
    **dict.fromkeys(("argMax", "argMin", "stack", "concatND"), ALONG),
    **dict.fromkeys(("reduceMax", "reduceMin"), REDUCED),
    "whereBroadcastable": [({}, [(X > 0).astype(np.float32), X, grid(2, 3, 4)])],
    "permute": [({"axis": [0, 2, 1, 3]}, [SEQUENCE])],
    "transpose": [({"axes": [1, 2, 0]}, [X])],
    "concat": [({}, [IMAGE, grid(1, 2, 6, 6)])],
    "split": [({"nOutputs": 2}, [IMAGE])],
    "splitND": [({"axis": 2, "numSplits": 2}, [X])],
    "tile": [({"reps": [1, 2, 2]}, [X])],
    "sequenceRepeat": [({"nRepetitions": 2}, [grid(1, 1, 2, 3, 4)])],
    "reverse": [({"reverseDim": [True, False, True]}, [X])],
    "reorganizeData": [({"mode": mode, "blockSize": 2}, [IMAGE]) for mode in ("SPACE_TO_DEPTH", "DEPTH_TO_SPACE", "PIXEL_SHUFFLE")],
    "slidingWindows": [({"axis": 2, "windowSize": 2, "step": 1}, [X])],
    "gather": [({"axis": 1}, [X, numbers(2, 0)])],
    "gatherND": [({}, [X, numbers([1, 2], [0, 0])])],
    "gatherAlongAxis": [({"axis": 1}, [X, PLACES])],
    "topK": [({"axis": 2, "K": 2}, [X])],
    "matrixBandPart": [({"numLower": 1, "numUpper": 0}, [X])],
    "flatten": [({}, [IMAGE])],
    "reshape": [({"targetShape": [4, 12, 6]}, [SEQUENCE])],
    "reshapeStatic": [({"targetShape": [4, 6]}, [X])],
    "reshapeDynamic": [({}, [X, numbers(4, 6)])],
    "reshapeLike": [({}, [X, grid(4, 6)])],
    "rankPreservingReshape": [({"targetShape": [3, 2, 0]}, [X])],
    "expandDims": [({"axes": [1]}, [X])],
    "squeeze": [({"axes": [1]}, [grid(2, 1, 3)])],
    "flattenTo2D": [({"axis": 1}, [X])],
    "broadcastToStatic": [({"targetShape": [2, 2, 3, 4]}, [X])],
    "broadcastToDynamic": [({}, [X, numbers(2, 2, 3, 4)])],
    "slice": [({"startIndex": 1, "endIndex": -1, "stride": 2, "axis": "WIDTH_AXIS"}, [IMAGE])],
    "sliceStatic": [({"beginIds": [0, 1, 0], "endIds": [2, 3, 3], "beginMasks": [False] * 3, "endMasks": [False] * 3, "strides": [1, 1, 2]}, [X])],
    "sliceDynamic": [({"beginMasks": [False] * 3, "endMasks": [False] * 3, "strides": [1, 1, 2]}, [X, Known(numbers(0, 1, 0)), Known(numbers(2, 3, 3))])],
    "sliceBySize": [({"size": 2, "axis": 1}, [X, numbers(1)])],
    "reverseSeq": [({"batchAxis": 0, "sequenceAxis": 1}, [X, numbers(2, 3)])],
    "categoricalDistribution": [({"numSamples": 5, "isLogits": True, "eps": 1e-4, "temperature": 1.0}, [grid(2, 4) / 65504])],
    "NonMaximumSuppression": [({"iouThreshold": 0.5, "scoreThreshold": 0.1, "maxBoxes": 3}, [grid(1, 6, 4), np.abs(grid(1, 6, 2))])],
    "crop": [({"cropAmounts": {"borderAmounts": [{"startEdgeSize": 1, "endEdgeSize": 2}, {"startEdgeSize": 0, "endEdgeSize": 1}]}}, [IMAGE])],
}
"""Layer type -> parameters and inputs. `test_no_layer_escapes` asks for a row where one is missing."""

OUTPUTS = {"split": 2, "splitND": 2, "topK": 2, "NonMaximumSuppression": 4}


def results(nn, kind, params, arrays):
    """Return the layer's outputs where nothing is rounded."""
    names, made = [f"x{number}" for number in range(len(arrays))], [f"y{number}" for number in range(OUTPUTS.get(kind, 1))]
    given = dict(zip(names, arrays, strict=True))
    known = {name: value.array for name, value in given.items() if isinstance(value, Known)}
    loads = [("loadConstantND", [], [name], {"shape": list(value.shape), "data": nn.weights(value)}) for name, value in known.items()]
    feed = {name: value for name, value in given.items() if name not in known}
    spec = nn.specification([*loads, (kind, names, made, params)], {name: value.shape for name, value in feed.items()}, made)
    return list(nn.model(spec).predict(feed).values())


def on_grid(value):
    return np.array_equal(half_grid(value), value, equal_nan=True)


def test_no_layer_escapes() -> None:
    assert {kind for kind, layer in LAYERS.items() if layer.keeps_grid} == CASES.keys()


@pytest.mark.parametrize("kind", CASES)
def test_layer_keeps_the_grid(nn, kind) -> None:
    for params, arrays in CASES[kind]:
        for value in results(nn, kind, params, arrays):
            assert value.size
            assert on_grid(value)


@pytest.mark.parametrize(("kind", "params", "arrays"), [("multiply", {}, PAIR[0][1]), ("softmax", {}, [IMAGE]), ("add", {"alpha": 0.1}, [X])])
def test_the_check_finds_layers_that_leave_the_grid(nn, kind, params, arrays) -> None:
    assert not LAYERS[kind].keeps_grid
    assert not on_grid(results(nn, kind, params, arrays)[0])
