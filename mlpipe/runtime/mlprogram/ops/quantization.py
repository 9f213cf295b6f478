"""Activations in 8 bits."""

from __future__ import annotations

import numpy as np

from mlpipe.runtime.mlprogram.op import Build, op
from mlpipe.runtime.mlprogram.values import Tensor

LIMITS = {"int8": (-128.0, 127.0), "uint8": (0.0, 255.0)}


@op("quantize", since="iOS17", keeps_grid=True)
def quantize(
    build: Build,
    input: Tensor,  # noqa: A002 - the operation's own name for it
    scale: np.ndarray,
    output_dtype: str,
    zero_point: np.ndarray | None = None,
    axis: int | None = None,
) -> str:
    """Return input / scale, rounded half to even, plus zero_point, held inside the 8-bit type."""
    low, high = LIMITS[output_dtype]
    steps = build.add("Round", build.add("Div", input, _along(build, input, scale, axis)))
    if zero_point is not None:
        steps = build.add("Add", steps, _along(build, input, zero_point, axis))
    return build.add("Clip", steps, build.floats(low), build.floats(high))


@op("dequantize", since="iOS17")
def dequantize(
    build: Build,
    input: Tensor,  # noqa: A002 - the operation's own name for it
    scale: np.ndarray,
    zero_point: np.ndarray | None = None,
    axis: int | None = None,
) -> str:
    """Return (input - zero_point) * scale."""
    steps = build.graph.cast(input.name, np.float32)
    if zero_point is not None:
        steps = build.add("Sub", steps, _along(build, input, zero_point, axis))
    return build.add("Mul", steps, _along(build, input, scale, axis))


def _along(build: Build, x: Tensor, values: np.ndarray, axis: int | None) -> str:
    """Return one value for all, or one for each place along the axis."""
    if values.ndim == 0 or axis is None:
        return build.floats(values.reshape(()))
    return build.floats(values.reshape([-1 if index == x.axis(axis) else 1 for index in range(x.rank)]))
