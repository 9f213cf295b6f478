"""Boxes of detected objects.

Source: `NonMaximumSuppressionLayerParams` in NeuralNetwork.proto. A box's score is the largest of its classes. Boxes are chosen by falling score, and each
suppresses those that it overlaps by more than the threshold. Where no box reaches the least score, the best one is chosen. Places that are left over hold 0,
as indices -1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlpipe.runtime.lowered import UnsupportedLayerError
from mlpipe.runtime.mlprogram.op import Build, op
from mlpipe.runtime.mlprogram.ops.sampling_grid import count_up
from mlpipe.runtime.mlprogram.ops.sizes import vector
from mlpipe.runtime.mlprogram.values import Tensor


@dataclass(frozen=True)
class Limits:
    """What is suppressed."""

    iou: float | Tensor
    score: float | Tensor
    max_boxes: int | Tensor
    per_class: bool


@op("non_maximum_suppression")
def non_maximum_suppression(
    build: Build,
    boxes: Tensor,
    scores: Tensor,
    iou_threshold: float,
    score_threshold: float,
    max_boxes: int,
    per_class_suppression: bool = False,
) -> list[str]:
    """Return the chosen boxes, their scores, their indices and their number.

    Shapes: boxes [batch, boxes, 4] as centre and size, scores [batch, boxes, classes]; the results [batch, max_boxes, ...] and [batch].
    """
    return suppressed(build, boxes.name, scores.name, Limits(iou_threshold, score_threshold, max_boxes, per_class_suppression))


@op("non_maximum_suppression", since="iOS17")
def non_maximum_suppression_boxes_last(
    build: Build,
    boxes: Tensor,
    scores: Tensor,
    iou_threshold: float,
    max_boxes: int,
    per_class_suppression: bool = False,
) -> list[str]:
    """Return the chosen boxes, their scores and their indices.

    Shapes: boxes [batch, 4, boxes] as centre and size, scores [batch, classes, boxes]; the results [batch, ..., max_boxes].
    """
    limits = Limits(iou_threshold, -np.inf, max_boxes, per_class_suppression)
    rows, classes = (build.add("Transpose", table, perm=[0, 2, 1]) for table in (boxes, scores))
    *chosen, indices, _ = suppressed(build, rows, classes, limits)
    return [*(build.add("Transpose", table, perm=[0, 2, 1]) for table in chosen), indices]


def suppressed(build: Build, boxes: str, scores: str, limits: Limits) -> list[str]:
    """Return the chosen boxes, their scores, their indices and their number, with boxes and scores as `non_maximum_suppression` takes them."""
    best = build.add("ReduceMax", scores, build.int64(-1), keepdims=0)
    candidates = _by_class(build, scores, best) if limits.per_class else build.add("Unsqueeze", best, build.int64(1))
    return _chosen(build, _kept(build, boxes, candidates, best, limits), best, (boxes, scores), _most(build, limits))


def _single(build: Build, limit: Tensor) -> str:
    return build.add("Reshape", limit, build.int64(1))


def _most(build: Build, limits: Limits) -> str:
    return build.graph.cast(_single(build, limits.max_boxes), np.int64) if isinstance(limits.max_boxes, Tensor) else build.int64(limits.max_boxes)


def _overlap(build: Build, iou: float | Tensor) -> str:
    """Return the threshold as ONNX Runtime takes it, which refuses a negative one that is only known when it runs."""
    if isinstance(iou, Tensor):
        return build.add("Min", _single(build, iou), build.floats([1.0]))
    if iou < 0:
        raise UnsupportedLayerError("a negative iou_threshold suppresses boxes that do not overlap")
    return build.floats([min(iou, 1.0)])


def _by_class(build: Build, scores: str, best: str) -> str:
    """Return the boxes' scores as candidates of the class that each belongs to. Shapes: [batch, classes, boxes]."""
    own = build.add("Equal", build.add("ArgMax", scores, axis=-1), _range_over(build, scores, -1))
    candidates = build.add("Where", own, build.add("Unsqueeze", best, build.int64(-1)), build.floats(-np.inf))
    return build.add("Transpose", candidates, perm=[0, 2, 1])


def _kept(build: Build, boxes: str, candidates: str, best: str, limits: Limits) -> str:
    """Return which boxes are chosen, of each class at most max_boxes. Shapes: [batch, boxes]."""
    if isinstance(limits.score, Tensor):
        reached = build.add("GreaterOrEqual", candidates, _single(build, limits.score))
        candidates = build.add("Where", reached, candidates, build.floats(-np.inf))
    # ONNX Runtime rejects a score that equals the threshold; the operation keeps it.
    least = float(np.finfo(np.float32).min if isinstance(limits.score, Tensor) else np.nextafter(np.float32(limits.score), np.float32(-np.inf)))
    numbers = _most(build, limits), _overlap(build, limits.iou), build.floats([least])
    selected = build.add("NonMaxSuppression", boxes, candidates, *numbers, center_point_box=1)
    places = build.add("Gather", selected, build.int64(0, 2), axis=1)
    none = build.add("Expand", build.graph.constant(0, np.bool_), build.add("Shape", best))
    marks = build.add("Expand", build.graph.constant(1, np.bool_), build.add("Shape", places, start=0, end=1))
    kept = build.add("ScatterND", none, places, marks)
    # Nothing suppresses the best box; that it is chosen even below the least score makes no difference to others.
    top = build.add("Equal", build.add("ArgMax", best, axis=1), _range_over(build, best, 1))
    return build.add("Or", kept, top)


def _chosen(build: Build, kept: str, best: str, tables: tuple[str, str], most: str) -> list[str]:
    """Return the first that are kept, as many as `most` says, by falling score: their rows of each table, their indices and their number."""
    count = build.add("Shape", best, start=1, end=2)
    places = build.add("Min", count, most)
    ranked = build.add("Where", kept, best, build.floats(-np.inf))
    _, order = build.add_many("TopK", 2, ranked, places, axis=1, largest=1, sorted=1)
    valid = build.add("GatherElements", kept, order, axis=1)
    left_over = build.add("Sub", most, places)
    expanded = build.add("Unsqueeze", valid, build.int64(-1))
    results = []
    for table in tables:
        rows = build.add("GatherND", table, build.add("Unsqueeze", order, build.int64(-1)), batch_dims=1)
        rows = build.add("Where", expanded, rows, build.floats(0.0))
        results.append(build.add("Pad", rows, vector(build, 0, 0, 0, 0, left_over, 0)))
    minus_one = build.int64(-1)
    indices = build.add("Where", valid, order, minus_one)
    padded = build.add("Pad", indices, vector(build, 0, 0, 0, left_over), build.graph.constant(-1, np.int64))
    return [*results, padded, build.add("ReduceSum", build.graph.cast(valid, np.int32), build.int64(1), keepdims=0)]


def _range_over(build: Build, value: str, axis: int) -> str:
    """Return 0, 1, ... along a dimension of a value."""
    where = axis + build.graph.rank(value) if axis < 0 else axis
    return count_up(build, build.add("Shape", value, start=where, end=where + 1))
