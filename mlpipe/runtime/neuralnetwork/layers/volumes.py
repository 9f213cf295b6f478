"""Convolution, deconvolution and pooling over depth, height and width."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mlpipe.runtime.lowered import UnsupportedLayerError
from mlpipe.runtime.neuralnetwork.network import Network
from mlpipe.runtime.neuralnetwork.registry import layer

CUSTOM, VALID, SAME = 0, 1, 2
MAX, AVERAGE = 0, 1
LOCAL = {MAX: "MaxPool", AVERAGE: "AveragePool"}
GLOBAL = {MAX: "GlobalMaxPool", AVERAGE: "GlobalAveragePool"}

Edges = list[tuple[int, int]]
"""For depth, height and width: the amounts before and behind."""


@layer("convolution3d")
def convolution_3d(net: Network, params: Any, x: str) -> str:
    """Convolution with zero padding of a tensor [batch, channels, depth, height, width], or its transpose."""
    net.require_rank(x, 5)
    kernel, strides, dilations = _sizes(params, "kernel"), _sizes(params, "stride"), _sizes(params, "dilation")
    groups = params.nGroups or 1
    bias = [net.weight(params.bias, [params.outputChannels])] if params.hasBias else []
    windows = [(size - 1) * factor + 1 for size, factor in zip(kernel, dilations, strict=True)]
    attributes: dict[str, Any] = {"kernel_shape": kernel, "strides": strides, "dilations": dilations, "group": groups}
    if params.isDeconvolution:
        weights = net.weight(params.weights, [params.inputChannels, params.outputChannels // groups, *kernel], channel_axis=1)
        crops, extra = _crops(net, params, x, windows, strides)
        return net.graph.add("ConvTranspose", x, weights, *bias, pads=_flat(crops), output_padding=extra, **attributes)
    weights = net.weight(params.weights, [params.outputChannels, params.inputChannels // groups, *kernel])
    return net.graph.add("Conv", x, weights, *bias, pads=_flat(_padding(net, params, x, windows, strides)), **attributes)


@layer("pooling3d")
def pooling_3d(net: Network, params: Any, x: str) -> str:
    """Maximum or mean of each window; padded places hold nothing but count in a mean unless excluded."""
    net.require_rank(x, 5)
    kernel, strides = _sizes(params, "kernel"), _sizes(params, "stride")
    pads = _padding(net, params, x, kernel, strides)
    if any(amount >= size for edges, size in zip(pads, kernel, strict=True) for amount in edges):
        raise UnsupportedLayerError("padding as large as its window, so that a window would hold nothing")
    counting: dict[str, Any] = {} if params.type == MAX else {"count_include_pad": int(not params.countExcludePadding)}
    return net.graph.add(LOCAL[params.type], x, kernel_shape=kernel, strides=strides, pads=_flat(pads), **counting)


@layer("globalPooling3d")
def global_pooling_3d(net: Network, params: Any, x: str) -> str:
    """Maximum or mean over depth, height and width."""
    net.require_rank(x, 5)
    return net.graph.add(GLOBAL[params.type], x)


def _sizes(params: Any, what: str) -> list[int]:
    return [max(1, int(getattr(params, f"{what}{direction}"))) for direction in ("Depth", "Height", "Width")]


def _padding(net: Network, params: Any, x: str, windows: Sequence[int], strides: Sequence[int]) -> Edges:
    if params.paddingType == CUSTOM:
        return _custom(params)
    if params.paddingType == VALID:
        return [(0, 0)] * 3
    totals = [max(0, (-(-size // stride) - 1) * stride + window - size) for size, window, stride in zip(net.sizes(x, 2, 3, 4), windows, strides, strict=True)]
    return [(total // 2, total - total // 2) for total in totals]


def _custom(params: Any) -> Edges:
    sides = [("Front", "Back"), ("Top", "Bottom"), ("Left", "Right")]
    return [(int(getattr(params, f"customPadding{first}")), int(getattr(params, f"customPadding{last}"))) for first, last in sides]


def _crops(net: Network, params: Any, x: str, windows: Sequence[int], strides: Sequence[int]) -> tuple[Edges, list[int]]:
    """Return what is cropped from the full deconvolution, and how many empty places are added behind it."""
    amounts = _custom(params) if params.paddingType == CUSTOM else [(0, 0)] * 3
    if params.outputShape:
        full = [(size - 1) * stride + window for size, stride, window in zip(net.sizes(x, 2, 3, 4), strides, windows, strict=True)]
        totals = [size - int(wanted) for size, wanted in zip(full, params.outputShape, strict=True)]
        if [sum(edges) for edges in amounts] == totals:
            return amounts, [0, 0, 0]
        if any(map(any, amounts)):
            raise UnsupportedLayerError("a deconvolution whose output shape is not the one of its padding amounts")
    elif params.paddingType == SAME:
        totals = [window - stride for window, stride in zip(windows, strides, strict=True)]
    else:
        return amounts, [0, 0, 0]
    if any(-total >= stride for total, stride in zip(totals, strides, strict=True)):
        raise UnsupportedLayerError("a deconvolution whose output shape is larger than its stride allows")
    return [(max(total, 0) // 2, max(total, 0) - max(total, 0) // 2) for total in totals], [max(-total, 0) for total in totals]


def _flat(edges: Edges) -> list[int]:
    return [*(first for first, _ in edges), *(last for _, last in edges)]
