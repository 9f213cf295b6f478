"""Updates of a tensor at places that are inputs."""

from __future__ import annotations

from typing import Any

from mlpipe.runtime.lowered import UnsupportedLayerError
from mlpipe.runtime.neuralnetwork.network import Network
from mlpipe.runtime.neuralnetwork.registry import layer

REDUCTIONS = {0: "none", 1: "add", 2: "add", 3: "mul", 4: "mul", 5: "max", 6: "min"}
"""The specification's modes: update, add, subtract, multiply, divide, maximum, minimum."""
SUBTRACT, DIVIDE = 2, 4


def _operand(net: Network, mode: int, updates: str) -> str:
    if mode == SUBTRACT:
        return net.graph.add("Neg", updates)
    return net.graph.add("Reciprocal", updates) if mode == DIVIDE else updates


@layer("scatter")
def scatter(net: Network, params: Any, x: str, indices: str, updates: str) -> str:
    """Slices along an axis updated; the indices' dimensions stand in place of the axis in the updates."""
    graph = net.graph
    axis, rank, places = net.axis(x, params.axis), net.require_rank(x), net.require_rank(indices)
    if net.require_rank(updates) != rank - 1 + places:
        raise UnsupportedLayerError(f"updates of rank {net.require_rank(updates)}")
    front = [axis, *(number for number in range(rank) if number != axis)]
    picked = range(axis, axis + places)
    moved = graph.add("Transpose", updates, perm=[*picked, *(number for number in range(rank - 1 + places) if number not in picked)])
    points = graph.add("Unsqueeze", net.indices(indices), graph.int64(-1))
    operand = _operand(net, params.mode, moved)
    y = graph.add("ScatterND", graph.add("Transpose", x, perm=front), points, operand, reduction=REDUCTIONS[params.mode])
    return graph.add("Transpose", y, perm=[front.index(number) for number in range(rank)])


@layer("scatterND")
def scatter_nd(net: Network, params: Any, x: str, indices: str, updates: str) -> str:
    """Slices at multi-indices updated, which are the last dimension of the second input."""
    operand = _operand(net, params.mode, updates)
    return net.graph.add("ScatterND", x, net.indices(indices), operand, reduction=REDUCTIONS[params.mode])


@layer("scatterAlongAxis")
def scatter_along_axis(net: Network, params: Any, x: str, indices: str, updates: str) -> str:
    """For each index the element of the same place on the other axes updated."""
    axis, rank = net.axis(x, params.axis), net.require_rank(x)
    others = [number for number in range(rank) if number != axis]
    if net.require_rank(indices) != rank or (others and net.sizes(x, *others) != net.sizes(indices, *others)):
        raise UnsupportedLayerError("indices that differ in shape from the data on another axis")
    operand = _operand(net, params.mode, updates)
    return net.graph.add("ScatterElements", x, net.indices(indices), operand, axis=axis, reduction=REDUCTIONS[params.mode])
