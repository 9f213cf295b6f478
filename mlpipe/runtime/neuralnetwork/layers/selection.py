"""Elements chosen by index, by order or by place."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlpipe.runtime.lowered import UnsupportedLayerError
from mlpipe.runtime.neuralnetwork.network import Network
from mlpipe.runtime.neuralnetwork.registry import layer


@layer("gather", keeps_grid=True)
def gather(net: Network, params: Any, x: str, indices: str) -> str:
    """Slices along an axis; negative indices count from the end."""
    net.require_rank(indices)
    return net.graph.add("Gather", x, net.indices(indices), axis=net.axis(x, params.axis))


@layer("gatherND", keeps_grid=True)
def gather_nd(net: Network, _params: Any, x: str, indices: str) -> str:
    """Slices at multi-indices, which are the last dimension of the second input."""
    (depth,) = net.sizes(indices, -1)
    net.require_rank(x, at_least=depth)
    y = net.graph.add("GatherND", x, net.indices(indices))
    return net.graph.set_type(y, np.float32, [*net.graph.shape(indices)[:-1], *net.graph.shape(x)[depth:]])


@layer("gatherAlongAxis", keeps_grid=True)
def gather_along_axis(net: Network, params: Any, x: str, indices: str) -> str:
    """For each index an element of the same place on the other axes."""
    axis = net.axis(x, params.axis)
    rank = net.require_rank(x)
    others = [number for number in range(rank) if number != axis]
    if net.require_rank(indices) != rank or (others and net.sizes(x, *others) != net.sizes(indices, *others)):
        raise UnsupportedLayerError("indices that differ in shape from the data on another axis")
    return net.graph.add("GatherElements", x, net.indices(indices), axis=axis)


@layer("topK", keeps_grid=True)
def top_k(net: Network, params: Any, x: str, count: str | None = None) -> list[str]:
    """The largest or smallest elements along an axis, in order, and their indices."""
    axis = net.axis(x, params.axis)
    if count is None:
        return _ordered(net, x, axis, net.graph.int64(params.K), largest=not params.useBottomK)
    return _ordered(net, x, axis, net.indices(net.reshape(count, [1])), largest=not params.useBottomK)


@layer("argSort", keeps_grid=True)
def arg_sort(net: Network, params: Any, x: str) -> str:
    """Indices that sort along an axis; equal elements in the order in which they stand."""
    axis = net.axis(x, params.axis)
    return _ordered(net, x, axis, net.graph.int64(*net.sizes(x, axis)), largest=params.descending)[1]


def _ordered(net: Network, x: str, axis: int, count: str, *, largest: bool) -> list[str]:
    number = net.graph.value_of(count)
    size = net.graph.shape(x)[axis]
    if number is not None and isinstance(size, int) and not 0 < int(number[0]) <= size:
        raise UnsupportedLayerError(f"the {number[0]} first of {size} elements")
    values, places = net.graph.add_many("TopK", 2, x, count, axis=axis, largest=int(largest), sorted=1)
    if number is None:
        for name, dtype in ((values, np.float32), (places, np.int64)):
            net.graph.set_type(name, dtype, [*net.graph.shape(x)[:axis], None, *net.graph.shape(x)[axis + 1 :]])
    return [values, net.number(places)]


@layer("oneHot")
def one_hot(net: Network, params: Any, x: str, size: str | None = None) -> str:
    """A new axis that is one value at the index and another elsewhere; an index outside of it, also a negative one, is elsewhere everywhere."""
    graph = net.graph
    axis = net.axis(x, params.axis, new=1)
    fed = size is not None and graph.value_of(size) is None
    depth = params.oneHotVectorSize if size is None or fed else net.known_integers(size, "the number of classes")[0]
    if depth < 1 and not fed:
        raise UnsupportedLayerError(f"{depth} classes")
    count = net.indices(graph.add("Reshape", size, graph.int64(1))) if fed else graph.int64(depth)
    # ONNX counts negative indices from the end: move them out of range.
    indices = net.indices(x)
    indices = graph.add("Where", graph.add("Less", indices, graph.int64(0)), count, indices)
    values = graph.constant(np.asarray([params.offValue, params.onValue], np.float32))
    y = graph.add("OneHot", indices, count, values, axis=axis)
    shape = graph.shape(x)
    return graph.set_type(y, np.float32, [*shape[:axis], None, *shape[axis:]]) if fed else y


@layer("lowerTriangular", keeps_grid=True)
def lower_triangular(net: Network, params: Any, x: str) -> str:
    """Matrices with zeros above a diagonal."""
    return _band(net, x, None, params.k)


@layer("upperTriangular", keeps_grid=True)
def upper_triangular(net: Network, params: Any, x: str) -> str:
    """Matrices with zeros below a diagonal."""
    return _band(net, x, -params.k, None)


@layer("matrixBandPart", keeps_grid=True)
def matrix_band_part(net: Network, params: Any, x: str) -> str:
    """Matrices with zeros outside a band; a negative width is no limit."""
    lower, upper = (None if width < 0 else width for width in (params.numLower, params.numUpper))
    return _band(net, x, lower, upper)


def _band(net: Network, x: str, lower: int | None, upper: int | None) -> str:
    """Return x with zeros more than `lower` below and `upper` above the main diagonal."""
    rows, columns = net.sizes(x, -2, -1)
    above = np.arange(columns) - np.arange(rows)[:, None]
    kept = np.ones((rows, columns), np.bool_)
    if lower is not None:
        kept &= -above <= lower
    if upper is not None:
        kept &= above <= upper
    return net.graph.add("Where", net.graph.constant(kept), x, net.scalar(0))
