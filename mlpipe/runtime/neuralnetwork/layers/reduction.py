"""Reductions over axes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mlpipe.runtime.lowered import UnsupportedLayerError
from mlpipe.runtime.neuralnetwork.network import Network
from mlpipe.runtime.neuralnetwork.registry import layer

REDUCTIONS = {
    "reduceL1": "ReduceL1",
    "reduceL2": "ReduceL2",
    "reduceSum": "ReduceSum",
    "reduceProd": "ReduceProd",
    "reduceMean": "ReduceMean",
    "reduceLogSum": "ReduceLogSum",
    "reduceSumSquare": "ReduceSumSquare",
    "reduceLogSumExp": "ReduceLogSumExp",
}
GRID_REDUCTIONS = {"reduceMax": "ReduceMax", "reduceMin": "ReduceMin"}


def _reduction(operator: str) -> Callable[[Network, Any, str], str]:
    def lower(net: Network, params: Any, x: str) -> str:
        rank = net.require_rank(x)
        axes = list(range(rank)) if params.reduceAll else [net.axis(x, axis) for axis in params.axes]
        if not axes:
            raise UnsupportedLayerError("a reduction over no axes")
        return net.graph.add(operator, x, net.graph.int64(*axes), keepdims=int(params.keepDims))

    return lower


for _type, _name in REDUCTIONS.items():
    layer(_type)(_reduction(_name))
for _type, _name in GRID_REDUCTIONS.items():
    layer(_type, keeps_grid=True)(_reduction(_name))

LEGACY = {0: "ReduceSum", 1: "ReduceMean", 2: "ReduceProd", 4: "ReduceSumSquare", 5: "ReduceL1", 6: "ReduceL2", 7: "ReduceMax", 8: "ReduceMin"}
LOG_SUM, ARGMAX = 3, 9
LEGACY_AXES: dict[int, Sequence[int]] = {0: (-3, -2, -1), 1: (-2, -1), 2: (-3,), 3: (-2,), 4: (-1,)}


@layer("reduce")
def reduce(net: Network, params: Any, x: str) -> str:
    """A reduction over channels, rows or columns that keeps the rank; the logarithmic one sums logarithms."""
    graph, axes = net.graph, LEGACY_AXES[params.axis]
    net.require_rank(x, at_least=-axes[0])
    if params.mode == ARGMAX:
        if len(axes) > 1:
            raise UnsupportedLayerError("the index of a maximum over more than one axis")
        return net.number(graph.add("ArgMax", x, axis=axes[0]))
    if params.mode == LOG_SUM:
        x = graph.add("Log", graph.add("Add", x, graph.constant(params.epsilon or 1e-6, np.float32)))
        return graph.add("ReduceSum", x, graph.int64(*axes))
    return graph.add(LEGACY[params.mode], x, graph.int64(*axes))


@layer("argMax", keeps_grid=True)
def arg_max(net: Network, params: Any, x: str) -> str:
    """Index of the first largest element along an axis."""
    return net.number(net.graph.add("ArgMax", x, axis=net.axis(x, params.axis), keepdims=int(not params.removeDim)))


@layer("argMin", keeps_grid=True)
def arg_min(net: Network, params: Any, x: str) -> str:
    """Index of the first smallest element along an axis."""
    return net.number(net.graph.add("ArgMin", x, axis=net.axis(x, params.axis), keepdims=int(not params.removeDim)))


@layer("cumSum")
def cumulative_sum(net: Network, params: Any, x: str, axis: str | None = None) -> str:
    """Running sum along an axis, from either end, with or without the element itself."""
    number = params.axis if axis is None else net.known_integers(axis, "its axis")[0]
    along = net.graph.constant(net.axis(x, number), np.int64)
    return net.graph.add("CumSum", x, along, exclusive=int(params.excludeFinalSum), reverse=int(params.reverse))
