"""Elements put where indices say; negative indices as in gather.py."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlpipe.runtime.lowered import UnsupportedLayerError
from mlpipe.runtime.mlprogram.op import Build, op
from mlpipe.runtime.mlprogram.ops.gather import not_negative
from mlpipe.runtime.mlprogram.ops.sizes import size_of, vector
from mlpipe.runtime.mlprogram.values import Tensor

MODES = {"update": "none", "add": "add", "sub": "add", "mul": "mul", "div": "mul", "max": "max", "min": "min"}
"""Modes -> ONNX's; `sub` adds what is negated, `div` divides by the product of the updates."""


@op("scatter_along_axis")
def scatter_along_axis(build: Build, data: Tensor, indices: Tensor, updates: Tensor, axis: int = 0, mode: str = "add") -> str:
    """Return data with each update combined into the element at the same place but for the axis."""
    return _along_axis(build, data, indices.name, updates, axis, mode)


@op("scatter")
def scatter(build: Build, data: Tensor, indices: Tensor, updates: Tensor, axis: int = 0, mode: str = "add") -> str:
    """Return data with slices of updates combined into its slices along an axis."""
    return _slices(build, data, indices.name, updates, axis, mode)


@op("scatter_nd")
def scatter_nd(build: Build, data: Tensor, indices: Tensor, updates: Tensor, mode: str = "add") -> str:
    """Return data with slices of updates combined into its slices at index tuples."""
    return _tuples(build, data, indices.name, updates, mode)


@op("scatter_along_axis", since="iOS17")
def scatter_along_axis_from_front(
    build: Build, data: Tensor, indices: Tensor, updates: Tensor, axis: int = 0, mode: str = "add", validate_indices: bool = False
) -> str:
    """Return data with each update combined into the element at the same place but for the axis."""
    del validate_indices
    return _along_axis(build, data, not_negative(build, indices), updates, axis, mode)


@op("scatter", since="iOS17")
def scatter_from_front(build: Build, data: Tensor, indices: Tensor, updates: Tensor, axis: int = 0, mode: str = "add", validate_indices: bool = False) -> str:
    """Return data with slices of updates combined into its slices along an axis."""
    del validate_indices
    return _slices(build, data, not_negative(build, indices), updates, axis, mode)


@op("scatter_nd", since="iOS17")
def scatter_nd_from_front(build: Build, data: Tensor, indices: Tensor, updates: Tensor, mode: str = "add", validate_indices: bool = False) -> str:
    """Return data with slices of updates combined into its slices at index tuples."""
    del validate_indices
    return _tuples(build, data, not_negative(build, indices), updates, mode)


def _along_axis(build: Build, data: Tensor, indices: str, updates: Tensor, axis: int, mode: str) -> str:
    return _combined(build, "ScatterElements", data, indices, updates.name, mode, axis=axis)


def _slices(build: Build, data: Tensor, indices: str, updates: Tensor, axis: int, mode: str) -> str:
    where = data.axis(axis)
    along = build.add("Reshape", indices, build.int64(*(-1 if index == where else 1 for index in range(data.rank))))
    # The dimensions of the indices stand in place of the axis.
    flat = build.add("Reshape", updates, vector(build, *[0] * where, -1, *(size_of(build, data, axis) for axis in range(where + 1, data.rank))))
    spread = build.add("Expand", along, build.graph.shape_value(flat))
    return _combined(build, "ScatterElements", data, spread, flat, mode, axis=where)


def _tuples(build: Build, data: Tensor, indices: str, updates: Tensor, mode: str) -> str:
    return _combined(build, "ScatterND", data, build.graph.cast(indices, np.int64), updates.name, mode)


def _combined(build: Build, onnx_op: str, data: Tensor, indices: str, updates: str, mode: str, **attributes: int) -> str:
    if mode not in MODES:
        raise UnsupportedLayerError(f"mode {mode!r} is not known")
    attributes_and_mode: dict[str, Any] = {**attributes, "reduction": MODES[mode]}
    if mode != "div":
        signed = build.add("Neg", updates) if mode == "sub" else updates
        return build.add(onnx_op, data, indices, signed, **attributes_and_mode)
    # In float64 products of integers are exact where their quotient is not 0; fractions are cut off, as real_div does.
    kind = np.float32 if data.is_float else np.float64
    ones = build.add("Expand", build.graph.constant(1, kind), build.graph.shape_value(data.name))
    divisors = build.add(onnx_op, ones, indices, build.graph.cast(updates, kind), **attributes_and_mode)
    return build.add("Div", build.graph.cast(data.name, kind), divisors)
