"""Padding."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlpipe.runtime.lowered import UnsupportedLayerError
from mlpipe.runtime.neuralnetwork.layers.borders import border_amounts
from mlpipe.runtime.neuralnetwork.network import Network
from mlpipe.runtime.neuralnetwork.registry import layer

MODES = {"constant": "constant", "reflection": "reflect", "replication": "edge"}


@layer("padding")
def padding(net: Network, params: Any, x: str) -> str:
    """Rows and columns added at the borders: a constant, the image reflected without its border, or its border repeated."""
    rank = net.require_rank(x, at_least=2)
    kind = params.WhichOneof("PaddingType")
    if kind not in MODES:
        raise UnsupportedLayerError("it does not state what it pads with")
    (top, bottom), (left, right) = border_amounts(params.paddingAmounts)
    if kind == "reflection":
        height, width = net.sizes(x, -2, -1)
        if max(top, bottom) >= height or max(left, right) >= width:
            raise UnsupportedLayerError("a reflection longer than the image")
    none = [0] * (rank - 2)
    value = net.scalar(params.constant.value) if kind == "constant" else None
    return net.graph.add("Pad", x, net.graph.int64(*none, top, left, *none, bottom, right), value, mode=MODES[kind])


@layer("constantPad")
def constant_pad(net: Network, params: Any, x: str, given: str | None = None) -> str:
    """A constant added before and after along every axis, or on one side up to a size."""
    rank = net.require_rank(x)
    if given is not None and net.graph.value_of(given) is None:
        return _pad_as_fed(net, params, x, given)
    amounts = [int(amount) for amount in params.padAmounts] if given is None else net.known_integers(given, "the amount of padding")
    if len(amounts) != 2 * rank:
        raise UnsupportedLayerError(f"{len(amounts)} amounts for a tensor of rank {rank}")
    before, after = amounts[::2], amounts[1::2]
    if params.padToGivenOutputSizeMode:
        sizes = net.sizes(x, *range(rank))
        if any(first and last for first, last in zip(before, after, strict=True)):
            raise UnsupportedLayerError("sizes for both sides of one axis")
        before, after = ([max(wanted - size, 0) for wanted, size in zip(side, sizes, strict=True)] for side in (before, after))
    return net.graph.add("Pad", x, net.graph.int64(*before, *after), net.scalar(params.value))


def _pad_as_fed(net: Network, params: Any, x: str, given: str) -> str:
    graph, rank = net.graph, net.graph.rank(x)
    if net.length(given) != 2 * rank:
        raise UnsupportedLayerError(f"{net.length(given)} amounts for a tensor of rank {rank}")
    pairs = net.indices(graph.add("Reshape", given, graph.int64(rank, 2)))
    if params.padToGivenOutputSizeMode:
        size = graph.add("Unsqueeze", graph.shape_value(x), graph.int64(1))
        pairs = graph.add("Max", graph.add("Sub", pairs, size), graph.int64(0))
    amounts = graph.add("Reshape", graph.add("Transpose", pairs, perm=[1, 0]), graph.int64(-1))
    return graph.set_type(graph.add("Pad", x, amounts, net.scalar(params.value)), np.float32, [None] * rank)
