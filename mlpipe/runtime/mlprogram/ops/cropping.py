"""Boxes cut out of images and resized."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlpipe.runtime.lowered import UnsupportedLayerError
from mlpipe.runtime.mlprogram.op import Build, op
from mlpipe.runtime.mlprogram.ops.pixels import bilinear, pixels_of, within
from mlpipe.runtime.mlprogram.ops.sampling_grid import as_doubles, count_up, doubles, positions
from mlpipe.runtime.mlprogram.ops.sizes import size_of
from mlpipe.runtime.mlprogram.values import Tensor

BOX_MODES = ("CORNERS_HEIGHT_FIRST", "CORNERS_WIDTH_FIRST", "CENTER_SIZE_HEIGHT_FIRST", "CENTER_SIZE_WIDTH_FIRST")


@dataclass(frozen=True)
class Crop:
    """What is made of a box, whichever version of the operation says it."""

    height: int
    width: int
    normalized: bool
    scale: float
    box_mode: str
    sampling_mode: str
    padding: float


@op("crop_resize")
def crop_resize(
    build: Build,
    x: Tensor,
    roi: Tensor,
    target_height: int = 1,
    target_width: int = 1,
    normalized_coordinates: bool = False,
    spatial_scale: float = 1.0,
    box_coordinate_mode: str = "CORNERS_HEIGHT_FIRST",
    sampling_mode: str = "DEFAULT",
    pad_value: float = 0.0,
) -> str:
    """Return each box of every image, or of the image whose index stands before the box.

    Shapes: roi [boxes, 1, 4 or 5, 1, 1]; the result [boxes, images or 1, channels, height, width].
    """
    crop = Crop(target_height, target_width, normalized_coordinates, spatial_scale, box_coordinate_mode, sampling_mode, pad_value)
    numbers = roi.size(2, "crop_resize")
    boxes = build.add("Reshape", roi, build.int64(-1, numbers))
    if numbers == 4:
        images = build.add("Unsqueeze", count_up(build, size_of(build, x, 0)), build.int64(0))
    else:
        images, boxes = build.add_many("Split", 2, boxes, build.int64(1, numbers - 1), axis=1)
        images = _from_front(build, images)
    return _cropped(build, x, images, build.add("Unsqueeze", boxes, build.int64(1)), crop)


@op("crop_resize", since="iOS17")
def crop_resize_boxes(
    build: Build,
    x: Tensor,
    boxes: Tensor,
    box_indices: Tensor | None = None,
    target_height: int = 1,
    target_width: int = 1,
    normalized_coordinates: bool = False,
    spatial_scale: float = 1.0,
    box_coordinate_mode: str = "CORNERS_HEIGHT_FIRST",
    sampling_mode: str = "DEFAULT",
    pad_value: float = 0.0,
) -> str:
    """Return each box of the image that its index names; without indices the first box is of the first image, and so on.

    Shapes: boxes [boxes, 4]; the result [boxes, channels, height, width].
    """
    crop = Crop(target_height, target_width, normalized_coordinates, spatial_scale, box_coordinate_mode, sampling_mode, pad_value)
    images = count_up(build, size_of(build, boxes, 0)) if box_indices is None else _from_front(build, box_indices.name)
    return _cropped(build, x, images, boxes.name, crop)


def _from_front(build: Build, images: str) -> str:
    """Return indices as int64, the negative ones moved out of every range: they end in an error and not in another image."""
    whole = build.graph.cast(images, np.int64)
    return build.add("Where", build.add("Less", whole, build.int64(0)), build.int64(np.iinfo(np.int32).max), whole)


def _cropped(build: Build, x: Tensor, images: str, boxes: str, crop: Crop) -> str:
    """Return the boxes of images. Shapes: images and boxes[..., 0] broadcast; the result adds [channels, height, width]."""
    pixels = pixels_of(build, x)
    lasts = as_doubles(build, pixels.last_row), as_doubles(build, pixels.last_column)
    top, left, bottom, right = _corners(build, boxes, lasts, crop)
    rows = build.add("Unsqueeze", _places(build, top, bottom, lasts[0], crop.height, crop), build.int64(-1))
    columns = build.add("Unsqueeze", _places(build, left, right, lasts[1], crop.width, crop), build.int64(-2))
    spread = build.add("Unsqueeze", images, build.int64(-1, -2))
    sampled = bilinear(build, pixels, spread, rows, columns, None)
    inside = build.add("Unsqueeze", within(build, pixels, rows, columns), build.int64(-3))
    return build.add("Where", inside, sampled, build.floats(crop.padding))


def _corners(build: Build, boxes: str, lasts: tuple[str, str], crop: Crop) -> list[str]:
    """Return the first row, the first column, the last row and the last column of boxes, in pixels. Shapes: [..., 1]."""
    if crop.box_mode not in BOX_MODES:
        raise UnsupportedLayerError(f"box_coordinate_mode {crop.box_mode!r} is not known")
    numbers = build.add_many("Split", 4, as_doubles(build, boxes), axis=-1, num_outputs=4)
    if crop.box_mode.endswith("WIDTH_FIRST"):
        numbers = [numbers[place] for place in (1, 0, 3, 2)]
    if crop.box_mode.startswith("CENTER_SIZE"):
        centres = numbers[:2]
        halves = [build.add("Mul", size, doubles(build, 0.5)) for size in numbers[2:]]
        numbers = [build.add(which, *pair) for which in ("Sub", "Add") for pair in zip(centres, halves, strict=True)]
    scale = doubles(build, crop.scale)
    scales = [build.add("Mul", scale, last) for last in lasts] if crop.normalized else [scale, scale]
    return [build.add("Mul", number, scale) for number, scale in zip(numbers, scales * 2, strict=True)]


def _places(build: Build, first: str, last: str, last_pixel: str, count: int, crop: Crop) -> str:
    """Return where the samples of a box lie along one dimension. Shapes: first and last [..., 1]; the result [..., count]."""
    if crop.sampling_mode == "UNALIGN_CORNERS":
        # A box that ends before it starts has no size to divide. coremltools' test of it expects the whole image.
        turned = build.add("Less", last, first)
        first = build.add("Where", turned, doubles(build, 0), first)
        last = build.add("Where", turned, last_pixel, last)
    return positions(build, first, last, count, crop.sampling_mode)
