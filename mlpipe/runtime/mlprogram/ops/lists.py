"""Lists of tensors of one shape, held as one tensor whose first dimension counts the elements.

The first size of a list's shape is None where it may grow: when an element is written past its end. A list of fixed length has a number or a name
there. Elements that nothing was written to are zeros. Sizes of the elements that are only known when the model runs are 0 until the first write.
"""

from __future__ import annotations

import numpy as np

from mlpipe.runtime.lowered import UnsupportedLayerError
from mlpipe.runtime.mlprogram.op import Build, op
from mlpipe.runtime.mlprogram.values import STORAGE, Tensor
from mlpipe.runtime.onnx_graph import Dim


@op("make_list", keeps_grid=True)
def make_list(build: Build, elem_shape: tuple[str, ...] = (), init_length: Tensor | None = None, dynamic_length: bool = True, dtype: str = "fp32") -> str:
    """Return a list of `init_length` elements. A size of `elem_shape` that is no number is known when the model runs."""
    if dtype not in STORAGE:
        raise UnsupportedLayerError(f"a list of {dtype} is not supported")
    sizes = [int(size) if size.isdigit() else None for size in elem_shape]
    known = np.asarray(1) if init_length is None else init_length.value
    if known is not None:
        shape = build.int64(int(known.reshape(-1)[0]), *(size or 0 for size in sizes))
    else:
        assert init_length is not None
        length = build.add("Reshape", build.indices(init_length), build.int64(1))
        shape = build.add("Concat", length, build.int64(*(size or 0 for size in sizes)), axis=0)
    made = build.add("Expand", build.graph.constant(0, STORAGE[dtype]), shape)
    first: Dim = None
    if not dynamic_length:
        first = build.graph.name("length") if known is None else int(known.reshape(-1)[0])
    return build.graph.set_type(made, STORAGE[dtype], (first, *sizes))


@op("list_length", keeps_grid=True)
def list_length(build: Build, ls: Tensor) -> str:
    """Return the number of elements."""
    return build.add("Squeeze", build.add("Shape", ls, start=0, end=1), build.int64(0))


@op("list_read", keeps_grid=True)
def list_read(build: Build, ls: Tensor, index: Tensor) -> str:
    """Return one element."""
    return build.add("Gather", ls, build.add("Reshape", _places(build, index), build.int64()), axis=0)


@op("list_gather", keeps_grid=True)
def list_gather(build: Build, ls: Tensor, indices: Tensor) -> str:
    """Return the elements at the indices, stacked."""
    return build.add("Gather", ls, _places(build, indices), axis=0)


@op("list_write", keeps_grid=True)
def list_write(build: Build, ls: Tensor, index: Tensor, value: Tensor) -> str:
    """Return the list with one element replaced or appended."""
    place = build.add("Reshape", _places(build, index), build.int64(1))
    return _written(build, ls, place, place, build.add("Unsqueeze", value, build.int64(0)))


@op("list_scatter", keeps_grid=True)
def list_scatter(build: Build, ls: Tensor, indices: Tensor, value: Tensor) -> str:
    """Return the list with several elements replaced or appended."""
    places = _places(build, indices)
    # Of none, this is the least number there is.
    return _written(build, ls, places, build.add("ReduceMax", places), value.name)


def _places(build: Build, indices: Tensor) -> str:
    """Return indices for ONNX, which would count negative ones from the end: they become too large instead, an error when the model runs."""
    places = build.indices(indices)
    if indices.value is not None and (indices.value >= 0).all():
        return places
    too_large = build.graph.constant(np.iinfo(np.int32).max, np.int64)
    return build.add("Where", build.add("Less", places, build.graph.constant(0, np.int64)), too_large, places)


def _written(build: Build, ls: Tensor, places: str, last: str, values: str) -> str:
    written = build.add("ScatterND", _grown(build, ls, last, values), build.add("Unsqueeze", places, build.int64(1)), values)
    return build.graph.set_type(written, STORAGE[ls.dtype], ls.shape)


def _grown(build: Build, ls: Tensor, last: str, values: str) -> str:
    """Return the list with room for the last place and for elements of the values' shape, as far as it may change in either."""
    if all(size is not None for size in ls.shape):
        return ls.name
    before = build.add("Shape", ls)
    length, sizes = build.add("Slice", before, build.int64(0), build.int64(1)), build.add("Shape", ls, start=1)
    if ls.shape[0] is None:
        length = build.add("Max", length, build.add("Add", last, build.int64(1)))
    if any(size is None for size in ls.shape[1:]):
        sizes = build.add("Where", build.add("Equal", sizes, build.int64(0)), build.add("Shape", values, start=1), sizes)
    more = build.add("Sub", build.add("Concat", length, sizes, axis=0), before)
    return build.add("Pad", ls, build.add("Concat", build.int64(*[0] * ls.rank), more, axis=0))
