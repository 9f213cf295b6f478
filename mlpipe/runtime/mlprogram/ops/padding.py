"""Padding of windows that slide over spatial dimensions: convolutions and pools."""

from __future__ import annotations

from collections.abc import Sequence

from mlpipe.runtime.lowered import UnsupportedLayerError
from mlpipe.runtime.mlprogram.values import Tensor

Pads = list[tuple[int, int]]
"""Elements before and after each spatial dimension."""


def window_pads(x: Tensor, pad_type: str, pad: Sequence[int] | None, extent: Sequence[int], strides: Sequence[int]) -> Pads:
    """Return the padding that a pad type means; `extent` is the window's size with its dilation.

    `same` puts the odd element after the dimension, `same_lower` before it.
    """
    if pad_type == "valid":
        return [(0, 0)] * len(extent)
    if pad_type == "custom":
        if pad is None:
            return [(0, 0)] * len(extent)
        return list(zip(pad[0::2], pad[1::2], strict=True))
    if pad_type not in ("same", "same_lower"):
        raise UnsupportedLayerError(f"pad_type {pad_type!r} is not known")
    pads = []
    for axis, (window, stride) in enumerate(zip(extent, strides, strict=True)):
        # With a stride of 1 the padding does not depend on the size.
        size = 1 if stride == 1 else x.size(axis + 2, f"pad_type {pad_type!r} with a stride")
        total = max((-(-size // stride) - 1) * stride + window - size, 0)
        pads.append((total // 2, total - total // 2) if pad_type == "same" else (total - total // 2, total // 2))
    return pads


def varying_pads(x: Tensor, pad_type: str, strides: Sequence[int], dilations: Sequence[int] | None = None) -> str | None:
    """Return ONNX's name of a padding that depends on sizes which are only known when the model runs; None where it depends on none.

    Errors: UnsupportedLayerError for windows with holes, which ONNX Runtime does not pad so.
    """
    if pad_type not in ("same", "same_lower") or all(stride == 1 or isinstance(size, int) for size, stride in zip(x.shape[2:], strides, strict=True)):
        return None
    if dilations is not None and any(dilation != 1 for dilation in dilations):
        raise UnsupportedLayerError(f"pad_type {pad_type!r} with a stride and a dilation, of a size that varies")
    return {"same": "SAME_UPPER", "same_lower": "SAME_LOWER"}[pad_type]


def onnx_pads(pads: Pads) -> list[int]:
    """Return the padding in ONNX's order: all befores, then all afters."""
    return [before for before, _ in pads] + [after for _, after in pads]
