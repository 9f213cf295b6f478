"""cropResize, NonMaximumSuppression and reverseSeq as layers, against loops."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest


def lines(first: float, last: float, count: int, mode: str) -> np.ndarray:
    """Where samples lie between the first and the last pixel of a box, as the comment on SamplingMode has it."""
    size = last - first + 1
    if mode == "STRICT_ALIGN_ENDPOINTS_MODE" or (mode == "ALIGN_ENDPOINTS_MODE" and count > 1):
        return np.linspace(first, last, count)
    if mode == "ALIGN_ENDPOINTS_MODE":
        return np.array([(first + last) / 2])
    if mode == "UPSAMPLE_MODE":
        return np.minimum(first + np.arange(count) * size / count, last)
    spacing = max(1.0, size - 1) / count
    return np.minimum(first + spacing * (np.arange(count) + 0.5), max(last, first))


def bilinear(image: np.ndarray, row: float, column: float) -> np.ndarray:
    row, column = np.clip(row, 0, image.shape[1] - 1), np.clip(column, 0, image.shape[2] - 1)
    top, left = int(np.floor(row)), int(np.floor(column))
    bottom, right = min(top + 1, image.shape[1] - 1), min(left + 1, image.shape[2] - 1)
    down, along = row - top, column - left
    upper = image[:, top, left] * (1 - along) + image[:, top, right] * along
    lower = image[:, bottom, left] * (1 - along) + image[:, bottom, right] * along
    return upper * (1 - down) + lower * down


MODES = ["STRICT_ALIGN_ENDPOINTS_MODE", "ALIGN_ENDPOINTS_MODE", "UPSAMPLE_MODE", "ROI_ALIGN_MODE"]
CORNERS = np.array([[1.0, 0.5, 4.5, 6.0], [0.0, 2.0, 3.0, 5.0], [2.0, 1.0, 5.0, 3.5]])


def described(corners: np.ndarray, mode: str) -> np.ndarray:
    """Boxes of corners, height first, in another of the four descriptions."""
    top, left, bottom, right = corners.T
    return np.stack(
        {
            "CORNERS_HEIGHT_FIRST": [top, left, bottom, right],
            "CORNERS_WIDTH_FIRST": [left, top, right, bottom],
            "CENTER_SIZE_HEIGHT_FIRST": [(top + bottom) / 2, (left + right) / 2, bottom - top, right - left],
            "CENTER_SIZE_WIDTH_FIRST": [(left + right) / 2, (top + bottom) / 2, right - left, bottom - top],
        }[mode],
        axis=1,
    )


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("target", [(3, 4), (1, 1)])
@pytest.mark.parametrize(
    ("boxes", "normalized", "scale"),
    [
        ("CORNERS_HEIGHT_FIRST", False, 1.0),
        ("CORNERS_WIDTH_FIRST", True, 1.0),
        ("CENTER_SIZE_HEIGHT_FIRST", False, 0.5),
        ("CENTER_SIZE_WIDTH_FIRST", True, 0.5),
    ],
)
def test_crop_resize(nn: Any, mode: str, target: tuple[int, int], boxes: str, normalized: bool, scale: float) -> None:
    images = nn.random(2, 3, 7, 8)
    rois = described(CORNERS, boxes)
    if normalized:
        rois = rois / np.array([6, 7, 6, 7] if "HEIGHT" in boxes else [7, 6, 7, 6])
    params = {
        "targetSize": target,
        "mode": {"samplingMethod": mode},
        "boxIndicesMode": {"boxMode": boxes},
        "normalizedCoordinates": normalized,
        "spatialScale": scale,
    }
    expected = np.zeros((3, 2, 3, *target))
    for (n, corners), image in product(enumerate(CORNERS * scale), range(2)):
        rows, columns = lines(corners[0], corners[2], target[0], mode), lines(corners[1], corners[3], target[1], mode)
        for (i, row), (j, column) in product(enumerate(rows), enumerate(columns)):
            expected[n, image, :, i, j] = bilinear(images[image].astype(np.float64), row, column)
    nn.close(nn.run("cropResize", params, images[None], rois.reshape(3, 1, 4, 1, 1)), expected, 1e-5)


def test_a_box_may_name_its_image(nn: Any) -> None:
    images = nn.random(2, 3, 7, 8)
    rois = np.array([[1, 0, 0, 2, 2], [0, 0, 0, 2, 2]], np.float32).reshape(2, 1, 5, 1, 1)
    found = nn.run("cropResize", {"targetSize": [3, 3]}, images[None], rois)
    nn.close(found, np.stack([images[1][None, :, :3, :3], images[0][None, :, :3, :3]]))


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    sides = [max(0.0, min(a[k] + a[k + 2] / 2, b[k] + b[k + 2] / 2) - max(a[k] - a[k + 2] / 2, b[k] - b[k + 2] / 2)) for k in (0, 1)]
    return sides[0] * sides[1] / (a[2] * a[3] + b[2] * b[3] - sides[0] * sides[1])


def suppressed(boxes: np.ndarray, scores: np.ndarray, iou: float, least: float, *, per_class: bool) -> list[int]:
    kept: list[int] = []
    order = sorted(range(len(boxes)), key=lambda index: -scores[index].max())
    for index in order:
        rivals = [other for other in kept if not per_class or scores[other].argmax() == scores[index].argmax()]
        if scores[index].max() >= least and all(overlap(boxes[index], boxes[other]) <= iou for other in rivals):
            kept.append(index)
    return kept or order[:1]


@pytest.mark.parametrize("per_class", [False, True])
@pytest.mark.parametrize(("iou", "least", "most"), [(0.3, 0.2, 6), (0.3, 0.2, 40), (0.0, 0.0, 5), (0.5, 2.0, 4)])
@pytest.mark.parametrize("fed", [False, True])
def test_non_maximum_suppression(nn: Any, fed: bool, per_class: bool, iou: float, least: float, most: int) -> None:
    rng = np.random.default_rng(0)
    boxes = np.concatenate([rng.random((2, 20, 2)) * 3, 0.5 + rng.random((2, 20, 2))], axis=-1).astype(np.float32)
    scores = rng.random((2, 20, 3)).astype(np.float32)
    params = {"iouThreshold": iou, "scoreThreshold": least, "maxBoxes": most, "perClassSuppression": per_class}
    limits = [[iou], [least], [most]] if fed else []
    params |= {"iouThreshold": 0.7, "scoreThreshold": 0.4, "maxBoxes": 1} if fed else {}
    found_boxes, found_scores, indices, counts = nn.run("NonMaximumSuppression", params, boxes, scores, *limits, outputs=4)
    for batch in range(2):
        kept = suppressed(boxes[batch], scores[batch], iou, least, per_class=per_class)[:most]
        assert counts[batch] == len(kept)
        assert indices[batch].tolist() == kept + [-1] * (most - len(kept))
        np.testing.assert_array_equal(found_boxes[batch, : len(kept)], boxes[batch][kept])
        np.testing.assert_array_equal(found_scores[batch, : len(kept)], scores[batch][kept])
        assert not found_boxes[batch, len(kept) :].any()
        assert not found_scores[batch, len(kept) :].any()


def test_constants_stand_in_for_the_thresholds(nn: Any) -> None:
    boxes = np.array([[[0, 0, 2, 2], [0.5, 0, 2, 2], [9, 9, 1, 1]]], np.float32)
    scores = np.array([[[0.9], [0.8], [0.1]]], np.float32)
    thresholds = {"iou": 0.9, "least": 0.5, "most": 2}
    layers = [("loadConstantND", [], [name], {"shape": [1], "data": nn.weights([value])}) for name, value in thresholds.items()]
    layers.append(("NonMaximumSuppression", ["boxes", "scores", *thresholds], ["a", "b", "indices", "count"], {"iouThreshold": 0.1, "maxBoxes": 9}))
    model = nn.model(nn.specification(layers, {"boxes": boxes.shape, "scores": scores.shape}, ["indices", "count"]))
    found = model.predict({"boxes": boxes, "scores": scores})
    assert found["indices"].tolist() == [[0, 1]]
    assert found["count"].tolist() == [2]


def test_a_score_that_equals_a_fed_threshold_is_kept(nn: Any) -> None:
    boxes = np.array([[[0, 0, 1, 1], [5, 5, 1, 1], [9, 9, 1, 1]]], np.float32)
    scores = np.array([[[0.9], [0.5], [0.4999]]], np.float32)
    *_, indices, count = nn.run("NonMaximumSuppression", {}, boxes, scores, [0.5], [0.5], [3], outputs=4)
    assert indices.tolist() == [[0, 1, -1]]
    assert count.tolist() == [2]


@pytest.mark.parametrize(("batch_axis", "sequence_axis"), [(0, 1), (0, 2), (1, 2), (0, -1)])
def test_reverse_sequence(nn: Any, batch_axis: int, sequence_axis: int) -> None:
    x = nn.random(3, 4, 5)
    lengths = np.arange(x.shape[batch_axis]) % (x.shape[sequence_axis] + 1)
    expected = np.moveaxis(x.copy(), (batch_axis, sequence_axis % 3), (0, 1))
    for row, length in zip(expected, lengths, strict=True):
        row[:length] = row[:length][::-1].copy()
    expected = np.moveaxis(expected, (0, 1), (batch_axis, sequence_axis % 3))
    np.testing.assert_array_equal(nn.run("reverseSeq", {"batchAxis": batch_axis, "sequenceAxis": sequence_axis}, x, lengths), expected)
