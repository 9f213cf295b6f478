"""Arithmetic of several tensors: the first layers with their narrow broadcasting, and those that broadcast like numpy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mlpipe.runtime.lowered import UnsupportedLayerError
from mlpipe.runtime.neuralnetwork.network import Network
from mlpipe.runtime.neuralnetwork.registry import layer
from mlpipe.runtime.onnx_graph import Dim


@layer("add")
def add(net: Network, params: Any, x: str, *others: str) -> str:
    """Sum of all inputs, or of the one input and a number."""
    return _fold_in(net, "Add", x, others or (net.scalar(params.alpha),))


@layer("multiply")
def multiply(net: Network, params: Any, x: str, *others: str) -> str:
    """Product of all inputs, or of the one input and a number."""
    return _fold_in(net, "Mul", x, others or (net.scalar(params.alpha),))


@layer("average")
def average(net: Network, _params: Any, x: str, *others: str) -> str:
    """Mean of all inputs."""
    total = _fold_in(net, "Add", x, others)
    return net.graph.add("Div", total, net.graph.constant(len(others) + 1, "float32"))


@layer("max", keeps_grid=True)
def maximum(net: Network, _params: Any, x: str, *others: str) -> str:
    """Largest of all inputs."""
    return _fold_in(net, "Max", x, others)


@layer("min", keeps_grid=True)
def minimum(net: Network, _params: Any, x: str, *others: str) -> str:
    """Smallest of all inputs."""
    return _fold_in(net, "Min", x, others)


def _fold_in(net: Network, operator: str, x: str, others: tuple[str, ...]) -> str:
    for other in others:
        _check_legacy_broadcast(net, x, other)
        x = net.graph.add(operator, x, other)
    return x


def _check_legacy_broadcast(net: Network, a: str, b: str) -> None:
    """Allow what the specification lists: one tensor may have 1 for its batch, its channels, or for height and width together.

    Tensors of fewer dimensions count as having 1 in front, as coremltools' converter takes for granted.
    """
    rank = max(2, net.require_rank(a), net.require_rank(b))
    one, other = ((1,) * (rank - net.require_rank(value)) + net.graph.shape(value) for value in (a, b))
    planes_fit = one[-2:] == other[-2:] or (1, 1) in (one[-2:], other[-2:])
    if not planes_fit or any(size != wanted and 1 not in (size, wanted) for size, wanted in zip(one[:-2], other[:-2], strict=True)):
        raise UnsupportedLayerError(f"shapes {_show(net.graph.shape(a))} and {_show(net.graph.shape(b))}")


def _show(shape: tuple[Dim, ...]) -> str:
    return "x".join("?" if size is None else str(size) for size in shape)


@layer("dot")
def dot(net: Network, params: Any, a: str, b: str) -> str:
    """Scalar product over the channels, or the cosine of the angle."""
    graph = net.graph
    for value in (a, b):
        if net.sizes(value, -2, -1) != (1, 1):
            raise UnsupportedLayerError("an input whose last two dimensions are not 1")
    if graph.shape(a) != graph.shape(b):
        raise UnsupportedLayerError("inputs of different shapes")
    axis = graph.int64(-3)
    product = graph.add("ReduceSum", graph.add("Mul", a, b), axis)
    if not params.cosineSimilarity:
        return product
    lengths = [graph.add("ReduceL2", value, axis) for value in (a, b)]
    return graph.add("Div", product, graph.add("Mul", *lengths))


BROADCAST = {
    "addBroadcastable": "Add",
    "subtractBroadcastable": "Sub",
    "multiplyBroadcastable": "Mul",
    "divideBroadcastable": "Div",
    "powBroadcastable": "Pow",
}
GRID_BROADCAST = {"maxBroadcastable": "Max", "minBroadcastable": "Min"}


def _operator(name: str) -> Callable[[Network, Any, str, str], str]:
    def lower(net: Network, _params: Any, a: str, b: str) -> str:
        return net.graph.add(name, a, b)

    return lower


for _type, _name in BROADCAST.items():
    layer(_type)(_operator(_name))
for _type, _name in GRID_BROADCAST.items():
    layer(_type, keeps_grid=True)(_operator(_name))


@layer("floorDivBroadcastable")
def floor_divide(net: Network, _params: Any, a: str, b: str) -> str:
    """The largest whole number not above a / b."""
    return net.graph.add("Floor", net.graph.add("Div", a, b))


@layer("modBroadcastable")
def modulo(net: Network, _params: Any, a: str, b: str) -> str:
    """The remainder, with the sign of the divisor."""
    graph, zero = net.graph, net.scalar(0)
    remainder = graph.add("Mod", a, b, fmod=1)
    signs_differ = graph.add("Less", graph.add("Mul", graph.add("Sign", remainder), graph.add("Sign", b)), zero)
    return graph.add("Where", signs_differ, graph.add("Add", remainder, b), remainder)
