"""Convolutions and their transposes."""

from __future__ import annotations

import numpy as np

from mlpipe.runtime.lowered import UnsupportedLayerError
from mlpipe.runtime.mlprogram.op import Build, op
from mlpipe.runtime.mlprogram.ops.padding import onnx_pads, padded, window_pads
from mlpipe.runtime.mlprogram.values import Tensor

Sizes = tuple[int, ...]


@op("conv")
def conv(
    build: Build,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    strides: Sizes | None = None,
    pad_type: str = "valid",
    pad: Sizes | None = None,
    dilations: Sizes | None = None,
    groups: int = 1,
) -> str:
    """Return the cross-correlation of x and weight."""
    return _convolved(build, x, weight, bias, strides, pad_type, pad, dilations, groups)


@op("conv_quantized")
def conv_quantized(
    build: Build,
    x: Tensor,
    weight: Tensor,
    quantization_type: str,
    quant_scale: np.ndarray,
    quant_bias: np.ndarray,
    bias: np.ndarray | None = None,
    nbits: int = 8,
    strides: Sizes | None = None,
    pad_type: str = "valid",
    pad: Sizes | None = None,
    dilations: Sizes | None = None,
    groups: int = 1,
) -> str:
    """Return the cross-correlation of x and weight * quant_scale + quant_bias, with one scale and bias for all or one for each output channel."""
    if quantization_type != "linear":
        raise UnsupportedLayerError(f"quantization_type {quantization_type!r} is not supported: the operation has no parameter for a table")
    if weight.value is not None and weight.value.size and weight.value.max() >= 2**nbits:
        raise UnsupportedLayerError(f"its weight has values that do not fit {nbits} bits")
    scale, shift = (build.floats(values.reshape(-1, *[1] * (weight.rank - 1))) for values in (quant_scale, quant_bias))
    kernel = build.add("Add", build.add("Mul", build.graph.cast(weight.name, np.float32), scale), shift)
    added = None if bias is None else Tensor(build.floats(bias), "fp32", bias.shape)
    return _convolved(build, x, Tensor(kernel, "fp32", weight.shape), added, strides, pad_type, pad, dilations, groups)


def _convolved(
    build: Build,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    strides: Sizes | None,
    pad_type: str,
    pad: Sizes | None,
    dilations: Sizes | None,
    groups: int,
) -> str:
    spatial = x.rank - 2
    strides = strides or (1,) * spatial
    dilations = dilations or (1,) * spatial
    pads = window_pads(build, x, pad_type, pad, _extent(weight, dilations), strides)
    source, inside = (padded(build, x, pads), None) if isinstance(pads, str) else (x.name, onnx_pads(pads))
    return build.add("Conv", source, weight, bias, strides=strides, dilations=dilations, group=groups, pads=inside)


@op("conv_transpose")
def conv_transpose(
    build: Build,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    pad: Sizes | None = None,
    output_shape: Sizes | None = None,
    pad_type: str = "valid",
    strides: Sizes | None = None,
    dilations: Sizes | None = None,
    groups: int = 1,
) -> str:
    """Return the transposed convolution: every element of x spread over a window, cropped by the padding.

    `same` crops to stride times the size, or to output_shape, the odd element at the end. Where the windows do not reach so far, zeros follow,
    as the gradient of a convolution has them; so they do where output_shape is larger than what the other pad types leave.
    """
    spatial = x.rank - 2
    strides = strides or (1,) * spatial
    dilations = dilations or (1,) * spatial
    extent = _extent(weight, dilations)
    if pad_type not in ("valid", "same", "custom"):
        raise UnsupportedLayerError(f"pad_type {pad_type!r} is not known")
    declared = list(zip(pad[0::2], pad[1::2], strict=True)) if pad_type == "custom" and pad is not None else [(0, 0)] * spatial
    attributes = {"strides": strides, "dilations": dilations, "group": groups}
    if output_shape is not None and not all(isinstance(size, int) for size in x.shape[2:]):
        full = build.add("ConvTranspose", x, weight, **attributes)
        befores = None if pad_type == "same" else [before for before, _ in declared]
        return _with_bias(build, _cut_to(build, full, befores, output_shape[2:]), bias, spatial)
    cut = _cut(x, pad_type, declared, extent, strides, output_shape)
    attributes["pads"] = onnx_pads([(before, max(after, 0)) for before, after in cut])
    if all(after >= 0 for _, after in cut):
        return build.add("ConvTranspose", x, weight, bias, **attributes)
    inside = build.add("ConvTranspose", x, weight, **attributes)
    return _with_bias(build, padded(build, inside, [(0, max(-after, 0)) for _, after in cut]), bias, spatial)


Pairs = list[tuple[int, int]]


def _cut(x: Tensor, pad_type: str, declared: Pairs, extent: list[int], strides: Sizes, output_shape: Sizes | None) -> Pairs:
    """Return what is cut off before and after each dimension of the full result; where the end is negative, as much is added."""
    totals = [window - stride for window, stride in zip(extent, strides, strict=True)]
    if output_shape is not None:
        sizes = [x.size(axis, "output_shape") for axis in range(2, x.rank)]
        fulls = [stride * (size - 1) + window for stride, size, window in zip(strides, sizes, extent, strict=True)]
        totals = [full - wanted for full, wanted in zip(fulls, output_shape[2:], strict=True)]
    if pad_type == "same":
        return [(max(total, 0) // 2, total - max(total, 0) // 2) for total in totals]
    if output_shape is None:
        return declared
    if any(total > sum(pair) for total, pair in zip(totals, declared, strict=True)):
        raise UnsupportedLayerError(f"an output_shape that is smaller than what {pad_type} padding gives is not supported")
    return [(before, total - before) for (before, _), total in zip(declared, totals, strict=True)]


def _cut_to(build: Build, full: str, befores: list[int] | None, wanted: Sizes) -> str:
    """Return the wanted sizes from `befores` on, or from the middle, with zeros where the full result ends before them."""
    target = build.int64(*wanted)
    if befores is None:
        total = build.add("Max", build.add("Sub", build.add("Shape", full, start=2), target), build.int64(0))
        starts = build.add("Div", total, build.int64(2))
    else:
        starts = build.int64(*befores)
    inside = build.add("Slice", full, starts, build.add("Add", starts, target), build.int64(*range(2, len(wanted) + 2)))
    missing = build.add("Sub", target, build.add("Shape", inside, start=2))
    return padded(build, inside, build.add("Concat", build.int64(*[0] * len(wanted)), missing, axis=0))


def _with_bias(build: Build, result: str, bias: Tensor | None, spatial: int) -> str:
    return result if bias is None else build.add("Add", result, build.add("Reshape", bias, build.int64(-1, *[1] * spatial)))


def _extent(weight: Tensor, dilations: Sizes) -> list[int]:
    sizes = [weight.size(axis, "a kernel") for axis in range(2, weight.rank)]
    return [(size - 1) * dilation + 1 for size, dilation in zip(sizes, dilations, strict=True)]
