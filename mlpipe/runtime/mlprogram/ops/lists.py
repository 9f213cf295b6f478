"""Lists of tensors of one shape, held as one tensor whose first dimension counts the elements.

A list grows when an element is written past its end. Elements that nothing was written to are zeros.
"""

from __future__ import annotations

from mlpipe.runtime.lowered import UnsupportedLayerError
from mlpipe.runtime.mlprogram.op import Build, op
from mlpipe.runtime.mlprogram.values import STORAGE, Tensor


@op("make_list", keeps_grid=True)
def make_list(build: Build, elem_shape: tuple[str, ...], init_length: Tensor | None = None, dynamic_length: bool = True, dtype: str = "fp32") -> str:
    """Return a list of `init_length` elements."""
    del dynamic_length
    if not all(size.isdigit() for size in elem_shape):
        raise UnsupportedLayerError("a list whose elements vary in shape is not supported")
    length = build.int64(1) if init_length is None else build.add("Reshape", build.indices(init_length), build.int64(1))
    shape = build.add("Concat", length, build.int64(*map(int, elem_shape)), axis=0)
    return build.add("Expand", build.graph.constant(0, STORAGE[dtype]), shape)


@op("list_length", keeps_grid=True)
def list_length(build: Build, ls: Tensor) -> str:
    """Return the number of elements."""
    return build.add("Squeeze", build.add("Shape", ls, start=0, end=1), build.int64(0))


@op("list_read", keeps_grid=True)
def list_read(build: Build, ls: Tensor, index: Tensor) -> str:
    """Return one element."""
    return build.add("Gather", ls, build.add("Reshape", index, build.int64()), axis=0)


@op("list_gather", keeps_grid=True)
def list_gather(build: Build, ls: Tensor, indices: Tensor) -> str:
    """Return the elements at the indices, stacked."""
    return build.add("Gather", ls, indices, axis=0)


@op("list_write", keeps_grid=True)
def list_write(build: Build, ls: Tensor, index: Tensor, value: Tensor) -> str:
    """Return the list with one element replaced or appended."""
    place = build.add("Reshape", build.indices(index), build.int64(1))
    return _written(build, ls, place, build.add("Unsqueeze", value, build.int64(0)))


@op("list_scatter", keeps_grid=True)
def list_scatter(build: Build, ls: Tensor, indices: Tensor, value: Tensor) -> str:
    """Return the list with several elements replaced or appended."""
    return _written(build, ls, build.indices(indices), value.name)


def _written(build: Build, ls: Tensor, places: str, values: str) -> str:
    needed = build.add("Add", build.add("ReduceMax", places, build.int64(0)), build.int64(1))
    more = build.add("Max", build.add("Sub", needed, build.add("Shape", ls, start=0, end=1)), build.int64(0))
    before, others = build.int64(*[0] * ls.rank), build.int64(*[0] * (ls.rank - 1))
    grown = build.add("Pad", ls, build.add("Concat", before, more, others, axis=0))
    return build.add("ScatterND", grown, build.add("Unsqueeze", places, build.int64(1)), values)
