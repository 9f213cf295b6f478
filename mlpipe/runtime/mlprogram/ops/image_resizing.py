"""Images in other sizes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mlpipe.runtime.lowered import UnsupportedLayerError
from mlpipe.runtime.mlprogram.op import Build, op
from mlpipe.runtime.mlprogram.ops.sampling_grid import as_doubles, count_up, doubles, positions
from mlpipe.runtime.mlprogram.ops.sizes import Size, scaled, size_of, vector
from mlpipe.runtime.mlprogram.values import Tensor

EXACT_MODES = {"DEFAULT": "asymmetric", "UNALIGN_CORNERS": "half_pixel"}
"""Sampling modes that ONNX Runtime's own kernel computes without a rounding error in its float32 coordinates, where sizes grow by powers of two."""


@op("upsample_nearest_neighbor", keeps_grid=True)
def upsample_nearest_neighbor(build: Build, x: Tensor, scale_factor_height: float = 1, scale_factor_width: float = 1) -> str:
    """Return the image in a size that is a multiple of its own, with the pixel at or before each place.

    Source: coremltools' test of fractional factors: the factor is recomputed from the size that results.
    """
    factors = scale_factor_height, scale_factor_width
    if all(factor == int(factor) for factor in factors):
        return _repeat(build, x, factors)
    return _nearest(build, x, _enlarged(build, x, factors), centred=False)


@op("resize_nearest_neighbor", keeps_grid=True)
def resize_nearest_neighbor(build: Build, x: Tensor, target_size_height: int, target_size_width: int) -> str:
    """Return the image in another size, with the pixel that the centre of each new one lies in.

    Source: coremltools makes it of TensorFlow's ResizeNearestNeighbor with half_pixel_centers.
    """
    return _nearest(build, x, (target_size_height, target_size_width), centred=True)


@op("upsample_bilinear")
def upsample_bilinear(
    build: Build,
    x: Tensor,
    scale_factor_height: float = 1,
    scale_factor_width: float = 1,
    align_corners: bool = True,
    half_pixel_centers: bool | None = None,
) -> str:
    """Return the image in a size that is a multiple of its own, with linear interpolation; the factor is recomputed from the size that results."""
    half_pixel = not align_corners if half_pixel_centers is None else half_pixel_centers
    if align_corners and half_pixel:
        raise UnsupportedLayerError("align_corners and half_pixel_centers exclude each other")
    mode = "STRICT_ALIGN_CORNERS" if align_corners else ("UNALIGN_CORNERS" if half_pixel else "DEFAULT")
    return _linear(build, x, _enlarged(build, x, (scale_factor_height, scale_factor_width)), mode)


@op("resize_bilinear")
def resize_bilinear(build: Build, x: Tensor, target_size_height: int = 1, target_size_width: int = 1, sampling_mode: str = "DEFAULT") -> str:
    """Return the image in another size, with linear interpolation."""
    return _linear(build, x, (target_size_height, target_size_width), sampling_mode)


@op("resize", since="iOS17")
def resize(build: Build, x: Tensor, shape: Tensor, resized_dims: int, interpolation_mode: str = "LINEAR", sampling_mode: str = "DEFAULT") -> str:
    """Return x with its last `resized_dims` dimensions in the last sizes of shape, where 0 keeps a size."""
    targets = [_wanted(build, x, shape, axis) for axis in range(-resized_dims, 0)]
    if interpolation_mode == "LINEAR":
        if not x.is_float:
            raise UnsupportedLayerError("linear interpolation between integers: how the result is rounded is not documented")
        return _linear(build, x, targets, sampling_mode)
    if interpolation_mode != "NEAREST_NEIGHBOR":
        raise UnsupportedLayerError(f"interpolation_mode {interpolation_mode!r} is not known")
    # DEFAULT is what coremltools makes of TensorFlow's half_pixel_centers; rounding the places of UNALIGN_CORNERS gives the same pixels.
    if sampling_mode not in ("DEFAULT", "UNALIGN_CORNERS"):
        raise UnsupportedLayerError(f"which pixel is nearest in sampling_mode {sampling_mode!r} is not documented")
    return _nearest(build, x, targets, centred=True)


def _wanted(build: Build, x: Tensor, shape: Tensor, axis: int) -> Size:
    """Return the size of a dimension, counted from the end, that a shape asks for."""
    own = size_of(build, x, axis)
    if shape.value is not None:
        return int(shape.value[axis]) or own
    asked = build.add("Gather", build.indices(shape), build.int64(axis))
    return build.add("Where", build.add("Equal", asked, build.int64(0)), vector(build, own), asked)


def _enlarged(build: Build, x: Tensor, factors: Sequence[float]) -> list[Size]:
    """Return floor(size * factor) of the last dimensions: as the program declares it where it does, else in float32 as coremltools computes it."""
    declared = build.outputs[0].shape
    sizes: list[Size] = []
    for axis, factor in zip((-2, -1), factors, strict=True):
        known, own_size = declared[axis] if declared is not None else None, x.shape[axis]
        if isinstance(known, int):
            sizes.append(known)
        elif isinstance(own_size, int):
            sizes.append(int(np.floor(np.float32(own_size) * np.float32(factor))))
        else:
            own = build.graph.cast(vector(build, size_of(build, x, axis)), np.float32)
            sizes.append(build.graph.cast(build.add("Floor", build.add("Mul", own, build.floats(factor))), np.int64))
    return sizes


def _whole_factors(x: Tensor, targets: Sequence[Size]) -> list[int] | None:
    """Return how many times larger the last dimensions become, or None where that varies or is no whole number."""
    if any(isinstance(target, int) and target < 1 for target in targets):
        raise UnsupportedLayerError(f"an image cannot have the size {list(targets)}")
    pairs = list(zip(x.shape[x.rank - len(targets) :], targets, strict=True))
    whole = [target // size for size, target in pairs if isinstance(size, int) and isinstance(target, int) and target % size == 0]
    return whole if len(whole) == len(pairs) else None


def _repeat(build: Build, x: Tensor, factors: Sequence[float]) -> str:
    """Return every pixel repeated along the last dimensions."""
    scales = build.floats([1.0] * (x.rank - len(factors)) + list(factors))
    return build.add("Resize", x, None, scales, mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")


def _nearest(build: Build, x: Tensor, targets: Sequence[Size], *, centred: bool) -> str:
    """Return x with the last dimensions in other sizes, new elements taken from where their centres or their starts lie."""
    if factors := _whole_factors(x, targets):
        return _repeat(build, x, factors)
    result = x.name
    for axis, target in _from_last(targets):
        # Whole numbers throughout: i * size / target is often whole where float32 is just below.
        doubled = build.add("Add", build.add("Mul", count_up(build, target), build.int64(2)), build.int64(int(centred)))
        places = build.add("Mul", doubled, vector(build, size_of(build, x, axis)))
        result = build.add("Gather", result, build.add("Div", places, vector(build, scaled(build, target, times=2))), axis=x.axis(axis))
    return result


def _linear(build: Build, x: Tensor, targets: Sequence[Size], mode: str) -> str:
    """Return x with the last dimensions in other sizes, with linear interpolation along one after the other."""
    factors = _whole_factors(x, targets)
    if x.rank == 4 and len(targets) == 2 and mode in EXACT_MODES and factors and all(factor.bit_count() == 1 for factor in factors):
        return build.add("Resize", x, None, build.floats([1.0, 1.0, *factors]), mode="linear", coordinate_transformation_mode=EXACT_MODES[mode])
    result = x.name
    for axis, target in _from_last(targets):
        size = size_of(build, x, axis)
        # In every other mode a size that stays is sampled at the pixels.
        if isinstance(size, int) and size == target and mode != "OFFSET_CORNERS":
            continue
        last = as_doubles(build, vector(build, scaled(build, size, plus=-1)))
        places = positions(build, doubles(build, [0.0]), last, target, mode)
        result = _between(build, result, axis, size, places)
    return result


def _between(build: Build, x: str, axis: int, size: Size, places: str) -> str:
    """Return x at places along an axis that is counted from the end, linear between neighbours."""
    before = build.add("Floor", places)
    share = build.graph.cast(build.add("Sub", places, before), np.float32)
    lower = build.graph.cast(before, np.int64)
    upper = build.add("Min", build.add("Add", lower, build.int64(1)), vector(build, scaled(build, size, plus=-1)))
    where = axis + build.graph.rank(x)
    near, far = (build.add("Gather", x, index, axis=where) for index in (lower, upper))
    if axis < -1:
        share = build.add("Unsqueeze", share, build.int64(*range(1, -axis)))
    return build.add("Add", near, build.add("Mul", build.add("Sub", far, near), share))


def _from_last(targets: Sequence[Size]) -> list[tuple[int, Size]]:
    """Return (axis counted from the end, target), the last axis first: its elements lie side by side, and there are fewer before the others grow."""
    return [(-number, target) for number, target in enumerate(reversed(targets), start=1)]
