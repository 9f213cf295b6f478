"""Operations that keep the elements and their order, and change the shape."""

from __future__ import annotations

from mlpipe.runtime.lowered import UnsupportedLayerError
from mlpipe.runtime.mlprogram.op import Build, op
from mlpipe.runtime.mlprogram.ops.sampling_grid import count_up
from mlpipe.runtime.mlprogram.ops.sizes import scalar, scaled, size_of
from mlpipe.runtime.mlprogram.values import Tensor


@op("reshape", keeps_grid=True)
def reshape(build: Build, x: Tensor, shape: Tensor) -> str:
    """Return x in another shape: -1 stands for what is left, 0 for the size that x has there."""
    if shape.value is not None and 0 in shape.value and shape.value.size != x.rank:
        raise UnsupportedLayerError("a shape with 0 must have as many sizes as x")
    return build.add("Reshape", x, _int64(build, shape))


@op("reshape", since="iOS17", keeps_grid=True)
def reshape_from_back(build: Build, x: Tensor, shape: Tensor) -> str:
    """Return x in another shape: -1 stands for what is left, 0 for the size that x has there, counted from the last dimension, or 1 before its first."""
    count = shape.size(0, "reshape")
    wanted = _int64(build, shape)
    if count == x.rank or (shape.value is not None and 0 not in shape.value):
        return build.add("Reshape", x, wanted)
    own = build.add("Concat", build.int64(*[1] * count), build.graph.shape_value(x.name), axis=0)
    own = build.add("Slice", own, build.int64(x.rank), build.int64(x.rank + count))
    return build.add("Reshape", x, build.add("Where", build.add("Equal", wanted, build.int64(0)), own, wanted))


def _int64(build: Build, shape: Tensor) -> str:
    return build.indices(shape) if shape.value is None else build.int64(*shape.value.tolist())


@op("reshape_like", since="iOS16", keeps_grid=True)
def reshape_like(build: Build, x: Tensor, ref_tensors: tuple[Tensor, ...], begins: tuple[int, ...], ends: tuple[int, ...], end_masks: tuple[bool, ...]) -> str:
    """Return x in the shape that pieces of other tensors' shapes give, one after the other."""
    pieces = []
    for tensor, begin, end, to_end in zip(ref_tensors, begins, ends, end_masks, strict=True):
        shape = build.graph.shape_value(tensor.name)
        pieces.append(build.add("Slice", shape, build.int64(begin), build.int64(tensor.rank if to_end else end)))
    return build.add("Reshape", x, build.add("Concat", *pieces, axis=0))


@op("expand_dims", keeps_grid=True)
def expand_dims(build: Build, x: Tensor, axes: tuple[int, ...]) -> str:
    """Return x with dimensions of size 1 inserted where the axes lie in the result."""
    return build.add("Unsqueeze", x, build.int64(*axes))


@op("squeeze", keeps_grid=True)
def squeeze(build: Build, x: Tensor, axes: tuple[int, ...] | None = None) -> str:
    """Return x without dimensions of size 1: all of them, or those of the axes that have it."""
    candidates = range(x.rank) if axes is None else [x.axis(axis) for axis in axes]
    declared = build.outputs[0].shape
    # The program has decided which sizes are 1, also where they are only known when it runs.
    every = declared is not None and len(declared) == x.rank - len(candidates)
    single = [axis for axis in candidates if every or x.shape[axis] == 1]
    return build.add("Squeeze", x, build.int64(*single)) if single else build.add("Identity", x)


@op("flatten2d", keeps_grid=True)
def flatten2d(build: Build, x: Tensor, axis: int = 1) -> str:
    """Return the matrix whose rows are the dimensions before the axis, and whose columns are the rest."""
    return build.add("Flatten", x, axis=axis)


@op("shape", keeps_grid=True)
def shape_of(build: Build, x: Tensor) -> str:
    """Return the sizes of x."""
    static = build.graph.static_shape(x.name)
    return build.graph.shape_value(x.name) if static is None else build.graph.constant(list(static), "int32")


@op("transpose", keeps_grid=True)
def transpose(build: Build, x: Tensor, perm: tuple[int, ...]) -> str:
    """Return x with its dimensions in another order."""
    return build.add("Transpose", x, perm=[x.axis(axis) for axis in perm])


@op("tile", keeps_grid=True)
def tile(build: Build, x: Tensor, reps: Tensor) -> str:
    """Return x repeated along each dimension."""
    return build.add("Tile", x, build.indices(reps))


@op("sliding_windows", keeps_grid=True)
def sliding_windows(build: Build, x: Tensor, axis: int, size: int, stride: int = 1) -> str:
    """Return all windows of a size along an axis, in a dimension of their own after it."""
    where = x.axis(axis)
    last = scalar(build, scaled(build, size_of(build, x, where), plus=1 - size))
    starts = build.add("Range", build.graph.constant(0, "int64"), last, build.graph.constant(stride, "int64"))
    places = build.add("Add", build.add("Unsqueeze", starts, build.int64(1)), count_up(build, size))
    return build.add("Gather", x, places, axis=where)
