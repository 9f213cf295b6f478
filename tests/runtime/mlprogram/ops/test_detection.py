"""Suppression of overlapping boxes against the textbook's loop."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlpipe.errors import NotExecutable

RANDOM = np.random.default_rng(14)


def detections(count, classes, batch=2):
    """Return boxes that overlap in all degrees, and scores without ties."""
    boxes = np.concatenate([RANDOM.uniform(0, 20, (batch, count, 2)), RANDOM.uniform(2, 12, (batch, count, 2))], axis=-1)
    scores = RANDOM.permutation(batch * count * classes).reshape(batch, count, classes) / (batch * count * classes)
    return {"boxes": boxes.astype(np.float32), "scores": scores.astype(np.float32)}


def overlap(one, other):
    """Return intersection over union of boxes as centre and size; 0 where both are empty."""
    ends = [(box[:2] - box[2:] / 2, box[:2] + box[2:] / 2) for box in (one, other)]
    shared = np.prod(np.maximum(np.minimum(ends[0][1], ends[1][1]) - np.maximum(ends[0][0], ends[1][0]), 0))
    whole = np.prod(one[2:]) + np.prod(other[2:]) - shared
    return shared / whole if whole else 0.0


def survivors(boxes, scores, iou, least, *, per_class):
    """Return the indices of the chosen boxes of one image, the best first."""
    best, group = scores.max(-1), scores.argmax(-1) if per_class else np.zeros(len(scores))
    chosen = []
    for index in np.argsort(-best, kind="stable"):
        rivals = [other for other in chosen if group[other] == group[index]]
        if best[index] >= least and all(overlap(boxes[index], boxes[other]) <= iou for other in rivals):
            chosen.append(index)
    return chosen or [int(best.argmax())]


def suppressed(boxes, scores, *, iou_threshold, max_boxes, score_threshold=-np.inf, per_class_suppression=False):
    batch, _, classes = scores.shape
    results = [np.zeros((batch, max_boxes, 4)), np.zeros((batch, max_boxes, classes)), np.full((batch, max_boxes), -1), np.zeros(batch)]
    for n in range(batch):
        chosen = survivors(boxes[n].astype(np.float64), scores[n], iou_threshold, score_threshold, per_class=per_class_suppression)[:max_boxes]
        results[0][n, : len(chosen)] = boxes[n, chosen]
        results[1][n, : len(chosen)] = scores[n, chosen]
        results[2][n, : len(chosen)] = chosen
        results[3][n] = len(chosen)
    return results


def same(results, expected):
    for result, value in zip(results, expected, strict=True):
        np.testing.assert_array_equal(result, np.asarray(value, result.dtype))


def thresholds(options):
    return {name: np.float32(value) if name.endswith("threshold") else value for name, value in options.items()}


PLAIN = {"iou_threshold": 0.3, "score_threshold": 0.2, "max_boxes": 12}
CASES = {
    "plain": PLAIN,
    "per class": {**PLAIN, "per_class_suppression": True},
    "all classes, said": {**PLAIN, "per_class_suppression": False},
    "every overlap": {**PLAIN, "iou_threshold": 0.0},
    "no suppression": {**PLAIN, "iou_threshold": 1.0},
    "a limit above one": {**PLAIN, "iou_threshold": 1.5},
    "more places than boxes": {**PLAIN, "max_boxes": 40},
    "one place": {**PLAIN, "max_boxes": 1},
    "few places per class": {**PLAIN, "max_boxes": 3, "per_class_suppression": True},
    "every score": {**PLAIN, "score_threshold": -3.4e38},
    "no score": {**PLAIN, "score_threshold": 2.0},
    "no score of a class": {**PLAIN, "score_threshold": 2.0, "per_class_suppression": True},
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("classes", [1, 3])
def test_non_maximum_suppression(run, case, classes) -> None:
    options, feed = CASES[case], detections(25, classes)
    results = run(lambda mb, boxes, scores: mb.non_maximum_suppression(boxes=boxes, scores=scores, **thresholds(options)), feed, opset="iOS16")
    same(results, suppressed(**feed, **options))


@pytest.mark.parametrize("per_class", [{}, {"per_class_suppression": True}, {"per_class_suppression": False}], ids=str)
@pytest.mark.parametrize("max_boxes", [4, 40])
def test_boxes_last_from_ios17_on(run, per_class, max_boxes) -> None:
    options, feed = {"iou_threshold": 0.3, "max_boxes": max_boxes, **per_class}, detections(25, 3)

    def body(mb, boxes, scores):
        return mb.non_maximum_suppression(boxes=boxes, scores=scores, **thresholds(options))

    results = run(body, {name: value.transpose(0, 2, 1) for name, value in feed.items()})
    boxes, scores, indices, _ = suppressed(**feed, **options)
    same(results, [boxes.transpose(0, 2, 1), scores.transpose(0, 2, 1), indices])


@pytest.mark.parametrize("opset", ["iOS15", "iOS17"])
def test_numbers_of_images_and_boxes_that_vary(mil, run, opset) -> None:
    options, feed = {"iou_threshold": 0.4, "max_boxes": 30, "per_class_suppression": True}, detections(11, 2, batch=3)
    last = opset == "iOS17"
    fed = {name: value.transpose(0, 2, 1) if last else value for name, value in feed.items()}
    count, batch = mil.symbol(), mil.symbol()
    shapes = {name: (batch, width, count) if last else (batch, count, width) for name, width in (("boxes", 4), ("scores", 2))}
    ranges = {count: mil.ct.RangeDim(1, 50, default=11), batch: mil.ct.RangeDim(1, 9, default=3)}
    inputs = [mil.ct.TensorType(name, shape=mil.ct.Shape(tuple(ranges.get(size, size) for size in shape))) for name, shape in shapes.items()]
    more = {} if last else {"score_threshold": np.float32(0.3)}

    def body(mb, boxes, scores):
        return mb.non_maximum_suppression(boxes=boxes, scores=scores, **thresholds(options), **more)

    results = run(body, fed, opset=opset, shapes=shapes, inputs=inputs)
    expected = suppressed(**feed, **options, **more)
    same(results, [*(table.transpose(0, 2, 1) for table in expected[:2]), expected[2]] if last else expected)


def test_what_equals_a_threshold_stays(run) -> None:
    # The second box shares a third with the first; the third box has just the least score; the fourth is empty and overlaps nothing.
    boxes = np.asarray([[[2, 2, 4, 2], [4, 2, 4, 2], [9, 9, 2, 2], [2, 2, 0, 0], [2.5, 2, 4, 2]]], np.float32)
    scores = np.asarray([[[0.9], [0.8], [0.5], [0.6], [0.7]]], np.float32)
    options = {"iou_threshold": np.float32(1) / np.float32(3), "score_threshold": np.float32(0.5), "max_boxes": 5}
    results = run(
        lambda mb, boxes, scores: mb.non_maximum_suppression(boxes=boxes, scores=scores, **options), {"boxes": boxes, "scores": scores}, opset="iOS15"
    )
    np.testing.assert_array_equal(results[2], [[0, 1, 3, 2, -1]])


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
@given(
    count=st.integers(1, 30),
    classes=st.integers(1, 4),
    iou=st.floats(0, 1, width=32),
    least=st.floats(-0.5, 1, width=32),
    places=st.integers(1, 35),
    per_class=st.booleans(),
)
def test_any_thresholds(run, count, classes, iou, least, places, per_class) -> None:
    options = {"iou_threshold": iou, "score_threshold": least, "max_boxes": places, "per_class_suppression": per_class}
    feed = detections(count, classes)
    results = run(lambda mb, boxes, scores: mb.non_maximum_suppression(boxes=boxes, scores=scores, **thresholds(options)), feed, opset="iOS16")
    same(results, suppressed(**feed, **options))


def test_float16_boxes_are_picked_unchanged(run) -> None:
    feed, options = detections(20, 2), {"iou_threshold": np.float16(0.3), "score_threshold": np.float16(0.25), "max_boxes": 9}
    half = {name: value.astype(np.float16).astype(np.float32) for name, value in feed.items()}

    def body(mb, boxes, scores):
        halves = {"boxes": mb.cast(x=boxes, dtype="fp16"), "scores": mb.cast(x=scores, dtype="fp16")}
        picked = mb.non_maximum_suppression(**halves, **options)
        return (*(mb.cast(x=table, dtype="fp32") for table in picked[:2]), *picked[2:])

    same(run(body, half, opset="iOS16", precision="float16"), suppressed(**half, **options))


def test_a_negative_overlap_is_refused(run) -> None:
    options = {"iou_threshold": np.float32(-0.1), "max_boxes": 3}
    with pytest.raises(NotExecutable, match="negative iou_threshold"):
        run(
            lambda mb, boxes, scores: mb.non_maximum_suppression(boxes=boxes, scores=scores, **options),
            {name: value.transpose(0, 2, 1) for name, value in detections(5, 1).items()},
        )
