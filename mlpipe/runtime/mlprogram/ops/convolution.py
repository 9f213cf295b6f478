"""Convolutions and their transposes."""

from __future__ import annotations

from mlpipe.runtime.lowered import UnsupportedLayerError
from mlpipe.runtime.mlprogram.op import Build, op
from mlpipe.runtime.mlprogram.ops.padding import onnx_pads, varying_pads, window_pads
from mlpipe.runtime.mlprogram.values import Tensor


@op("conv")
def conv(
    build: Build,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    strides: tuple[int, ...] | None = None,
    pad_type: str = "valid",
    pad: tuple[int, ...] | None = None,
    dilations: tuple[int, ...] | None = None,
    groups: int = 1,
) -> str:
    """Return the cross-correlation of x and weight."""
    spatial = x.rank - 2
    strides = strides or (1,) * spatial
    dilations = dilations or (1,) * spatial
    extent = _extent(weight, dilations)
    varying = varying_pads(x, pad_type, strides, dilations)
    if varying is not None:
        return build.add("Conv", x, weight, bias, strides=strides, group=groups, kernel_shape=extent, auto_pad=varying)
    pads = window_pads(x, pad_type, pad, extent, strides)
    return build.add("Conv", x, weight, bias, strides=strides, dilations=dilations, group=groups, pads=onnx_pads(pads))


@op("conv_transpose")
def conv_transpose(
    build: Build,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    pad: tuple[int, ...] | None = None,
    output_shape: tuple[int, ...] | None = None,
    pad_type: str = "valid",
    strides: tuple[int, ...] | None = None,
    dilations: tuple[int, ...] | None = None,
    groups: int = 1,
) -> str:
    """Return the transposed convolution: every element of x spread over a window, cropped by the padding.

    `same` crops to stride times the size, the odd element at the end; where the windows do not reach so far, zeros follow. An output_shape
    that is larger than the padding leaves is met with zeros at the end, as the gradient of a convolution has them.
    """
    spatial = x.rank - 2
    strides = strides or (1,) * spatial
    dilations = dilations or (1,) * spatial
    extent = _extent(weight, dilations)
    if pad_type not in ("valid", "same", "custom"):
        raise UnsupportedLayerError(f"pad_type {pad_type!r} is not known")
    pads, extra = [], []
    for axis in range(spatial):
        declared = (pad[2 * axis], pad[2 * axis + 1]) if pad_type == "custom" and pad is not None else (0, 0)
        own = extent[axis] - strides[axis] if pad_type == "same" else sum(declared)
        crop = own
        if output_shape is not None:
            size = x.size(axis + 2, "output_shape")
            crop = strides[axis] * (size - 1) + extent[axis] - output_shape[axis + 2]
        pads.append(_crop(pad_type, declared, own, crop))
        extra.append(max(-crop, 0))
    attributes = {"strides": strides, "dilations": dilations, "group": groups, "pads": onnx_pads(pads)}
    if not any(extra):
        return build.add("ConvTranspose", x, weight, bias, **attributes)
    full = build.add("ConvTranspose", x, weight, **attributes)
    padded = build.add("Pad", full, build.int64(*[0] * x.rank, 0, 0, *extra))
    if bias is None:
        return padded
    return build.add("Add", padded, build.add("Reshape", bias, build.int64(-1, *[1] * spatial)))


def _crop(pad_type: str, declared: tuple[int, int], own: int, crop: int) -> tuple[int, int]:
    """Return what is cut off before and after; `own` is how much the pad type cuts by itself, `crop` how much output_shape asks for."""
    if pad_type == "same":
        return max(crop, 0) // 2, max(crop, 0) - max(crop, 0) // 2
    if (pad_type == "custom" and crop != own) or crop > own:
        raise UnsupportedLayerError(f"an output_shape that differs from what {pad_type} padding gives is not supported")
    return declared


def _extent(weight: Tensor, dilations: tuple[int, ...]) -> list[int]:
    sizes = [weight.size(axis, "a kernel") for axis in range(2, weight.rank)]
    return [(size - 1) * dilation + 1 for size, dilation in zip(sizes, dilations, strict=True)]
