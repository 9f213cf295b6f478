"""Functions of one tensor, element by element."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mlpipe.runtime.neuralnetwork.network import Network
from mlpipe.runtime.neuralnetwork.registry import layer

PLAIN = {
    "sin": "Sin",
    "cos": "Cos",
    "tan": "Tan",
    "asin": "Asin",
    "acos": "Acos",
    "atan": "Atan",
    "sinh": "Sinh",
    "cosh": "Cosh",
    "tanh": "Tanh",
    "asinh": "Asinh",
    "acosh": "Acosh",
    "atanh": "Atanh",
    "erf": "Erf",
}
"""Layer type -> the ONNX operator that is the same function."""

WHOLE = {"ceil": "Ceil", "floor": "Floor", "round": "Round", "sign": "Sign"}
"""The same, for functions whose results stand on the float16 grid; halves are rounded to even."""


def _operator(name: str) -> Callable[[Network, Any, str], str]:
    def lower(net: Network, _params: Any, x: str) -> str:
        return net.graph.add(name, x)

    return lower


for _type, _name in PLAIN.items():
    layer(_type)(_operator(_name))
for _type, _name in WHOLE.items():
    layer(_type, keeps_grid=True)(_operator(_name))


@layer("exp2")
def exp2(net: Network, _params: Any, x: str) -> str:
    """Two to the power of x."""
    return net.graph.add("Pow", net.scalar(2), x)


@layer("clip")
def clip(net: Network, params: Any, x: str) -> str:
    """Everything between two limits."""
    return net.graph.add("Clip", x, net.scalar(params.minVal), net.scalar(params.maxVal))


UNARY: dict[int, Callable[[Network, Any, str], str]] = {
    0: lambda net, _params, x: net.graph.add("Sqrt", x),
    1: lambda net, params, x: net.graph.add("Reciprocal", net.graph.add("Sqrt", _plus_epsilon(net, params, x))),
    2: lambda net, params, x: net.graph.add("Reciprocal", _plus_epsilon(net, params, x)),
    3: lambda net, params, x: net.graph.add("Pow", x, net.scalar(params.alpha)),
    4: lambda net, _params, x: net.graph.add("Exp", x),
    5: lambda net, params, x: net.graph.add("Log", net.graph.add("Add", x, net.scalar(params.epsilon)) if params.epsilon else x),
    6: lambda net, _params, x: net.graph.add("Abs", x),
    7: lambda net, params, x: net.graph.add("Max", x, net.scalar(params.alpha)),
}
"""The specification's numbers: sqrt, rsqrt, inverse, power, exp, log, abs, threshold.

The formula of log has no epsilon, but coremltools writes log(1 + x) with one of 1, and tests it on Core ML.
"""


def _plus_epsilon(net: Network, params: Any, x: str) -> str:
    return net.graph.add("Add", x, net.graph.constant(params.epsilon or 1e-6, "float32"))


@layer("unary")
def unary(net: Network, params: Any, x: str) -> str:
    """One of eight functions of scale * x + shift."""
    if params.scale not in (0, 1):
        x = net.graph.add("Mul", x, net.scalar(params.scale))
    if params.shift:
        x = net.graph.add("Add", x, net.scalar(params.shift))
    return UNARY[params.type](net, params, x)
