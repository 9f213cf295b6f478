"""Padding of windows that slide over spatial dimensions: convolutions and pools."""

from __future__ import annotations

from collections.abc import Sequence

from mlpipe.runtime.lowered import UnsupportedLayerError
from mlpipe.runtime.mlprogram.op import Build
from mlpipe.runtime.mlprogram.values import Tensor

Pads = list[tuple[int, int]] | str
"""Elements before and after each spatial dimension. Where they depend on sizes that vary: the value that holds all befores, then all afters."""


def window_pads(build: Build, x: Tensor, pad_type: str, pad: Sequence[int] | None, extent: Sequence[int], strides: Sequence[int]) -> Pads:
    """Return the padding that a pad type means; `extent` is the window's size with its dilation.

    `same` puts the odd element after the dimension, `same_lower` before it.
    """
    if pad_type == "custom" and pad is not None:
        return list(zip(pad[0::2], pad[1::2], strict=True))
    if pad_type in ("valid", "custom"):
        return [(0, 0)] * len(extent)
    if pad_type not in ("same", "same_lower"):
        raise UnsupportedLayerError(f"pad_type {pad_type!r} is not known")
    pads: list[tuple[int, int]] = []
    for size, window, stride in zip(x.shape[2:], extent, strides, strict=True):
        # With a stride of 1 the padding does not depend on the size.
        known = size if isinstance(size, int) else 1
        if stride != 1 and not isinstance(size, int):
            return _varying_same(build, x, extent, strides, lower=pad_type == "same_lower")
        total = max((-(-known // stride) - 1) * stride + window - known, 0)
        pads.append((total // 2, total - total // 2) if pad_type == "same" else (total - total // 2, total // 2))
    return pads


def _varying_same(build: Build, x: Tensor, extent: Sequence[int], strides: Sequence[int], *, lower: bool) -> str:
    sizes, steps, windows = build.add("Shape", x, start=2), build.int64(*strides), build.int64(*extent)
    covered = build.add("Mul", _divided_up(build, sizes, steps), steps)
    total = build.add("Sub", build.add("Add", covered, windows), build.add("Add", sizes, steps))
    total = build.add("Max", total, build.int64(0))
    less = build.add("Div", total, build.int64(2))
    more = build.add("Sub", total, less)
    return build.add("Concat", more if lower else less, less if lower else more, axis=0)


def ceil_pads(build: Build, x: Tensor, pads: list[tuple[int, int]], extent: Sequence[int], strides: Sequence[int]) -> Pads:
    """Return the padding with which the last, partial window fits: where there is padding, it must start inside the input or the padding before it."""
    sizes = [size for size in x.shape[2:] if isinstance(size, int)]
    if len(sizes) < x.rank - 2:
        return _varying_ceil(build, x, pads, extent, strides)
    result = []
    for size, (before, after), window, stride in zip(sizes, pads, extent, strides, strict=True):
        count = -(-(size + before + after - window) // stride) + 1
        if (count - 1) * stride >= size + before and before + after > 0:
            count -= 1
        result.append((before, max((count - 1) * stride + window - size - before, after)))
    return result


def _varying_ceil(build: Build, x: Tensor, pads: list[tuple[int, int]], extent: Sequence[int], strides: Sequence[int]) -> str:
    sizes, steps = build.add("Shape", x, start=2), build.int64(*strides)
    before, after = build.int64(*(pair[0] for pair in pads)), build.int64(*(pair[1] for pair in pads))
    left = build.add("Sub", build.add("Add", sizes, build.int64(*map(sum, pads))), build.int64(*extent))
    start = build.add("Mul", _divided_up(build, left, steps), steps)
    outside = build.add("GreaterOrEqual", start, build.add("Add", sizes, before))
    drop = build.add("And", outside, build.graph.constant([sum(pair) > 0 for pair in pads], "bool"))
    start = build.add("Where", drop, build.add("Sub", start, steps), start)
    needed = build.add("Sub", build.add("Add", start, build.int64(*extent)), build.add("Add", sizes, before))
    return build.add("Concat", before, build.add("Max", needed, after), axis=0)


def _divided_up(build: Build, sizes: str, steps: str) -> str:
    """Return sizes / steps, rounded up, for sizes that are not negative."""
    return build.add("Div", build.add("Sub", build.add("Add", sizes, steps), build.int64(1)), steps)


def padded(build: Build, x: Tensor | str, pads: Pads, value: float = 0.0) -> str:
    """Return x with the padding made of elements."""
    spatial = pads if isinstance(pads, str) else build.int64(*onnx_pads(pads))
    count = build.graph.rank(x.name if isinstance(x, Tensor) else x) - 2
    return build.add("Pad", x, spatial, build.floats(value), build.int64(*range(2, count + 2)))


def onnx_pads(pads: list[tuple[int, int]]) -> list[int]:
    """Return the padding in ONNX's order: all befores, then all afters."""
    return [before for before, _ in pads] + [after for _, after in pads]
