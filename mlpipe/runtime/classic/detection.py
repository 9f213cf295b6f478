"""Non-maximum suppression as a model of its own, the last stage of object detectors."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from mlpipe.errors import InvalidInput, NotExecutable
from mlpipe.runtime.classic.columns import Columns, Transform, objects, require_small
from mlpipe.runtime.features import Interface, Sizes


def non_maximum_suppression(parameters: Any, interface: Interface) -> Transform:
    """Return the boxes that are kept, most confident first.

    A box goes where its highest confidence lies under the threshold, or where it overlaps a better box (with `perClass`: of the same class) by more than the
    allowed intersection over union. Where the outputs declare how many boxes they hold, zeros fill up and the least confident go.
    Shapes: confidences boxes x classes, coordinates boxes x 4 (centre x, centre y, width, height), as the inputs.
    """
    least_rows, most_rows = _common_range([feature.sizes for feature in interface.outputs])
    if parameters.WhichOneof("SuppressionMethod") != "pickTop":
        raise NotExecutable("the model names no method of suppression")
    require_small(least_rows, "the boxes that the model gives at least")
    per_class = bool(parameters.pickTop.perClass)

    def one(confidences: np.ndarray, boxes: np.ndarray, overlap: float, least: float) -> tuple[np.ndarray, np.ndarray]:
        if confidences.ndim != 2 or boxes.shape != (len(confidences), 4):
            message = f"confidences of shape {confidences.shape} do not fit coordinates of shape {boxes.shape}"
            raise InvalidInput(message, why="they are boxes x classes and boxes x 4")
        kept = _pick_top(confidences, boxes, overlap, least, per_class)[:most_rows]
        empty = max(0, least_rows - len(kept))
        return tuple(np.concatenate([values[kept], np.zeros((empty, values.shape[1]))]) for values in (confidences, boxes))  # type: ignore[return-value]

    def run(columns: Columns) -> Columns:
        confidences = columns[parameters.confidenceInputFeatureName]
        boxes = columns[parameters.coordinatesInputFeatureName]
        overlaps = _threshold(columns, parameters.iouThresholdInputFeatureName, parameters.iouThreshold, len(boxes))
        leasts = _threshold(columns, parameters.confidenceThresholdInputFeatureName, parameters.confidenceThreshold, len(boxes))
        results = [one(*each) for each in zip(confidences, boxes, overlaps, leasts, strict=True)]
        return {
            parameters.confidenceOutputFeatureName: objects([result[0] for result in results]),
            parameters.coordinatesOutputFeatureName: objects([result[1] for result in results]),
        }

    return run


def _common_range(sizes: Sequence[Sizes]) -> tuple[int, int | None]:
    """Return the lowest and the highest number of boxes that every output may hold; None is unbounded."""
    ranges = [each.ranges[0] if each.ranges else (each.default[0], each.default[0]) for each in sizes if each.ranges or each.default]
    highs = [high for _, high in ranges if high is not None]
    return max((low for low, _ in ranges), default=0), min(highs, default=None)


def _threshold(columns: Columns, name: str, default: float, count: int) -> list[float]:
    """Return the threshold of each sample: its input where one is fed, else the file's."""
    if name not in columns:
        return [default] * count
    return [default if math.isnan(value) else value for value in columns[name].tolist()]


def _pick_top(confidences: np.ndarray, boxes: np.ndarray, overlap: float, least: float, per_class: bool) -> list[int]:
    best = confidences.max(axis=1, initial=0.0)
    classes = confidences.argmax(axis=1) if confidences.shape[1] else np.zeros(len(boxes), np.int64)
    waiting = [int(index) for index in np.argsort(-best, kind="stable") if best[index] >= least]
    kept: list[int] = []
    while waiting:
        top, *others = waiting
        kept.append(top)
        shared = _intersection_over_union(boxes[top], boxes[others])
        waiting = [index for index, share in zip(others, shared, strict=True) if share <= overlap or (per_class and classes[index] != classes[top])]
    return kept


def _intersection_over_union(box: np.ndarray, others: np.ndarray) -> np.ndarray:
    low, high = box[:2] - box[2:] / 2, box[:2] + box[2:] / 2
    lows, highs = others[:, :2] - others[:, 2:] / 2, others[:, :2] + others[:, 2:] / 2
    sides = np.clip(np.minimum(high, highs) - np.maximum(low, lows), 0, None)
    shared = sides.prod(axis=1)
    union = box[2:].prod() + others[:, 2:].prod(axis=1) - shared
    return np.asarray(np.divide(shared, union, out=np.zeros_like(shared), where=union > 0))
