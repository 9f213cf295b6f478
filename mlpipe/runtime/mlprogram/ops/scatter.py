"""Elements put where indices say; negative indices as in gather.py."""

from __future__ import annotations

import numpy as np

from mlpipe.runtime.lowered import UnsupportedLayerError
from mlpipe.runtime.mlprogram.op import Build, op
from mlpipe.runtime.mlprogram.ops.gather import not_negative
from mlpipe.runtime.mlprogram.ops.slicing import slice_by_index
from mlpipe.runtime.mlprogram.values import Tensor

MODES = {"update": "none", "add": "add", "sub": "add", "mul": "mul", "max": "max", "min": "min"}
"""Modes -> ONNX's; `sub` adds what is negated. `div` is refused: multiplying by a reciprocal rounds differently."""


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


@op("slice_update", since="iOS18", keeps_grid=True)
def slice_update(
    build: Build,
    x: Tensor,
    update: Tensor,
    begin: Tensor,
    end: Tensor,
    stride: tuple[int, ...] | None = None,
    begin_mask: tuple[bool, ...] | None = None,
    end_mask: tuple[bool, ...] | None = None,
    squeeze_mask: tuple[bool, ...] | None = None,
) -> str:
    """Return x with the piece that slice_by_index would take replaced by update."""
    shape = tuple(x.size(axis, "slice_update") for axis in range(x.rank))
    # Slicing the numbers of the elements says which elements are replaced, wherever begin and end come from.
    numbers = np.arange(np.prod(shape), dtype=np.int32).reshape(shape)
    every = Tensor(build.graph.constant(numbers), "int32", shape)
    places = slice_by_index(build, every, begin, end, stride, begin_mask, end_mask, squeeze_mask)
    assert isinstance(places, str)
    flat = [build.add("Reshape", value, build.int64(-1)) for value in (x, places, update)]
    return build.add("Reshape", build.add("ScatterElements", *flat, axis=0), build.int64(*shape))


def _along_axis(build: Build, data: Tensor, indices: str, updates: Tensor, axis: int, mode: str) -> str:
    signed = _signed(build, updates, mode)
    return build.add("ScatterElements", data, indices, signed, axis=axis, reduction=MODES[mode])


def _slices(build: Build, data: Tensor, indices: str, updates: Tensor, axis: int, mode: str) -> str:
    where = data.axis(axis)
    along = build.add("Reshape", indices, build.int64(*(-1 if index == where else 1 for index in range(data.rank))))
    spread = build.add("Expand", along, build.graph.shape_value(updates.name))
    return _along_axis(build, data, spread, updates, where, mode)


def _tuples(build: Build, data: Tensor, indices: str, updates: Tensor, mode: str) -> str:
    signed = _signed(build, updates, mode)
    return build.add("ScatterND", data, build.graph.cast(indices, np.int64), signed, reduction=MODES[mode])


def _signed(build: Build, updates: Tensor, mode: str) -> str:
    if mode not in MODES:
        raise UnsupportedLayerError(f"mode {mode!r} is not supported")
    return build.add("Neg", updates) if mode == "sub" else updates.name
