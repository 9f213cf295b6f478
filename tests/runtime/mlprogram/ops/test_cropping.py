"""Boxes cut out of images against the documented sampling grids, one element at a time."""

from __future__ import annotations

import numpy as np
import pytest

from mlpipe.errors import InvalidInput, NotExecutable

X = np.random.default_rng(12).standard_normal((3, 2, 7, 9)).astype(np.float32)
COUNTING = np.arange(1, 17, dtype=np.float32).reshape(1, 1, 4, 4)
EXACT = {"rtol": 1e-5, "atol": 1e-6}

# (first row, first column, last row, last column) in pixels: plain, of one pixel, between pixels, beyond the image, the whole.
BOXES = np.asarray([[1, 2, 5, 6], [3, 3, 3, 3], [0.4, 1.7, 0.9, 7.2], [-1.5, 4, 3, 12.25], [0, 0, 6, 8]], np.float32)
INDICES = np.asarray([2, 0, 1, 1, 0], np.int32)
OPTIONS = {"target_height": 3, "target_width": 5}


def grid(mode, first, last, count):
    """Return the sampling points as NeuralNetwork.proto words them: numpy.linspace over the interval [0, X - 1], moved to where it starts."""
    size = last - first + 1
    spacing = max(1, size - 1) / count
    middle = (size - 1) / 2
    points = {
        "STRICT_ALIGN_CORNERS": np.linspace(0, size - 1, count),
        "ALIGN_CORNERS": np.linspace(0, size - 1, count) if count > 1 else np.asarray([middle]),
        "DEFAULT": np.linspace(0, size - size / count, count),
        "OFFSET_CORNERS": np.linspace(0.5 * spacing, (count - 0.5) * spacing, count),
        "UNALIGN_CORNERS": (np.arange(count) + 0.5) * size / count - 0.5,
    }[mode]
    return first + np.clip(points, min(0, last - first), max(0, last - first))


def sample(image, row, column, padding):
    height, width = image.shape[1:]
    if not (0 <= row <= height - 1 and 0 <= column <= width - 1):
        return np.full(image.shape[0], padding)
    top, left = int(row), int(column)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    down, along = row - top, column - left
    upper = image[:, top, left] * (1 - along) + image[:, top, right] * along
    lower = image[:, bottom, left] * (1 - along) + image[:, bottom, right] * along
    return upper * (1 - down) + lower * down


def cut(image, box, mode="DEFAULT", padding=0.0):
    """Return one box of one image."""
    top, left, bottom, right = map(float, box)
    rows, columns = grid(mode, top, bottom, OPTIONS["target_height"]), grid(mode, left, right, OPTIONS["target_width"])
    image = image.astype(np.float64)
    return np.stack([np.stack([sample(image, row, column, padding) for column in columns], -1) for row in rows], -2)


def cuts(boxes=BOXES, mode="DEFAULT", padding=0.0):
    return np.stack([cut(X[index], box, mode, padding) for box, index in zip(boxes, INDICES, strict=True)])


MODES = ["STRICT_ALIGN_CORNERS", "ALIGN_CORNERS", "DEFAULT", "OFFSET_CORNERS", "UNALIGN_CORNERS"]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("computed", [False, True], ids=["constant", "computed"])
def test_sampling_mode(run, mode, computed) -> None:
    def body(mb, x, boxes=BOXES, indices=INDICES):
        return mb.crop_resize(x=x, boxes=boxes, box_indices=indices, sampling_mode=mode, pad_value=2.5, **OPTIONS)

    (result,) = run(body, {"x": X, "boxes": BOXES, "indices": INDICES} if computed else {"x": X})
    np.testing.assert_allclose(result, cuts(mode=mode, padding=2.5), **EXACT)


@pytest.mark.parametrize("mode", MODES)
def test_one_sample(run, mode) -> None:
    (result,) = run(lambda mb, x: mb.crop_resize(x=x, boxes=BOXES, box_indices=INDICES, sampling_mode=mode), {"x": X})
    points = [
        sample(X[image].astype(np.float64), grid(mode, box[0], box[2], 1)[0], grid(mode, box[1], box[3], 1)[0], 0)
        for box, image in zip(BOXES, INDICES, strict=True)
    ]
    np.testing.assert_allclose(result[..., 0, 0], points, **EXACT)


def centred(boxes):
    """Return corners as centres and sizes."""
    return np.concatenate([(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]], axis=1)


BOX_MODES = {
    "CORNERS_HEIGHT_FIRST": BOXES,
    "CORNERS_WIDTH_FIRST": BOXES[:, [1, 0, 3, 2]],
    "CENTER_SIZE_HEIGHT_FIRST": centred(BOXES),
    "CENTER_SIZE_WIDTH_FIRST": centred(BOXES)[:, [1, 0, 3, 2]],
}


@pytest.mark.parametrize("mode", BOX_MODES)
@pytest.mark.parametrize("normalized", [False, True])
@pytest.mark.parametrize("scale", [1.0, 0.25])
def test_box_coordinate_mode(run, mode, normalized, scale) -> None:
    # Halves and quarters of the last row and column are numbers that float32 holds.
    size = np.asarray([6, 8] if mode.endswith("HEIGHT_FIRST") else [8, 6])
    written = (BOX_MODES[mode] / scale / (np.tile(size, 2) if normalized else 1)).astype(np.float32)
    options = {"box_coordinate_mode": mode, "normalized_coordinates": normalized, "spatial_scale": scale, "sampling_mode": "OFFSET_CORNERS"}
    (result,) = run(lambda mb, x: mb.crop_resize(x=x, boxes=written, box_indices=INDICES, **options, **OPTIONS), {"x": X})
    np.testing.assert_allclose(result, cuts(mode="OFFSET_CORNERS"), rtol=1e-4, atol=1e-5)


def test_boxes_are_of_the_first_images_where_no_indices_are_given(run) -> None:
    (result,) = run(lambda mb, x: mb.crop_resize(x=x, boxes=BOXES[:2], **OPTIONS), {"x": X})
    np.testing.assert_allclose(result, [cut(X[0], BOXES[0]), cut(X[1], BOXES[1])], **EXACT)


def test_boxes_and_indices_of_16_bits(run) -> None:
    def body(mb, x, boxes, indices):
        return mb.crop_resize(x=x, boxes=mb.cast(x=boxes, dtype="uint16"), box_indices=mb.cast(x=indices, dtype="uint16"), **OPTIONS)

    (result,) = run(body, {"x": X, "boxes": BOXES[[0, 1, 4]].astype(np.int32), "indices": INDICES[[0, 1, 4]]})
    np.testing.assert_allclose(result, cuts()[[0, 1, 4]], **EXACT)


@pytest.mark.parametrize("opset", ["iOS15", "iOS16"])
@pytest.mark.parametrize("computed", [False, True], ids=["constant", "computed"])
def test_every_box_of_every_image(run, opset, computed) -> None:
    boxes = BOXES.reshape(-1, 1, 4, 1, 1)
    options = {"pad_value": np.float32(-3)} if opset == "iOS16" else {}

    def body(mb, x, roi=boxes):
        return mb.crop_resize(x=x, roi=roi, sampling_mode="STRICT_ALIGN_CORNERS", **options, **OPTIONS)

    (result,) = run(body, {"x": X, "roi": boxes} if computed else {"x": X}, opset=opset)
    expected = [[cut(image, box, "STRICT_ALIGN_CORNERS", options.get("pad_value", 0)) for image in X] for box in BOXES]
    np.testing.assert_allclose(result, expected, **EXACT)


@pytest.mark.parametrize("opset", ["iOS15", "iOS16"])
@pytest.mark.parametrize("mode", MODES)
def test_a_box_of_the_image_whose_index_stands_before_it(mil, run, opset, mode) -> None:
    boxes = np.column_stack([INDICES, BOXES]).astype(np.float32).reshape(-1, 1, 5, 1, 1)
    sizes = mil.ct.Shape((mil.ct.RangeDim(1, 4), *X.shape[1:]))
    options = {"shapes": {"x": (mil.symbol(), *X.shape[1:])}, "inputs": [mil.ct.TensorType("x", shape=sizes)]}
    (result,) = run(lambda mb, x: mb.crop_resize(x=x, roi=boxes, sampling_mode=mode, **OPTIONS), {"x": X}, opset=opset, **options)
    np.testing.assert_allclose(result, cuts(mode=mode)[:, None], **EXACT)


def test_a_file_that_declares_another_number_of_images_is_refused(run) -> None:
    # The definition's type inference counts every image of the batch, its documentation one.
    boxes = np.column_stack([INDICES, BOXES]).astype(np.float32).reshape(-1, 1, 5, 1, 1)
    with pytest.raises(NotExecutable, match="computes the shape"):
        run(lambda mb, x: mb.crop_resize(x=x, roi=boxes, **OPTIONS), {"x": X}, opset="iOS16")


def test_images_and_boxes_in_numbers_and_sizes_that_vary(mil, run) -> None:
    count, *sizes = (mil.ct.RangeDim(1, 20, default=size) for size in (len(BOXES), *X.shape))
    shape = mil.ct.Shape((sizes[0], 2, *sizes[2:]))
    inputs = [mil.ct.TensorType("x", shape=shape), mil.ct.TensorType("roi", shape=mil.ct.Shape((count, 1, 4, 1, 1)))]
    shapes = {"x": (mil.symbol(), 2, mil.symbol(), mil.symbol()), "roi": (mil.symbol(), 1, 4, 1, 1)}

    def body(mb, x, roi):
        return mb.crop_resize(x=x, roi=roi, normalized_coordinates=True, **OPTIONS)

    feed = {"x": X, "roi": (BOXES / np.asarray([6, 8, 6, 8], np.float32)).reshape(-1, 1, 4, 1, 1)}
    (result,) = run(body, feed, shapes=shapes, inputs=inputs, opset="iOS16")
    np.testing.assert_allclose(result, [[cut(image, box) for image in X] for box in BOXES], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("index", [-1, 3])
def test_an_image_that_is_not_there(run, index) -> None:
    with pytest.raises(InvalidInput, match="cannot compute these inputs"):
        run(lambda mb, x, indices: mb.crop_resize(x=x, boxes=BOXES[:1], box_indices=indices), {"x": X, "indices": np.asarray([index], np.int32)})


# 7.9 is 7.899 in the test.
PADDED = [[3.1, 5.2, 9.5, 9.5], [9.5, 7.9, 9.5, 13.9], [2.2, 3.1, 9.4, 10.3]]
TESTED = {
    # From coremltools' tests of the operation, on the numbers 1 to 16: (boxes, options, results).
    "plain": ([[1, 1, 2, 2]], {"sampling_mode": "ALIGN_CORNERS"}, [[6, 7, 10, 11]]),
    "turned": ([[2, 2, 1, 1]], {"sampling_mode": "ALIGN_CORNERS"}, [[11, 10, 7, 6]]),
    "turned and beyond": ([[2, 2, 1, 1]], {"sampling_mode": "UNALIGN_CORNERS", "normalized_coordinates": True}, [[3.5, 5.5, 11.5, 13.5]]),
    "padded": (
        [[0.1, 0.3, 1.3, 1.0], [0.5, 1.8, 1.0, 0.3], [0.0, 0.4, 0.6, 0.7]],
        {"sampling_mode": "ALIGN_CORNERS", "normalized_coordinates": True, "pad_value": np.float32(9.5)},
        PADDED,
    ),
}


@pytest.mark.parametrize("case", TESTED)
def test_boxes_that_coremltools_tests(run, case) -> None:
    boxes, options, expected = TESTED[case]
    roi = np.asarray(boxes, np.float32).reshape(-1, 1, 4, 1, 1)
    (result,) = run(lambda mb, x: mb.crop_resize(x=x, roi=roi, target_height=2, target_width=2, **options), {"x": COUNTING}, opset="iOS16")
    np.testing.assert_allclose(result.reshape(-1, 4), expected, rtol=1e-4)


def test_the_last_pixel_is_inside_whatever_the_number_of_samples(run) -> None:
    whole = np.asarray([[0, 0, 1, 1]], np.float32)
    for count in (3, 7, 13, 50):
        options = {"normalized_coordinates": True, "sampling_mode": "ALIGN_CORNERS", "target_height": count, "target_width": count, "pad_value": np.float32(99)}
        (result,) = run(lambda mb, x, options=options: mb.crop_resize(x=x, boxes=whole, **options), {"x": X[:1]})
        assert result.max() <= X.max()
        np.testing.assert_array_equal(result[0, :, -1, -1], X[0, :, -1, -1])
