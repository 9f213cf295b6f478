"""Non-maximum suppression as a model against a plain loop over boxes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mlpipe.errors import InvalidInput


def model(specification: Any, *, per_class: bool, iou: float = 0.4, confidence: float = 0.2, rows: str = "") -> Any:
    inputs = {"scores": "float64[]", "boxes": "float64[]", "iou?": "double", "least?": "double"}
    outputs = {"kept scores": f"float64[{rows},3]" if rows else "float64[]", "kept boxes": "float64[]"}
    spec = specification("nonMaximumSuppression", inputs, outputs)
    written = spec.nonMaximumSuppression
    written.pickTop.perClass = per_class
    written.iouThreshold, written.confidenceThreshold = iou, confidence
    written.confidenceInputFeatureName, written.coordinatesInputFeatureName = "scores", "boxes"
    written.iouThresholdInputFeatureName, written.confidenceThresholdInputFeatureName = "iou", "least"
    written.confidenceOutputFeatureName, written.coordinatesOutputFeatureName = "kept scores", "kept boxes"
    return spec


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    width = min(a[0] + a[2] / 2, b[0] + b[2] / 2) - max(a[0] - a[2] / 2, b[0] - b[2] / 2)
    height = min(a[1] + a[3] / 2, b[1] + b[3] / 2) - max(a[1] - a[3] / 2, b[1] - b[3] / 2)
    shared = max(width, 0) * max(height, 0)
    return shared / (a[2] * a[3] + b[2] * b[3] - shared)


def kept_by_hand(scores: np.ndarray, boxes: np.ndarray, *, per_class: bool, iou: float, confidence: float) -> list[int]:
    kept: list[int] = []
    for index in sorted(range(len(boxes)), key=lambda index: -scores[index].max()):
        rivals = [other for other in kept if not per_class or scores[other].argmax() == scores[index].argmax()]
        if scores[index].max() >= confidence and all(overlap(boxes[index], boxes[other]) <= iou for other in rivals):
            kept.append(index)
    return kept


def scene(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.random((40, 3)), np.concatenate([rng.random((40, 2)) * 3, 0.5 + rng.random((40, 2))], axis=1)


@pytest.mark.parametrize("per_class", [True, False])
@pytest.mark.parametrize(("iou", "confidence"), [(0.4, 0.2), (0.1, 0.2), (1.0, 0.2), (0.4, 0.9), (0.0, 0.0)])
@pytest.mark.parametrize("fed", [True, False])
def test_the_best_boxes_are_kept(specification: Any, run: Any, per_class: bool, iou: float, confidence: float, fed: bool) -> None:
    spec = model(specification, per_class=per_class) if fed else model(specification, per_class=per_class, iou=iou, confidence=confidence)
    scenes = [scene(0), scene(1)]
    thresholds = {"iou": iou, "least": confidence} if fed else {}
    results = run(spec, [{"scores": scores, "boxes": boxes, **thresholds} for scores, boxes in scenes])
    for (scores, boxes), result in zip(scenes, results, strict=True):
        kept = kept_by_hand(scores, boxes, per_class=per_class, iou=iou, confidence=confidence)
        np.testing.assert_array_equal(result["kept scores"], scores[kept])
        np.testing.assert_array_equal(result["kept boxes"], boxes[kept])


def test_a_declared_number_of_boxes_is_filled_up_or_cut(specification: Any, run: Any) -> None:
    scores, boxes = scene(0)
    kept = kept_by_hand(scores, boxes, per_class=False, iou=0.4, confidence=0.2)
    (result,) = run(model(specification, per_class=False, rows=str(len(kept) + 2)), [{"scores": scores, "boxes": boxes}])
    np.testing.assert_array_equal(result["kept boxes"], np.concatenate([boxes[kept], np.zeros((2, 4))]))
    (result,) = run(model(specification, per_class=False, rows="2"), [{"scores": scores, "boxes": boxes}])
    np.testing.assert_array_equal(result["kept scores"], scores[kept[:2]])
    assert len(kept) > 2


def test_no_boxes(specification: Any, run: Any) -> None:
    (result,) = run(model(specification, per_class=False), [{"scores": np.zeros((0, 3)), "boxes": np.zeros((0, 4))}])
    assert result["kept scores"].shape == (0, 3)
    assert result["kept boxes"].shape == (0, 4)


def test_boxes_that_do_not_fit_are_refused(specification: Any, run: Any) -> None:
    with pytest.raises(InvalidInput, match="do not fit"):
        run(model(specification, per_class=False), [{"scores": np.zeros((2, 3)), "boxes": np.zeros((3, 4))}])
