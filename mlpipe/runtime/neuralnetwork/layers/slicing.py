"""Parts of tensors: slices and crops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mlpipe.runtime.lowered import UnsupportedLayerError
from mlpipe.runtime.neuralnetwork.layers.borders import border_amounts, pair
from mlpipe.runtime.neuralnetwork.network import Network, SizeOf
from mlpipe.runtime.neuralnetwork.registry import layer

LAST, FIRST = np.iinfo(np.int64).max, np.iinfo(np.int64).min


@layer("slice", keeps_grid=True)
def slice_axis(net: Network, params: Any, x: str) -> str:
    """A range of channels, rows or columns; negative bounds count from the end."""
    if params.stride < 1:
        raise UnsupportedLayerError(f"a stride of {params.stride}")
    axis = net.axis(x, {0: -3, 1: -2, 2: -1}[params.axis])
    return _slice(net, x, [axis], [params.startIndex], [params.endIndex], [params.stride])


def _slice(net: Network, x: str, axes: Sequence[int], *ranges: Sequence[int]) -> str:
    graph = net.graph
    begins, ends, steps = ranges
    y = graph.add("Slice", x, graph.int64(*begins), graph.int64(*ends), graph.int64(*axes), graph.int64(*steps))
    if 0 in graph.shape(y):
        raise UnsupportedLayerError("an empty slice")
    return y


@layer("sliceStatic", keeps_grid=True)
def slice_static(net: Network, params: Any, x: str) -> str:
    """A range along every axis; a masked bound is the end of the axis, a squeezed axis is one element and goes."""
    return _slice_all(net, x, params, (params.beginIds, params.endIds, params.strides))


@layer("sliceDynamic", keeps_grid=True)
def slice_dynamic(net: Network, params: Any, x: str, begins: str, *others: str) -> str:
    """The same, with a begin (and ends, and strides) that are inputs."""
    if len(others) > 2:
        raise UnsupportedLayerError("masks that are inputs")
    stated = _of_rank(params, net.require_rank(x))
    if any(net.graph.value_of(value) is None for value in (begins, *others)):
        return _slice_as_fed(net, x, stated, (begins, *others))
    given = [net.known_integers(value, "the range of a slice") for value in (begins, *others)]
    return _slice_all(net, x, stated, (*given, *(stated.endIds, stated.strides)[len(others) :]))


def _slice_all(net: Network, x: str, params: Any, ranges: Sequence[Sequence[int]]) -> str:
    """Return a slice; `ranges` are the first index, the end and the step of every axis."""
    rank = net.require_rank(x)
    masks = _masks(params, rank)
    if any(len(values) != rank for values in (*ranges, *masks)):
        raise UnsupportedLayerError(f"a range for another number of axes than {rank}")
    bounds = [_bounds(numbers, flags) for numbers, flags in zip(zip(*ranges, strict=True), zip(*masks, strict=True), strict=True)]
    y = _slice(net, x, range(rank), *zip(*bounds, strict=True))
    squeezed = masks[2]
    if not any(squeezed):
        return y
    if any(net.graph.shape(y)[axis] != 1 for axis in range(rank) if squeezed[axis]):
        raise UnsupportedLayerError("an index that is not known to lie within its axis")
    return net.reshape(y, [SizeOf(y, axis) for axis in range(rank) if not squeezed[axis]])


def _of_rank(params: Any, rank: int) -> Any:
    """Return the parameters with as many numbers as the tensor has axes: coremltools' builder writes five of each where it is given none."""
    cut = type(params)()
    for name in ("endIds", "strides", "beginMasks", "endMasks", "squeezeMasks"):
        getattr(cut, name).extend(getattr(params, name)[:rank])
    return cut


def _masks(params: Any, rank: int) -> list[list[bool]]:
    return [list(mask) or [False] * rank for mask in (params.beginMasks, params.endMasks, params.squeezeMasks)]


def _slice_as_fed(net: Network, x: str, params: Any, given: Sequence[str]) -> str:
    """Return a slice whose range is only known when the model runs; a step of 0 and a squeezed index outside of its axis fail there."""
    graph, rank = net.graph, net.require_rank(x)
    begin_masks, end_masks, squeezed = _masks(params, rank)
    stated = [graph.int64(*numbers) for numbers in (params.endIds, params.strides)]
    begins, ends, steps = [net.indices(value) for value in given] + stated[len(given) - 1 :]
    if any(len(flags) != rank for flags in (begin_masks, end_masks, squeezed)) or any(net.length(value) != rank for value in (begins, ends, steps)):
        raise UnsupportedLayerError(f"a range for another number of axes than {rank}")
    last, first, one = graph.int64(LAST), graph.int64(FIRST), graph.int64(1)
    masked_begin, masked_end, single = (graph.constant(np.asarray(flags, np.bool_)) for flags in (begin_masks, end_masks, squeezed))
    forwards = graph.add("Greater", steps, graph.int64(0))
    behind = graph.add("Where", graph.add("Equal", begins, graph.int64(-1)), last, graph.add("Add", begins, one))
    starts = graph.add("Where", masked_begin, graph.add("Where", forwards, graph.int64(0), last), begins)
    stops = graph.add("Where", masked_end, graph.add("Where", forwards, last, first), ends)
    ranges = [graph.add("Where", single, own, other) for own, other in ((begins, starts), (behind, stops), (one, steps))]
    y = graph.add("Slice", x, *ranges[:2], graph.int64(*range(rank)), ranges[2])
    y = graph.set_type(y, np.float32, [1 if flag else None for flag in squeezed])
    if not any(squeezed):
        return y
    y = graph.add("Squeeze", y, graph.int64(*(axis for axis in range(rank) if squeezed[axis])))
    return graph.set_type(y, np.float32, [None] * squeezed.count(False))


def _bounds(numbers: tuple[int, int, int], flags: tuple[bool, bool, bool]) -> tuple[int, int, int]:
    begin, end, step = numbers
    begin_mask, end_mask, squeeze = flags
    if squeeze:
        return begin, LAST if begin == -1 else begin + 1, 1
    if step == 0:
        raise UnsupportedLayerError("a stride of 0")
    first, last = (0, LAST) if step > 0 else (LAST, FIRST)
    return first if begin_mask else begin, last if end_mask else end, step


@layer("sliceBySize", keeps_grid=True)
def slice_by_size(net: Network, params: Any, x: str, begin: str) -> str:
    """Some elements along an axis, from an index on that is an input."""
    graph = net.graph
    axis = net.axis(x, params.axis)
    start = net.indices(net.reshape(begin, [1]))
    end = graph.add("Add", start, graph.int64(params.size))
    y = graph.add("Slice", x, start, end, graph.int64(axis))
    shape = graph.shape(x)
    return graph.set_type(y, np.float32, [*shape[:axis], params.size, *shape[axis + 1 :]])


@layer("crop", keeps_grid=True)
def crop(net: Network, params: Any, x: str, like: str | None = None) -> str:
    """Rows and columns cut off at the borders, or as many as a second input has, from an offset on."""
    height, width = net.sizes(x, -2, -1)
    net.require_rank(x, at_least=3)
    if like is None:
        (top, bottom), (left, right) = border_amounts(params.cropAmounts)
    else:
        wanted_height, wanted_width = net.sizes(like, -2, -1)
        top, left = pair(params.offset, 0)
        bottom, right = height - top - wanted_height, width - left - wanted_width
    if min(bottom, right) < 0 or top + bottom >= height or left + right >= width:
        raise UnsupportedLayerError(f"a crop that does not lie within {height}x{width}")
    return _slice(net, x, [-2, -1], [top, left], [height - bottom, width - right], [1, 1])
