"""Joining, padding, making and ordering tensors."""

from __future__ import annotations

import numpy as np

from mlpipe.runtime.lowered import UnsupportedLayerError
from mlpipe.runtime.mlprogram.op import Build, op
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
    sizes = [0] * where + [-1] + [values[0].size(axis, "interleave") for axis in range(where + 1, values[0].rank)]
    return build.add("Reshape", stacked, build.int64(*sizes))


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
    build: Build, indices: Tensor, one_hot_vector_size: int, axis: int = -1, on_value: np.ndarray | None = None, off_value: np.ndarray | None = None
) -> str:
    """Return a vector for each index, on_value at the index and off_value elsewhere; one that is out of range is off everywhere."""
    dtype = STORAGE[build.outputs[0].dtype]
    on = np.ones(1, dtype) if on_value is None else on_value.reshape(1).astype(dtype)
    off = np.zeros(1, dtype) if off_value is None else off_value.reshape(1).astype(dtype)
    # ONNX's own OneHot counts negative indices from the end.
    places = build.graph.constant(np.arange(one_hot_vector_size, dtype=np.int32))
    spread = build.add("Unsqueeze", build.graph.cast(indices.name, np.int32), build.int64(-1))
    result = build.add("Where", build.add("Equal", spread, places), build.graph.constant(on), build.graph.constant(off))
    rank = indices.rank + 1
    where = axis + rank if axis < 0 else axis
    order = list(range(rank - 1))
    order.insert(where, rank - 1)
    return build.add("Transpose", result, perm=order)


@op("topk", keeps_grid=True)
def topk(
    build: Build,
    x: Tensor,
    k: int = 1,
    axis: int = -1,
    ascending: bool = False,
    sort: bool = True,
    return_indices: bool = True,
    output_indices_dtype: str = "int32",
) -> list[str]:
    """Return the k largest or smallest elements along an axis and, if wanted, where they lie; the first of equals first."""
    if not sort:
        raise UnsupportedLayerError("sort = false is not supported: the order of its results is not documented")
    if output_indices_dtype != "int32" and (not return_indices or output_indices_dtype != build.outputs[1].dtype):
        raise UnsupportedLayerError(f"indices of type {output_indices_dtype} do not fit the outputs")
    values, indices = build.add_many("TopK", 2, x, build.int64(k), axis=axis, largest=int(not ascending), sorted=1)
    return [values, indices] if return_indices else [values]


@op("argsort", keeps_grid=True)
def argsort(build: Build, x: Tensor, axis: int = -1, ascending: bool = False) -> str:
    """Return the indices that sort x along an axis."""
    count = x.size(x.axis(axis), "argsort")
    return build.add_many("TopK", 2, x, build.int64(count), axis=axis, largest=int(not ascending), sorted=1)[1]


@op("band_part", keeps_grid=True)
def band_part(build: Build, x: Tensor, lower: int = -1, upper: int = -1) -> str:
    """Return x with zeros outside a band around the diagonal of its last two dimensions; a negative bound keeps all on that side."""
    rows, columns = (x.size(axis, "band_part") for axis in (-2, -1))
    below = np.arange(rows)[:, None] - np.arange(columns)[None]
    inside = ((below <= lower) | (lower < 0)) & ((-below <= upper) | (upper < 0))
    zero = build.graph.constant(np.zeros((), STORAGE[x.dtype]))
    return build.add("Where", build.graph.constant(inside), x, zero)


@op("cumsum")
def cumsum(build: Build, x: Tensor, axis: int = 0, exclusive: bool = False, reverse: bool = False) -> str:
    """Return running sums along an axis."""
    return build.add("CumSum", x, build.graph.constant(axis, np.int64), exclusive=int(exclusive), reverse=int(reverse))


@op("non_zero", keeps_grid=True)
def non_zero(build: Build, x: Tensor) -> str:
    """Return the indices of the elements that are not zero, one row each."""
    return build.add("Transpose", build.add("NonZero", x), perm=[1, 0])
