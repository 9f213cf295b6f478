"""A piece of a tensor replaced by another tensor, as models write into the caches that they keep between calls."""

from __future__ import annotations

import numpy as np

from mlpipe.runtime.mlprogram.op import Build, op
from mlpipe.runtime.mlprogram.ops.slicing import END, slice_bounds, slice_by_index
from mlpipe.runtime.mlprogram.values import Tensor


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
    squeezed = squeeze_mask or (False,) * x.rank
    if any(step != 1 and not single for step, single in zip(stride or (), squeezed, strict=False)):
        return _by_number(build, x, update, begin, end, stride, begin_mask, end_mask, squeeze_mask)
    begins, ends = slice_bounds(build, begin, end, (1,) * x.rank, begin_mask, end_mask, squeezed)
    firsts = _from_front(build, x, begins)
    lasts = build.add("Max", firsts, _from_front(build, x, ends))
    singles = [axis for axis, single in enumerate(squeezed) if single]
    piece = build.add("Unsqueeze", update, build.int64(*singles)) if singles else update.name
    masks = zip(begin_mask or (False,) * x.rank, end_mask or (False,) * x.rank, squeezed, strict=True)
    partial = [axis for axis, (first, last, single) in enumerate(masks) if single or not (first and last)]
    return _placed(build, x.name, piece, partial, firsts, lasts)


def _placed(build: Build, x: str, piece: str, axes: list[int], firsts: str, lasts: str) -> str:
    """Return x with the piece between what lies before and behind it along the axes, one axis inside the other."""
    if not axes:
        return piece
    axis, *inner = axes
    along, start, end = build.int64(axis), build.int64(0), build.int64(END)
    first, last = (build.add("Slice", bounds, build.int64(axis), build.int64(axis + 1)) for bounds in (firsts, lasts))
    inside = _placed(build, build.add("Slice", x, first, last, along), piece, inner, firsts, lasts) if inner else piece
    return build.add("Concat", build.add("Slice", x, start, first, along), inside, build.add("Slice", x, last, end, along), axis=axis)


def _from_front(build: Build, x: Tensor, bounds: str) -> str:
    """Return bounds counted from the front and inside the tensor."""
    shape = build.graph.shape_value(x.name)
    counted = build.add("Where", build.add("Less", bounds, build.int64(0)), build.add("Add", bounds, shape), bounds)
    return build.add("Min", build.add("Max", counted, build.int64(0)), shape)


def _by_number(
    build: Build,
    x: Tensor,
    update: Tensor,
    begin: Tensor,
    end: Tensor,
    stride: tuple[int, ...] | None,
    begin_mask: tuple[bool, ...] | None,
    end_mask: tuple[bool, ...] | None,
    squeeze_mask: tuple[bool, ...] | None,
) -> str:
    """Return the same for any stride: slicing the numbers of the elements says which of them are replaced."""
    count = build.add("Size", x)
    numbers = build.add("Range", build.graph.constant(0, np.int64), count, build.graph.constant(1, np.int64))
    every = build.add("Reshape", numbers, build.graph.shape_value(x.name))
    places = slice_by_index(build, Tensor(every, "int32", x.shape), begin, end, stride, begin_mask, end_mask, squeeze_mask)
    assert isinstance(places, str)
    flat = [build.add("Reshape", value, build.int64(-1)) for value in (x, places, update)]
    return build.add("Reshape", build.add("ScatterElements", *flat, axis=0), build.graph.shape_value(x.name))
