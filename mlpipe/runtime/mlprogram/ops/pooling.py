"""Pools: the largest, the mean or the root of the sum of squares of each window."""

from __future__ import annotations

from mlpipe.runtime.lowered import UnsupportedLayerError
from mlpipe.runtime.mlprogram.op import Build, op
from mlpipe.runtime.mlprogram.ops.padding import Pads, onnx_pads, varying_pads, window_pads
from mlpipe.runtime.mlprogram.values import Tensor

Sizes = tuple[int, ...]


@op("max_pool", keeps_grid=True)
def max_pool(
    build: Build, x: Tensor, kernel_sizes: Sizes, pad_type: str, strides: Sizes | None = None, pad: Sizes | None = None, ceil_mode: bool = False
) -> str:
    """Return the largest element of each window; padding never wins."""
    strides = strides or (1,) * len(kernel_sizes)
    varying = None if ceil_mode else varying_pads(x, pad_type, strides)
    if varying is not None:
        return build.add("MaxPool", x, kernel_shape=kernel_sizes, strides=strides, auto_pad=varying)
    pads = window_pads(x, pad_type, pad, kernel_sizes, strides)
    if ceil_mode:
        pads = _stretched(x, pads, kernel_sizes, strides)
    return build.add("MaxPool", x, kernel_shape=kernel_sizes, strides=strides, pads=_checked(pads, kernel_sizes))


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
    counted = int(not exclude_padding_from_average)
    varying = None if ceil_mode else varying_pads(x, pad_type, strides)
    if varying is not None:
        return build.add("AveragePool", x, kernel_shape=kernel_sizes, strides=strides, auto_pad=varying, count_include_pad=counted)
    pads = window_pads(x, pad_type, pad, kernel_sizes, strides)
    stretched = _stretched(x, pads, kernel_sizes, strides) if ceil_mode else pads
    declared = pads
    if stretched == pads or exclude_padding_from_average:
        return build.add("AveragePool", x, kernel_shape=kernel_sizes, strides=strides, pads=_checked(stretched, kernel_sizes), count_include_pad=counted)
    # The declared padding becomes part of the input, the rest stays padding that does not count.
    padded = build.add("Pad", x, build.int64(0, 0, *[before for before, _ in declared], 0, 0, *[after for _, after in declared]))
    rest = [(0, after - own) for (_, after), (_, own) in zip(stretched, declared, strict=True)]
    return build.add("AveragePool", padded, kernel_shape=kernel_sizes, strides=strides, pads=_checked(rest, kernel_sizes), count_include_pad=0)


@op("l2_pool")
def l2_pool(
    build: Build, x: Tensor, kernel_sizes: Sizes, pad_type: str, strides: Sizes | None = None, pad: Sizes | None = None, ceil_mode: bool = False
) -> str:
    """Return the square root of each window's sum of squares."""
    strides = strides or (1,) * len(kernel_sizes)
    pads = window_pads(x, pad_type, pad, kernel_sizes, strides)
    if ceil_mode:
        pads = _stretched(x, pads, kernel_sizes, strides)
    return build.add("LpPool", x, kernel_shape=kernel_sizes, strides=strides, pads=_checked(pads, kernel_sizes), p=2)


def _stretched(x: Tensor, pads: Pads, kernel_sizes: Sizes, strides: Sizes) -> Pads:
    """Return the padding with which the last, partial window fits: it must start inside the input or the padding before it."""
    result = []
    for axis, ((before, after), window, stride) in enumerate(zip(pads, kernel_sizes, strides, strict=True)):
        size = x.size(axis + 2, "ceil_mode")
        count = -(-(size + before + after - window) // stride) + 1
        if (count - 1) * stride >= size + before and before + after > 0:
            count -= 1
        result.append((before, max((count - 1) * stride + window - size - before, after)))
    return result


def _checked(pads: Pads, kernel_sizes: Sizes) -> list[int]:
    if any(max(pair) >= window for pair, window in zip(pads, kernel_sizes, strict=True)):
        raise UnsupportedLayerError("padding as large as the window is not supported")
    return onnx_pads(pads)
