"""Tensors that come from the model itself, and ranges."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlpipe.runtime.lowered import UnsupportedLayerError
from mlpipe.runtime.neuralnetwork.network import Network
from mlpipe.runtime.neuralnetwork.registry import layer


@layer("loadConstant", keeps_grid=True)
def load_constant(net: Network, params: Any) -> str:
    """A constant [C, H, W], as a tensor of rank 5."""
    if len(params.shape) != 3:
        raise UnsupportedLayerError(f"a constant of shape {list(params.shape)}")
    return net.graph.constant(net.array(params.data, params.shape).reshape(1, 1, *params.shape), hint="weight")


@layer("loadConstantND", keeps_grid=True)
def load_constant_nd(net: Network, params: Any) -> str:
    """A constant of any shape."""
    return net.weight(params.data, params.shape)


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
    return _fill(net, params.value, net.known_integers(shape, "its shape"))


def _fill(net: Network, value: float, shape: list[int]) -> str:
    return net.graph.constant(np.full(shape, value, np.float32))


@layer("rangeStatic")
def range_static(net: Network, params: Any) -> str:
    """Numbers from a start up to an end, with a step."""
    return _range(net, params.startValue, params.endValue, params.stepSizeValue)


@layer("rangeDynamic")
def range_dynamic(net: Network, params: Any, end: str, start: str | None = None, step: str | None = None) -> str:
    """The same, with an end (and a start, and a step) that is an input whose value is known."""
    numbers = [None if name is None else net.graph.value_of(name) for name in (start, end, step)]
    if any(name is not None and number is None for name, number in zip((start, end, step), numbers, strict=True)):
        raise UnsupportedLayerError("a range whose bounds are only known when the model runs")
    first, last, stride = (None if number is None else float(number.reshape(-1)[0]) for number in numbers)
    assert last is not None
    return _range(net, params.startValue if first is None else first, last, params.stepSizeValue if stride is None else stride)


def _range(net: Network, start: float, end: float, step: float) -> str:
    if step == 0 or (end - start) / step <= 0:
        raise UnsupportedLayerError(f"a range from {start:g} to {end:g} in steps of {step:g}")
    return net.graph.constant(np.arange(start, end, step), np.float32)
