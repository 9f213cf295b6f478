"""Single pixels out of a batch of images, and what lies between them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mlpipe.runtime.mlprogram.op import Build
from mlpipe.runtime.mlprogram.ops.sampling_grid import inside
from mlpipe.runtime.mlprogram.ops.sizes import scaled, size_of, vector
from mlpipe.runtime.mlprogram.values import Tensor


@dataclass(frozen=True)
class Pixels:
    """Images as rows of channels, one row a pixel; sizes and last indices are int64 vectors of one element."""

    values: str
    height: str
    width: str
    last_row: str
    last_column: str


def pixels_of(build: Build, x: Tensor) -> Pixels:
    """Return the pixels of images [batch, channels, height, width]."""
    values = build.add("Flatten", build.add("Transpose", x, perm=[0, 2, 3, 1]), axis=3)
    height, width = size_of(build, x, 2), size_of(build, x, 3)
    lasts = (vector(build, scaled(build, size, plus=-1)) for size in (height, width))
    return Pixels(values, vector(build, height), vector(build, width), *lasts)


def nearest(build: Build, pixels: Pixels, images: str, rows: str, columns: str, padding: float | None) -> str:
    """Return the pixels nearest to places, half-way between two the even one.

    Shapes: images (indices), rows and columns (doubles) broadcast to [..., height, width]; the result [..., channels, height, width].
    `padding` is what pixels outside an image are; None where there are no such places.
    """
    row, column = (build.graph.cast(build.add("Round", places), np.int64) for places in (rows, columns))
    return _channels_first(build, _pixel(build, pixels, images, row, column, padding))


def bilinear(build: Build, pixels: Pixels, images: str, rows: str, columns: str, padding: float | None) -> str:
    """Return what lies at places between pixels. Shapes and padding as in `nearest`."""
    top, bottom, down = _neighbours(build, rows)
    left, right, along = _neighbours(build, columns)
    upper, lower = (_mixed(build, along, *(_pixel(build, pixels, images, row, column, padding) for column in (left, right))) for row in (top, bottom))
    return _channels_first(build, _mixed(build, down, upper, lower))


def within(build: Build, pixels: Pixels, rows: str, columns: str) -> str:
    """Return which places (of the same type as the pixels' sizes, or doubles) lie in the image, its border included."""
    checks = []
    for places, last in ((rows, pixels.last_row), (columns, pixels.last_column)):
        dtype = build.graph.dtype(places)
        highest = build.graph.cast(last, dtype)
        checks.append(build.add("GreaterOrEqual", places, build.graph.constant(0, dtype)))
        checks.append(build.add("LessOrEqual", places, highest))
    return build.add("And", build.add("And", *checks[:2]), build.add("And", *checks[2:]))


def _neighbours(build: Build, places: str) -> tuple[str, str, str]:
    """Return the pixels before and after places, and how far they are from the former."""
    before = build.add("Floor", places)
    share = build.graph.cast(build.add("Sub", places, before), np.float32)
    lower = build.graph.cast(before, np.int64)
    return lower, build.add("Add", lower, build.int64(1)), build.add("Unsqueeze", share, build.int64(-1))


def _mixed(build: Build, share: str, near: str, far: str) -> str:
    return build.add("Add", near, build.add("Mul", build.add("Sub", far, near), share))


def _pixel(build: Build, pixels: Pixels, images: str, row: str, column: str, padding: float | None) -> str:
    zero = build.int64(0)
    nearby = inside(build, row, zero, pixels.last_row), inside(build, column, zero, pixels.last_column)
    index = build.add("Add", build.add("Mul", build.add("Add", build.add("Mul", images, pixels.height), nearby[0]), pixels.width), nearby[1])
    value = build.add("Gather", pixels.values, index)
    if padding is None:
        return value
    there = build.add("Unsqueeze", within(build, pixels, row, column), build.int64(-1))
    return build.add("Where", there, value, build.floats(padding))


def _channels_first(build: Build, value: str) -> str:
    rank = build.graph.rank(value)
    return build.add("Transpose", value, perm=[*range(rank - 3), rank - 1, rank - 3, rank - 2])
