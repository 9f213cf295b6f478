"""Images in other sizes."""

from __future__ import annotations

import math

import numpy as np

from mlpipe.runtime.lowered import UnsupportedLayerError
from mlpipe.runtime.mlprogram.op import Build, op
from mlpipe.runtime.mlprogram.values import Tensor


@op("upsample_nearest_neighbor", keeps_grid=True)
def upsample_nearest_neighbor(build: Build, x: Tensor, scale_factor_height: float = 1, scale_factor_width: float = 1) -> str:
    """Return every pixel repeated."""
    return _repeat(build, x, scale_factor_height, scale_factor_width)


@op("resize_nearest_neighbor", keeps_grid=True)
def resize_nearest_neighbor(build: Build, x: Tensor, target_size_height: int, target_size_width: int) -> str:
    """Return the image in a size that is a multiple of its own, every pixel repeated."""
    height, width = x.size(-2, "resize_nearest_neighbor"), x.size(-1, "resize_nearest_neighbor")
    return _repeat(build, x, target_size_height / height, target_size_width / width)


@op("upsample_bilinear")
def upsample_bilinear(
    build: Build,
    x: Tensor,
    scale_factor_height: float = 1,
    scale_factor_width: float = 1,
    align_corners: bool = True,
    half_pixel_centers: bool | None = None,
) -> str:
    """Return the image enlarged, with linear interpolation; the scale is recomputed from the size that results."""
    half_pixel = not align_corners if half_pixel_centers is None else half_pixel_centers
    if align_corners and half_pixel:
        raise UnsupportedLayerError("align_corners together with half_pixel_centers is not supported")
    mode = "STRICT_ALIGN_CORNERS" if align_corners else ("UNALIGN_CORNERS" if half_pixel else "DEFAULT")
    scales = scale_factor_height, scale_factor_width
    if not all(isinstance(size, int) for size in x.shape[-2:]) and all(scale == int(scale) for scale in scales):
        return _varying(build, x, scales, mode)
    height = math.floor(x.size(-2, "upsample_bilinear") * scale_factor_height)
    width = math.floor(x.size(-1, "upsample_bilinear") * scale_factor_width)
    return _bilinear(build, x, height, width, mode)


@op("resize_bilinear")
def resize_bilinear(build: Build, x: Tensor, target_size_height: int = 1, target_size_width: int = 1, sampling_mode: str = "DEFAULT") -> str:
    """Return the image in another size, with linear interpolation."""
    return _bilinear(build, x, target_size_height, target_size_width, sampling_mode)


@op("resize", since="iOS17")
def resize(build: Build, x: Tensor, shape: tuple[int, ...], resized_dims: int, interpolation_mode: str = "LINEAR", sampling_mode: str = "DEFAULT") -> str:
    """Return the image with its last two dimensions resized to the last two of shape, where 0 keeps a size."""
    if resized_dims != 2:
        raise UnsupportedLayerError(f"resized_dims {resized_dims} is not supported")
    height, width = (wanted or x.size(axis, "resize") for axis, wanted in zip((-2, -1), shape[-2:], strict=True))
    if interpolation_mode == "LINEAR":
        return _bilinear(build, x, height, width, sampling_mode)
    if interpolation_mode != "NEAREST_NEIGHBOR" or sampling_mode != "DEFAULT":
        raise UnsupportedLayerError(f"interpolation_mode {interpolation_mode!r} with sampling_mode {sampling_mode!r} is not supported")
    return _repeat(build, x, height / x.size(-2, "resize"), width / x.size(-1, "resize"))


def _repeat(build: Build, x: Tensor, height: float, width: float) -> str:
    if height != int(height) or width != int(width):
        raise UnsupportedLayerError("a scale that is no whole number is not supported: which pixel is nearest is not documented")
    scales = build.floats([1.0] * (x.rank - 2) + [height, width])
    return build.add("Resize", x, None, scales, mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")


ONNX_MODES = {"STRICT_ALIGN_CORNERS": "align_corners", "UNALIGN_CORNERS": "half_pixel", "DEFAULT": "asymmetric"}
"""Sampling modes that ONNX has too."""


def _varying(build: Build, x: Tensor, scales: tuple[float, float], mode: str) -> str:
    """Return the image enlarged by whole numbers, where its size is only known when the graph runs."""
    given = build.floats([1.0] * (x.rank - 2) + list(scales))
    return build.add("Resize", x, None, given, mode="linear", coordinate_transformation_mode=ONNX_MODES[mode])


def _bilinear(build: Build, x: Tensor, height: int, width: int, mode: str) -> str:
    """Return the image between two constant matrices that hold the weights of its rows and of its columns."""
    rows = _weights(x.size(-2, "linear interpolation"), height, mode)
    columns = _weights(x.size(-1, "linear interpolation"), width, mode)
    return build.add("MatMul", build.floats(rows), build.add("MatMul", x, build.floats(columns.T)))


def _weights(size: int, target: int, mode: str) -> np.ndarray:
    """Return what each of `size` pixels adds to each of `target` ones.

    Source: the notes on sampling_mode in coremltools' definition of resize_bilinear.
    """
    grid = np.clip(_grid(size, target, mode), 0, size - 1)
    left = np.minimum(np.floor(grid).astype(np.int64), size - 1)
    right = np.minimum(left + 1, size - 1)
    weights = np.zeros((target, size))
    np.add.at(weights, (np.arange(target), left), 1 - (grid - left))
    np.add.at(weights, (np.arange(target), right), grid - left)
    return weights


def _grid(size: int, target: int, mode: str) -> np.ndarray:
    steps = np.arange(target)
    if mode in ("STRICT_ALIGN_CORNERS", "ALIGN_CORNERS"):
        if target == 1:
            return np.asarray([(size - 1) / 2 if mode == "ALIGN_CORNERS" else 0.0])
        return steps * ((size - 1) / (target - 1))
    if mode == "DEFAULT":
        return steps * (size / target)
    if mode == "UNALIGN_CORNERS":
        return steps * (size / target) + 0.5 * (size / target) - 0.5
    if mode == "OFFSET_CORNERS":
        delta = max(1, size - 1) / target
        return 0.5 * delta + steps * delta
    raise UnsupportedLayerError(f"sampling_mode {mode!r} is not known")
