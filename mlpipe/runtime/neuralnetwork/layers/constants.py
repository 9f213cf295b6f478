"""Tensors that come from the model itself, and ranges."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlpipe.runtime.lowered import UnsupportedLayerError
from mlpipe.runtime.neuralnetwork.network import Network
from mlpipe.runtime.neuralnetwork.registry import layer


@layer("loadConstant")
def load_constant(net: Network, params: Any) -> str:
    """A constant [C, H, W], as a tensor of rank 5."""
    if len(params.shape) != 3:
        raise UnsupportedLayerError(f"a constant of shape {list(params.shape)}")
    return net.graph.constant(net.array(params.data, params.shape, rounded=False).reshape(1, 1, *params.shape), hint="weight")


@layer("loadConstantND")
def load_constant_nd(net: Network, params: Any) -> str:
    """A constant of any shape."""
    return net.graph.constant(net.array(params.data, params.shape, rounded=False), hint="weight")


@layer("fillStatic")
def fill_static(net: Network, params: Any) -> str:
    """One value in a given shape."""
    return _fill(net, params.value, [int(size) for size in params.targetShape])


@layer("fillLike")
def fill_like(net: Network, params: Any, x: str) -> str:
    """One value in the shape of the input."""
    net.require_rank(x)
    return net.graph.add("Expand", net.scalar(params.value), net.graph.shape_value(x))


@layer("fillDynamic")
def fill_dynamic(net: Network, params: Any, shape: str) -> str:
    """One value in the shape that the input holds."""
    if net.graph.value_of(shape) is not None:
        return _fill(net, params.value, net.known_integers(shape, "its shape"))
    return net.with_rank(net.graph.add("Expand", net.scalar(params.value), net.indices(shape)), shape)


def _fill(net: Network, value: float, shape: list[int]) -> str:
    return net.graph.constant(np.full(shape, value, np.float32))


@layer("rangeStatic")
def range_static(net: Network, params: Any) -> str:
    """Numbers from a start up to an end, with a step."""
    start, end, step = params.startValue, params.endValue, params.stepSizeValue
    if step == 0 or (end - start) / step <= 0:
        raise UnsupportedLayerError(f"a range from {start:g} to {end:g} in steps of {step:g}")
    return net.graph.constant(np.arange(start, end, step), np.float32)


@layer("rangeDynamic")
def range_dynamic(net: Network, params: Any, end: str, start: str | None = None, step: str | None = None) -> str:
    """The same, with an end (and a start, and a step) that is an input."""
    graph = net.graph
    first = net.scalar(params.startValue) if start is None else net.reshape(start, [])
    stride = net.scalar(params.stepSizeValue) if step is None else net.reshape(step, [])
    count = graph.add("Ceil", graph.add("Div", graph.add("Sub", net.reshape(end, []), first), stride))
    # The steps are counted, not added up, so that no error adds up either.
    steps = net.number(graph.add("Range", graph.constant(0), net.indices(count), graph.constant(1)))
    return graph.add("Add", graph.add("Mul", steps, stride), first)
