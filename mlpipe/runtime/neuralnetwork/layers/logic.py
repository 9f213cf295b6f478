"""Comparisons, logic and selection. Truth is 1, everything but 0 is true."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mlpipe.runtime.neuralnetwork.network import Network
from mlpipe.runtime.neuralnetwork.registry import layer

COMPARISONS = {"equal": "Equal", "lessThan": "Less", "lessEqual": "LessOrEqual", "greaterThan": "Greater", "greaterEqual": "GreaterOrEqual"}
LOGIC = {"logicalAnd": "And", "logicalOr": "Or", "logicalXor": "Xor"}


def _comparison(operator: str) -> Callable[..., str]:
    def lower(net: Network, params: Any, a: str, b: str | None = None) -> str:
        return net.number(net.graph.add(operator, a, net.scalar(params.alpha) if b is None else b))

    return lower


def _logic(operator: str) -> Callable[[Network, Any, str, str], str]:
    def lower(net: Network, _params: Any, a: str, b: str) -> str:
        return net.number(net.graph.add(operator, net.truth(a), net.truth(b)))

    return lower


for _type, _name in COMPARISONS.items():
    layer(_type, keeps_grid=True)(_comparison(_name))
for _type, _name in LOGIC.items():
    layer(_type, keeps_grid=True)(_logic(_name))


@layer("notEqual", keeps_grid=True)
def not_equal(net: Network, params: Any, a: str, b: str | None = None) -> str:
    """1 where the two differ."""
    equal = net.graph.add("Equal", a, net.scalar(params.alpha) if b is None else b)
    return net.number(net.graph.add("Not", equal))


@layer("logicalNot", keeps_grid=True)
def logical_not(net: Network, _params: Any, x: str) -> str:
    """1 where x is 0."""
    return net.number(net.graph.add("Not", net.truth(x)))


@layer("whereBroadcastable", keeps_grid=True)
def where(net: Network, _params: Any, condition: str, x: str, y: str) -> str:
    """Elements of x where the condition is true, else of y."""
    return net.graph.add("Where", net.truth(condition), x, y)


@layer("whereNonZero", keeps_grid=True)
def where_non_zero(net: Network, _params: Any, x: str) -> str:
    """Indices of all elements that are not 0, a row each."""
    rank = net.require_rank(x)
    rows = net.number(net.graph.add("Transpose", net.graph.add("NonZero", x), perm=[1, 0]))
    return net.graph.set_type(rows, np.float32, [None, rank])
