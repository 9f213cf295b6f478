"""Elements picked by index.

`validate_indices` changes nothing here: an index out of range is an error when the graph runs, with it and without it.
"""

from __future__ import annotations

import numpy as np

from mlpipe.runtime.lowered import UnsupportedLayerError
from mlpipe.runtime.mlprogram.op import Build, op
from mlpipe.runtime.mlprogram.values import Tensor


@op("gather", keeps_grid=True)
def gather(build: Build, x: Tensor, indices: Tensor, axis: int = 0, batch_dims: int = 0, validate_indices: bool = False) -> str:
    """Return slices of x along an axis; negative indices count from the end."""
    del validate_indices
    if batch_dims:
        raise UnsupportedLayerError("batch_dims is not supported")
    return build.add("Gather", x, indices, axis=axis)


@op("gather_along_axis", keeps_grid=True)
def gather_along_axis(build: Build, x: Tensor, indices: Tensor, axis: int = 0, validate_indices: bool = False) -> str:
    """Return, for each index, the element of x at the same place but for the axis."""
    del validate_indices
    return build.add("GatherElements", x, indices, axis=axis)


@op("gather_nd", keeps_grid=True)
def gather_nd(build: Build, x: Tensor, indices: Tensor, batch_dims: int = 0, validate_indices: bool = False) -> str:
    """Return slices of x at index tuples."""
    del validate_indices
    return build.add("GatherND", x, build.graph.cast(indices.name, np.int64), batch_dims=batch_dims)
