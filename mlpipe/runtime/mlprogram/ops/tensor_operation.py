"""Joining, padding, making and ordering tensors."""

from __future__ import annotations

import numpy as np

from mlpipe.runtime.lowered import UnsupportedLayerError
from mlpipe.runtime.mlprogram.op import Build, op
from mlpipe.runtime.mlprogram.ops.elementwise_binary import chosen
from mlpipe.runtime.mlprogram.ops.sizes import scalar, size_of, vector
from mlpipe.runtime.mlprogram.values import STORAGE, Tensor

PAD_MODES = {"constant": "constant", "reflect": "reflect", "replicate": "edge"}


@op("concat", keeps_grid=True)
def concat(build: Build, values: tuple[Tensor, ...], axis: int, interleave: bool = False) -> str:
    """Return the tensors one after the other along an axis, or element by element in turn."""
    if values[0].rank == 0:
        return build.add("Concat", *(build.add("Unsqueeze", value, build.int64(0)) for value in values), axis=0)
    if not interleave:
        return build.add("Concat", *values, axis=axis)
    where = values[0].axis(axis)
    stacked = build.add("Concat", *(build.add("Unsqueeze", value, build.int64(where + 1)) for value in values), axis=where + 1)
    sizes = [*[0] * where, -1, *(size_of(build, values[0], axis) for axis in range(where + 1, values[0].rank))]
    return build.add("Reshape", stacked, vector(build, *sizes))


@op("stack", keeps_grid=True)
def stack(build: Build, values: tuple[Tensor, ...], axis: int) -> str:
    """Return the tensors side by side in a new dimension."""
    return build.add("Concat", *(build.add("Unsqueeze", value, build.int64(axis)) for value in values), axis=axis)


@op("pad", keeps_grid=True)
def pad(build: Build, x: Tensor, pad: Tensor, mode: str = "constant", constant_val: float = 0.0) -> str:
    """Return x with elements before and after its last dimensions: pairs, in the order of the dimensions."""
    if mode not in PAD_MODES:
        raise UnsupportedLayerError(f"mode {mode!r} is not known")
    value = build.number(constant_val, x) if mode == "constant" else None
    if pad.value is not None:
        pairs = pad.value.reshape(-1, 2)
        full = np.zeros((x.rank, 2), np.int64)
        full[x.rank - len(pairs) :] = pairs
        return build.add("Pad", x, build.int64(*full.T.reshape(-1).tolist()), value, mode=PAD_MODES[mode])
    order = build.add("Transpose", build.add("Reshape", build.indices(pad), build.int64(-1, 2)), perm=[1, 0])
    return build.add("Pad", x, build.add("Reshape", order, build.int64(-1)), value, mode=PAD_MODES[mode])


@op("fill", keeps_grid=True)
def fill(build: Build, shape: Tensor, value: np.ndarray | None = None) -> str:
    """Return a tensor of one value."""
    dtype = STORAGE[build.outputs[0].dtype]
    single = np.zeros((), dtype) if value is None else value.reshape(()).astype(dtype)
    return build.add("Expand", build.graph.constant(single), build.indices(shape))


@op("fill_like", since="iOS16", keeps_grid=True)
def fill_like(build: Build, ref_tensor: Tensor, value: np.ndarray | None = None) -> str:
    """Return a tensor of one value, of another tensor's shape."""
    dtype = STORAGE[build.outputs[0].dtype]
    single = np.zeros((), dtype) if value is None else value.reshape(()).astype(dtype)
    return build.add("Expand", build.graph.constant(single), build.graph.shape_value(ref_tensor.name))


@op("range_1d")
def range_1d(build: Build, start: Tensor, end: Tensor, step: Tensor) -> str:
    """Return start, start + step, ... below end."""
    return build.add("Range", start, end, step)


@op("one_hot", keeps_grid=True)
def one_hot(
    build: Build, indices: Tensor, one_hot_vector_size: Tensor, axis: int = -1, on_value: np.ndarray | None = None, off_value: np.ndarray | None = None
) -> str:
    """Return a vector for each index, on_value at the index and off_value elsewhere; one that is out of range is off everywhere."""
    dtype = STORAGE[build.outputs[0].dtype]
    on = np.ones(1, dtype) if on_value is None else on_value.reshape(1).astype(dtype)
    off = np.zeros(1, dtype) if off_value is None else off_value.reshape(1).astype(dtype)
    # ONNX's own OneHot counts negative indices from the end.
    length = build.add("Reshape", build.graph.cast(one_hot_vector_size.name, np.int32), build.int64())
    places = build.add("Range", build.graph.constant(0, np.int32), length, build.graph.constant(1, np.int32))
    spread = build.add("Unsqueeze", build.graph.cast(indices.name, np.int32), build.int64(-1))
    result = chosen(build, build.add("Equal", spread, places), build.graph.constant(on), build.graph.constant(off))
    rank = indices.rank + 1
    where = axis + rank if axis < 0 else axis
    order = list(range(rank - 1))
    order.insert(where, rank - 1)
    return build.add("Transpose", result, perm=order)


@op("topk", keeps_grid=True)
def topk(
    build: Build,
    x: Tensor,
    k: Tensor | None = None,
    axis: int = -1,
    ascending: bool = False,
    sort: bool = True,
    return_indices: bool = True,
    output_indices_dtype: str = "int32",
) -> list[str]:
    """Return the k largest or smallest elements along an axis and, if wanted, where they lie; the first of equals first.

    A k of -1 is all of them. Without `sort` any order will do: they are sorted then too.
    """
    del sort
    if output_indices_dtype != "int32" and (not return_indices or output_indices_dtype != build.outputs[1].dtype):
        raise UnsupportedLayerError(f"indices of type {output_indices_dtype} do not fit the outputs")
    values, indices = build.add_many("TopK", 2, x, _count(build, x, k, axis), axis=axis, largest=int(not ascending), sorted=1)
    return [values, indices] if return_indices else [values]


@op("argsort", keeps_grid=True)
def argsort(build: Build, x: Tensor, axis: int = -1, ascending: bool = False) -> str:
    """Return the indices that sort x along an axis."""
    count = vector(build, size_of(build, x, axis))
    return build.add_many("TopK", 2, x, count, axis=axis, largest=int(not ascending), sorted=1)[1]


def _count(build: Build, x: Tensor, k: Tensor | None, axis: int) -> str:
    if k is None:
        return build.int64(1)
    every = vector(build, size_of(build, x, axis))
    if k.value is not None:
        return every if k.value.item() == -1 else build.int64(k.value.item())
    wanted = build.add("Reshape", build.indices(k), build.int64(1))
    return build.add("Where", build.add("Equal", wanted, build.int64(-1)), every, wanted)


@op("band_part", keeps_grid=True)
def band_part(build: Build, x: Tensor, lower: int = -1, upper: int = -1) -> str:
    """Return x with zeros outside a band around the diagonal of its last two dimensions; a negative bound keeps all on that side."""
    zero, one = build.graph.constant(0, np.int64), build.graph.constant(1, np.int64)
    rows, columns = (build.add("Range", zero, scalar(build, size_of(build, x, axis)), one) for axis in (-2, -1))
    below = build.add("Sub", build.add("Unsqueeze", rows, build.int64(1)), columns)
    sides = [side for bound, side in ((lower, below), (upper, build.add("Neg", below))) if bound >= 0]
    bounds = [bound for bound in (lower, upper) if bound >= 0]
    result = x.name
    for side, bound in zip(sides, bounds, strict=True):
        result = chosen(build, build.add("LessOrEqual", side, build.int64(bound)), result, build.graph.constant(0, build.graph.dtype(result)))
    return result


@op("cumsum")
def cumsum(build: Build, x: Tensor, axis: int = 0, exclusive: bool = False, reverse: bool = False) -> str:
    """Return running sums along an axis."""
    return build.add("CumSum", x, build.graph.constant(axis, np.int64), exclusive=int(exclusive), reverse=int(reverse))


@op("non_zero", keeps_grid=True)
def non_zero(build: Build, x: Tensor) -> str:
    """Return the indices of the elements that are not zero, one row each."""
    return build.add("Transpose", build.add("NonZero", x), perm=[1, 0])
