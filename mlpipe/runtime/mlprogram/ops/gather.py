"""Elements picked by index.

Up to iOS16 a negative index counts from the end; from iOS17 on it is out of range, and what a device returns for it is not defined. An index
out of range is an error when the graph runs, whatever `validate_indices` says.
"""

from __future__ import annotations

import numpy as np

from mlpipe.runtime.lowered import UnsupportedLayerError
from mlpipe.runtime.mlprogram.op import Build, op
from mlpipe.runtime.mlprogram.values import Tensor


@op("gather", keeps_grid=True)
def gather(build: Build, x: Tensor, indices: Tensor, axis: int = 0, batch_dims: int = 0) -> str:
    """Return slices of x along an axis, for each place of the leading batch_dims dimensions on its own."""
    return _slices(build, x, indices.name, axis, batch_dims)


@op("gather_along_axis", keeps_grid=True)
def gather_along_axis(build: Build, x: Tensor, indices: Tensor, axis: int = 0) -> str:
    """Return, for each index, the element of x at the same place but for the axis."""
    return build.add("GatherElements", x, indices, axis=axis)


@op("gather_nd", keeps_grid=True)
def gather_nd(build: Build, x: Tensor, indices: Tensor, batch_dims: int = 0) -> str:
    """Return slices of x at index tuples."""
    _check_tuples(x, indices, batch_dims)
    return build.add("GatherND", x, build.indices(indices), batch_dims=batch_dims)


@op("gather", since="iOS17", keeps_grid=True)
def gather_from_front(build: Build, x: Tensor, indices: Tensor, axis: int = 0, batch_dims: int = 0, validate_indices: bool = False) -> str:
    """Return slices of x along an axis, for each place of the leading batch_dims dimensions on its own."""
    del validate_indices
    return _slices(build, x, not_negative(build, indices), axis, batch_dims)


@op("gather_along_axis", since="iOS17", keeps_grid=True)
def gather_along_axis_from_front(build: Build, x: Tensor, indices: Tensor, axis: int = 0, validate_indices: bool = False) -> str:
    """Return, for each index, the element of x at the same place but for the axis."""
    del validate_indices
    return build.add("GatherElements", x, not_negative(build, indices), axis=axis)


@op("gather_nd", since="iOS17", keeps_grid=True)
def gather_nd_from_front(build: Build, x: Tensor, indices: Tensor, batch_dims: int = 0, validate_indices: bool = False) -> str:
    """Return slices of x at index tuples."""
    del validate_indices
    _check_tuples(x, indices, batch_dims)
    return build.add("GatherND", x, build.graph.cast(not_negative(build, indices), np.int64), batch_dims=batch_dims)


def _slices(build: Build, x: Tensor, indices: str, axis: int, batch_dims: int) -> str:
    if not batch_dims:
        return build.add("Gather", x, indices, axis=axis)
    if not 0 < batch_dims <= min(x.rank - 1, build.graph.rank(indices)):
        raise UnsupportedLayerError(f"{batch_dims} batch dimensions are not among those of both inputs")
    where = x.axis(axis)
    tuples = build.add("Unsqueeze", build.graph.cast(indices, np.int64), build.int64(-1))
    if where == batch_dims:
        return build.add("GatherND", x, tuples, batch_dims=batch_dims)
    # ONNX picks along the dimension that follows the batch ones: move the axis there, and what the indices brought behind what was passed.
    between = list(range(batch_dims, where))
    moved = build.add("Transpose", x, perm=[*range(batch_dims), where, *between, *range(where + 1, x.rank)])
    picked = build.add("GatherND", moved, tuples, batch_dims=batch_dims)
    new = build.graph.rank(indices) - batch_dims
    order = [*range(batch_dims), *(axis + new for axis in between), *range(batch_dims, batch_dims + new), *range(where + new, x.rank - 1 + new)]
    return build.add("Transpose", picked, perm=order)


def _check_tuples(x: Tensor, indices: Tensor, batch_dims: int) -> None:
    """Onnx's own inference does not check, and ends the process."""
    length = indices.shape[-1] if indices.rank else 0
    if not 0 <= batch_dims < min(x.rank, indices.rank) or (isinstance(length, int) and not 1 <= length <= x.rank - batch_dims):
        raise UnsupportedLayerError(f"tuples of {length} indices behind {batch_dims} batch dimensions do not fit {x.rank} dimensions")


def not_negative(build: Build, indices: Tensor) -> str:
    """Return the indices, the negative ones moved out of every range, so that they end in an error and not in an element."""
    if indices.value is not None:
        if (indices.value < 0).any():
            raise UnsupportedLayerError("negative indices are out of range from iOS17 on")
        return indices.name
    wide = build.indices(indices)
    zero, outside = build.graph.constant(0, np.int64), build.graph.constant(np.iinfo(np.int32).max, np.int64)
    return build.add("Where", build.add("Less", wide, zero), outside, wide)
