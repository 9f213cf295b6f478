"""New shapes, and elements that move: against numpy's reshape, transpose, stack and friends."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest


@pytest.mark.parametrize("shape", [(3, 2, 4), (5, 3, 2, 4), (2, 5, 3, 2, 4)])
def test_flatten(nn: Any, shape: tuple[int, ...]) -> None:
    x = nn.random(*shape)
    result = (*shape[:-3], 24, 1, 1)
    nn.close(nn.run("flatten", {"mode": "CHANNEL_FIRST"}, x), x.reshape(result))
    nn.close(nn.run("flatten", {"mode": "CHANNEL_LAST"}, x), np.moveaxis(x, -3, -1).reshape(result))


@pytest.mark.parametrize(("target", "result"), [((6, 4, 1), (2, 1, 6, 4, 1)), ((4, 2, 3, 2), (4, 1, 2, 3, 2))])
def test_legacy_reshape(nn: Any, target: tuple[int, ...], result: tuple[int, ...]) -> None:
    x = nn.random(2, 1, 3, 2, 4)
    nn.close(nn.run("reshape", {"targetShape": target}, x), x.reshape(result))
    channel_last = np.moveaxis(x, 2, 4).reshape(*result[:2], *result[3:], result[2])
    nn.close(nn.run("reshape", {"targetShape": target, "mode": "CHANNEL_LAST"}, x), np.moveaxis(channel_last, 4, 2))


STATIC: list[tuple[str, dict[str, Any], tuple[int, ...], tuple[int, ...]]] = [
    ("reshapeStatic", {"targetShape": [4, 6]}, (2, 3, 4), (4, 6)),
    ("reshapeStatic", {"targetShape": [2, -1]}, (2, 3, 4), (2, 12)),
    ("rankPreservingReshape", {"targetShape": [5, -1]}, (20, 10), (5, 40)),
    ("rankPreservingReshape", {"targetShape": [0, 2, 25]}, (20, 10, 5), (20, 2, 25)),
    ("rankPreservingReshape", {"targetShape": [25, 0, -1]}, (10, 3, 5), (25, 3, 2)),
    ("expandDims", {"axes": [0, 1]}, (10, 5), (1, 1, 10, 5)),
    ("expandDims", {"axes": [0, 2]}, (10, 5), (1, 10, 1, 5)),
    ("expandDims", {"axes": [-2, -1]}, (10, 5), (10, 5, 1, 1)),
    ("expandDims", {"axes": [1, 0, -2]}, (10,), (1, 1, 1, 10)),
    ("squeeze", {"axes": [0, 1]}, (1, 1, 10, 5), (10, 5)),
    ("squeeze", {"axes": [-1, 0]}, (1, 10, 5, 1), (10, 5)),
    ("squeeze", {"axes": [0]}, (1,), (1,)),
    ("squeeze", {"squeezeAll": True}, (1, 3, 1, 7), (3, 7)),
    ("squeeze", {"squeezeAll": True}, (1, 1), (1,)),
    ("flattenTo2D", {"axis": -1}, (3,), (1, 3)),
    ("flattenTo2D", {"axis": 1}, (3,), (3, 1)),
    ("flattenTo2D", {"axis": -1}, (4, 3), (4, 3)),
    ("flattenTo2D", {"axis": 0}, (5, 2), (1, 10)),
    ("flattenTo2D", {"axis": -2}, (5, 5, 3), (5, 15)),
    ("flattenTo2D", {"axis": -1}, (2, 3, 2), (6, 2)),
]


@pytest.mark.parametrize(("kind", "params", "shape", "result"), STATIC)
def test_reshapes(nn: Any, kind: str, params: dict[str, Any], shape: tuple[int, ...], result: tuple[int, ...]) -> None:
    x = nn.random(*shape)
    nn.close(nn.run(kind, params, x), x.reshape(result))


def test_shapes_that_are_inputs(nn: Any) -> None:
    x = nn.random(2, 6)
    nn.close(nn.run("reshapeLike", {}, x, nn.random(4, 3)), x.reshape(4, 3))
    nn.close(nn.run("reshapeDynamic", {}, x, [3, 4]), x.reshape(3, 4))
    nn.close(nn.run("broadcastToDynamic", {}, x, [3, 2, 6]), np.broadcast_to(x, (3, 2, 6)))
    nn.close(nn.run("broadcastToLike", {}, x, nn.random(3, 2, 6)), np.broadcast_to(x, (3, 2, 6)))
    nn.close(nn.run("broadcastToStatic", {"targetShape": [3, 2, 6]}, x), np.broadcast_to(x, (3, 2, 6)))
    nn.close(nn.run("getShape", {}, nn.random(4, 1, 7)), np.asarray([4, 1, 7], np.float32))


REARRANGED: list[tuple[str, dict[str, Any], tuple[int, ...], Any]] = [
    ("permute", {"axis": [0, 3, 1, 2]}, (2, 3, 4, 5, 6), lambda x: x.transpose(0, 1, 4, 2, 3)),
    ("permute", {"axis": [3, 1, 2, 0]}, (2, 3, 4, 5, 6), lambda x: x.transpose(4, 1, 2, 3, 0)),
    ("permute", {"axis": [0, 3, 2, 1]}, (2, 3, 4, 5, 6), lambda x: x.transpose(0, 1, 4, 3, 2)),
    ("permute", {}, (2, 3, 4, 5, 6), lambda x: x),
    ("transpose", {"axes": [3, 1, 2, 0]}, (6, 7, 8, 9), lambda x: x.transpose(3, 1, 2, 0)),
    ("transpose", {"axes": [1, 2, 0]}, (1, 3, 4, 5), lambda x: x.transpose(0, 2, 3, 1)),
    ("tile", {"reps": [1, 2, 6]}, (2, 4, 2), lambda x: np.tile(x, (1, 2, 6))),
    ("tile", {"reps": [6]}, (2, 4, 2), lambda x: np.tile(x, (1, 1, 6))),
    ("sequenceRepeat", {"nRepetitions": 3}, (1, 2, 3, 2, 2), lambda x: np.tile(x, (3, 1, 1, 1, 1))),
    ("sequenceRepeat", {}, (1, 2, 3, 2, 2), lambda x: x),
    ("reverse", {"reverseDim": [True, False, True]}, (2, 3, 4), lambda x: x[::-1, :, ::-1]),
    ("reverse", {"reverseDim": [False]}, (4,), lambda x: x),
    ("slidingWindows", {"axis": 1, "windowSize": 3, "step": 2}, (2, 8, 4), lambda x: np.stack([x[:, i : i + 3] for i in (0, 2, 4)], 1)),
    ("slidingWindows", {"axis": -1, "windowSize": 2, "step": 3}, (6,), lambda x: np.stack([x[0:2], x[3:5]])),
]


@pytest.mark.parametrize(("kind", "params", "shape", "reference"), REARRANGED)
def test_rearrangements(nn: Any, kind: str, params: dict[str, Any], shape: tuple[int, ...], reference: Any) -> None:
    x = nn.random(*shape)
    nn.close(nn.run(kind, params, x), reference(x))


def test_joins(nn: Any) -> None:
    a, b, c = (nn.random(2, size, 3, 2, seed=size) for size in (1, 4, 2))
    nn.close(nn.run("concat", {}, a, b, c), np.concatenate([a, b, c], 1))
    nn.close(nn.run("concatND", {"axis": 1}, a, b, c), np.concatenate([a, b, c], 1))
    nn.close(nn.run("concatND", {"axis": -3}, a, b), np.concatenate([a, b], 1))
    sequence = [nn.random(size, 1, 2, 1, 1) for size in (3, 2)]
    nn.close(nn.run("concat", {"sequenceConcat": True}, *sequence), np.concatenate(sequence, 0))
    x, y = nn.random(2, 3), nn.random(2, 3, seed=1)
    for axis, result in ((0, (4, 3)), (1, (2, 6)), (-1, (2, 6))):
        expected = np.empty(result, np.float32)
        np.moveaxis(expected, axis, 0)[0::2], np.moveaxis(expected, axis, 0)[1::2] = np.moveaxis(x, axis, 0), np.moveaxis(y, axis, 0)
        nn.close(nn.run("concatND", {"axis": axis, "interleave": True}, x, y), expected)
    for axis in (0, 2, -1, -2):
        nn.close(nn.run("stack", {"axis": axis}, x, y, x), np.stack([x, y, x], axis))


def test_splits(nn: Any) -> None:
    x = nn.random(2, 6, 3, 2)
    for actual, expected in zip(nn.run("split", {"nOutputs": 3}, x, outputs=3), np.split(x, 3, 1), strict=True):
        nn.close(actual, expected)
    for params, parts in (({"axis": -3, "numSplits": 2}, np.split(x, 2, 1)), ({"axis": 1, "splitSizes": [1, 5]}, np.split(x, [1], 1))):
        for actual, expected in zip(nn.run("splitND", params, x, outputs=2), parts, strict=True):
            nn.close(actual, expected)
    for actual, expected in zip(nn.run("splitND", {"axis": 1, "numSplits": 4}, x, outputs=4), np.array_split(x, 4, 1), strict=True):
        nn.close(actual, expected)


# The example of the specification: two pixels of eight channels.
SPECIFIED = np.arange(1, 17, dtype=np.float32).reshape(8, 1, 2)
DEPTH_TO_SPACE = np.asarray([[[1, 5, 2, 6], [9, 13, 10, 14]], [[3, 7, 4, 8], [11, 15, 12, 16]]], np.float32)
PIXEL_SHUFFLE = np.asarray([[[1, 3, 2, 4], [5, 7, 6, 8]], [[9, 11, 10, 12], [13, 15, 14, 16]]], np.float32)


@pytest.mark.parametrize("lead", [(), (1,), (1, 1)])
def test_reorganize_data(nn: Any, lead: tuple[int, ...]) -> None:
    def run(mode: str, x: np.ndarray) -> np.ndarray:
        result: np.ndarray = nn.run("reorganizeData", {"mode": mode, "blockSize": 2}, x.reshape(*lead, *x.shape))
        return result

    nn.close(run("DEPTH_TO_SPACE", SPECIFIED), DEPTH_TO_SPACE.reshape(*lead, 2, 2, 4))
    nn.close(run("SPACE_TO_DEPTH", DEPTH_TO_SPACE), SPECIFIED.reshape(*lead, 8, 1, 2))
    nn.close(run("PIXEL_SHUFFLE", SPECIFIED), PIXEL_SHUFFLE.reshape(*lead, 2, 2, 4))


REFUSED: list[tuple[str, dict[str, Any], list[tuple[int, ...]], str]] = [
    ("reshape", {"targetShape": [4, 1, 1]}, [(2, 2)], "rank 2"),
    ("reshape", {"targetShape": [4, -1, 1]}, [(1, 1, 2, 2, 1)], "target shape"),
    ("reshape", {"targetShape": [2, 2, 1, 1]}, [(2, 2, 1, 1, 1)], "batch of more than one"),
    ("reshapeStatic", {"targetShape": [0, 4]}, [(2, 2)], "target shape"),
    ("expandDims", {"axes": [0, -3]}, [(2,)], "axes"),
    ("squeeze", {"axes": [1]}, [(1, 2)], "not 1"),
    ("permute", {"axis": [0, 1, 2, 2]}, [(1, 1, 1, 1, 1)], "order"),
    ("transpose", {"axes": [0, 0]}, [(2, 2)], "axes"),
    ("transpose", {"axes": [1, 2, 0]}, [(2, 3, 4, 5)], "axes"),
    ("sequenceRepeat", {"nRepetitions": 2}, [(2, 1, 1, 1, 1)], "in which order"),
    ("concat", {}, [(1, 2, 2), (1, 1, 2, 2)], "different ranks"),
    ("broadcastToStatic", {"targetShape": [3, 2]}, [(3, 3)], "does not broadcast"),
    ("reorganizeData", {"mode": "SPACE_TO_DEPTH", "blockSize": 2}, [(1, 3, 2)], "do not fill"),
    ("splitND", {"axis": 4, "numSplits": 2}, [(2, 2)], "axis 4"),
]


@pytest.mark.parametrize(("kind", "params", "shapes", "why"), REFUSED)
def test_refused(nn: Any, kind: str, params: dict[str, Any], shapes: Any, why: str) -> None:
    assert why in nn.refusal(kind, params, *shapes, outputs=2 if "split" in kind else 1)
