"""Images sampled at computed places: resample and affine."""

from __future__ import annotations

import numpy as np

from mlpipe.runtime.lowered import UnsupportedLayerError
from mlpipe.runtime.mlprogram.op import Build, op
from mlpipe.runtime.mlprogram.ops.pixels import bilinear, nearest, pixels_of
from mlpipe.runtime.mlprogram.ops.sampling_grid import as_doubles, count_up, doubles, inside
from mlpipe.runtime.mlprogram.ops.sizes import size_of
from mlpipe.runtime.mlprogram.values import Tensor

SAMPLING = {"bilinear": bilinear, "nearest": nearest}


@op("resample")
def resample(
    build: Build,
    x: Tensor,
    coordinates: Tensor,
    sampling_mode: str,
    padding_mode: str,
    padding_value: float,
    coordinates_mode: str,
    align_corners: bool,
) -> str:
    """Return the images at coordinates (x, y), as PyTorch's grid_sample.

    Shapes: coordinates [batch, height, width, 2]; the result [batch, channels, height, width].
    """
    if sampling_mode not in SAMPLING:
        raise UnsupportedLayerError(f"sampling_mode {sampling_mode!r} is not known")
    pixels = pixels_of(build, x)
    pairs = build.add_many("Split", 2, as_doubles(build, coordinates.name), axis=-1, num_outputs=2)
    places = []
    for given, last in zip(pairs, (pixels.last_column, pixels.last_row), strict=True):
        last_pixel = as_doubles(build, last)
        place = _in_pixels(build, build.add("Squeeze", given, build.int64(-1)), last_pixel, coordinates_mode, align=align_corners)
        places.append(_moved_inside(build, place, last_pixel, padding_mode))
    columns, rows = places
    return SAMPLING[sampling_mode](build, pixels, _each_image(build, x), rows, columns, padding_value if padding_mode == "constant" else None)


@op("affine", since="iOS15")
def affine(
    build: Build,
    x: Tensor,
    transform_matrix: Tensor,
    output_height: int,
    output_width: int,
    sampling_mode: str,
    padding_mode: str,
    padding_value: float,
    coordinates_mode: str,
    align_corners: bool,
) -> str:
    """Return the images at places that a matrix maps each pixel of the result to, as PyTorch's affine_grid and grid_sample.

    Shapes: transform_matrix [batch or 1, 6]; the result [batch, channels, output_height, output_width].
    """
    given = sampling_mode.lower(), padding_mode.lower(), coordinates_mode.lower()
    if given != ("bilinear", "constant", "normalized_minus_one_to_one"):
        raise UnsupportedLayerError(f"the modes {', '.join(given)} are not documented")
    build.graph.check_size((3, output_height, output_width), np.float64)
    grid = np.ones((3, output_height, output_width))
    grid[0], grid[1] = np.meshgrid(*(_normalized_pixels(count, align=align_corners) for count in (output_width, output_height)))
    matrices = build.add("Reshape", as_doubles(build, transform_matrix.name), build.int64(-1, 2, 3))
    mapped = build.add("MatMul", matrices, doubles(build, grid.reshape(3, -1)))
    shaped = build.add("Reshape", mapped, build.int64(-1, 2, output_height, output_width))
    pixels = pixels_of(build, x)
    columns, rows = (
        _in_pixels(build, build.add("Squeeze", half, build.int64(1)), as_doubles(build, last), given[2], align=align_corners)
        for half, last in zip(build.add_many("Split", 2, shaped, axis=1, num_outputs=2), (pixels.last_column, pixels.last_row), strict=True)
    )
    return bilinear(build, pixels, _each_image(build, x), rows, columns, padding_value)


def _each_image(build: Build, x: Tensor) -> str:
    return build.add("Unsqueeze", count_up(build, size_of(build, x, 0)), build.int64(1, 2))


def _normalized_pixels(count: int, *, align: bool) -> np.ndarray:
    """Return where pixels lie between -1 and 1; one that is alone, in the middle, as PyTorch has it."""
    if align and count > 1:
        return np.linspace(-1, 1, count)
    return (2 * np.arange(count) + 1) / count - 1


def _in_pixels(build: Build, places: str, last: str, mode: str, *, align: bool) -> str:
    """Return coordinates as pixels, where 0 is the centre of the first. Aligned, the ends of the range are the centres of border pixels, else their edges."""
    if mode == "unnormalized":
        return places
    one, half = doubles(build, 1), doubles(build, 0.5)
    if mode == "normalized_minus_one_to_one":
        places = build.add("Mul", build.add("Add", places, one), half)
    elif mode != "normalized_zero_to_one":
        raise UnsupportedLayerError(f"coordinates_mode {mode!r} is not known")
    if align:
        return build.add("Mul", places, last)
    return build.add("Sub", build.add("Mul", places, build.add("Add", last, one)), half)


def _moved_inside(build: Build, places: str, last: str, mode: str) -> str:
    """Return the places inside the image that others stand for: at its border, or mirrored at the centre or at the edge of its border pixels."""
    zero, one, half, two = (doubles(build, value) for value in (0, 1, 0.5, 2))
    if mode == "constant":
        # Beyond the padding next to the image everything is padding; far places do not fit integers.
        return inside(build, places, doubles(build, -2), build.add("Add", last, two))
    if mode == "reflection":
        # An image of one pixel has nothing to mirror; the border takes care of it.
        places = _mirrored(build, places, build.add("Max", build.add("Mul", last, two), one))
    elif mode == "symmetric":
        mirrored = _mirrored(build, build.add("Add", places, half), build.add("Mul", build.add("Add", last, one), two))
        places = build.add("Sub", mirrored, half)
    elif mode != "border":
        raise UnsupportedLayerError(f"padding_mode {mode!r} is not known")
    return inside(build, places, zero, last)


def _mirrored(build: Build, places: str, period: str) -> str:
    """Return places mirrored at 0 and at half the period."""
    rest = build.add("Mod", build.add("Abs", places), period, fmod=1)
    return build.add("Min", rest, build.add("Sub", period, rest))
