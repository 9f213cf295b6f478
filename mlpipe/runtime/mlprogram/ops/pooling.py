"""Pools: the largest, the mean or the root of the sum of squares of each window."""

from __future__ import annotations

import math
from typing import Any

from mlpipe.runtime.lowered import UnsupportedLayerError
from mlpipe.runtime.mlprogram.op import Build, op
from mlpipe.runtime.mlprogram.ops.padding import Pads, ceil_pads, onnx_pads, padded, window_pads
from mlpipe.runtime.mlprogram.values import Tensor

Sizes = tuple[int, ...]

LARGEST_WINDOW = 1 << 24
"""Elements of a window that are still pooled: more than any picture has, and soon enough done."""


@op("max_pool", keeps_grid=True)
def max_pool(
    build: Build, x: Tensor, kernel_sizes: Sizes, pad_type: str, strides: Sizes | None = None, pad: Sizes | None = None, ceil_mode: bool = False
) -> str:
    """Return the largest element of each window; padding never wins."""
    strides = strides or (1,) * len(kernel_sizes)
    _, pads = _pads(build, x, kernel_sizes, pad_type, strides, pad, ceil_mode)
    return _pool(build, "MaxPool", x, kernel_sizes, strides, pads, -math.inf)


@op("l2_pool")
def l2_pool(
    build: Build, x: Tensor, kernel_sizes: Sizes, pad_type: str, strides: Sizes | None = None, pad: Sizes | None = None, ceil_mode: bool = False
) -> str:
    """Return the square root of each window's sum of squares."""
    strides = strides or (1,) * len(kernel_sizes)
    _, pads = _pads(build, x, kernel_sizes, pad_type, strides, pad, ceil_mode)
    return _pool(build, "LpPool", x, kernel_sizes, strides, pads, 0.0, p=2)


@op("avg_pool")
def avg_pool(
    build: Build,
    x: Tensor,
    kernel_sizes: Sizes,
    pad_type: str,
    strides: Sizes | None = None,
    pad: Sizes | None = None,
    exclude_padding_from_average: bool = False,
    ceil_mode: bool = False,
) -> str:
    """Return the mean of each window. Padding counts as zeros unless excluded; what ceil_mode adds beyond it never counts."""
    strides = strides or (1,) * len(kernel_sizes)
    declared, pads = _pads(build, x, kernel_sizes, pad_type, strides, pad, ceil_mode)
    if pads == declared and not exclude_padding_from_average:
        return _pool(build, "AveragePool", x, kernel_sizes, strides, pads, 0.0, count_include_pad=1)
    if exclude_padding_from_average and _fits(pads, kernel_sizes):
        return _pool(build, "AveragePool", x, kernel_sizes, strides, pads, 0.0, count_include_pad=0)
    # The mean over all places, divided by the share of places that count.
    ones = build.add("Expand", build.floats(1.0), build.add("Concat", build.int64(1, 1), build.add("Shape", x, start=2), axis=0))
    source = x.name
    if not exclude_padding_from_average:
        source, ones = padded(build, x, declared), padded(build, ones, declared, 1.0)
        pads = _beyond(build, pads, declared)
    sums, counts = (build.add("AveragePool", padded(build, each, pads), kernel_shape=kernel_sizes, strides=strides) for each in (source, ones))
    return build.add("Div", sums, counts)


def _pads(build: Build, x: Tensor, kernel_sizes: Sizes, pad_type: str, strides: Sizes, pad: Sizes | None, ceil_mode: bool) -> tuple[Pads, Pads]:
    """Return the declared padding, and all of it: ceil_mode adds what the last, partial window needs."""
    if math.prod(kernel_sizes) > LARGEST_WINDOW:
        raise UnsupportedLayerError(f"a window of {math.prod(kernel_sizes):,} elements is not supported")
    declared = window_pads(build, x, pad_type, pad, kernel_sizes, strides)
    # With same padding every window is whole.
    return declared, ceil_pads(build, x, declared, kernel_sizes, strides) if ceil_mode and not isinstance(declared, str) else declared


def _pool(build: Build, onnx_op: str, x: Tensor, kernel_sizes: Sizes, strides: Sizes, pads: Pads, padding: float, **attributes: Any) -> str:
    if not isinstance(pads, str) and _fits(pads, kernel_sizes):
        return build.add(onnx_op, x, kernel_shape=kernel_sizes, strides=strides, pads=onnx_pads(pads), **attributes)
    return build.add(onnx_op, padded(build, x, pads, padding), kernel_shape=kernel_sizes, strides=strides, **attributes)


def _fits(pads: Pads, kernel_sizes: Sizes) -> bool:
    """Return whether ONNX Runtime's pools take the padding: it must be smaller than the window."""
    return not isinstance(pads, str) and all(max(pair) < window for pair, window in zip(pads, kernel_sizes, strict=True))


def _beyond(build: Build, pads: Pads, declared: Pads) -> Pads:
    """Return what the padding has after the declared one."""
    assert not isinstance(declared, str)
    if isinstance(pads, str):
        return build.add("Sub", pads, build.int64(*onnx_pads(declared)))
    return [(0, after - own) for (_, after), (_, own) in zip(pads, declared, strict=True)]
