"""Pooling over height and width."""

from __future__ import annotations

from typing import Any

from mlpipe.runtime.lowered import UnsupportedLayerError
from mlpipe.runtime.neuralnetwork.layers.borders import border_amounts, pair, same_mode
from mlpipe.runtime.neuralnetwork.network import Network
from mlpipe.runtime.neuralnetwork.registry import layer

MAX, AVERAGE, L2 = 0, 1, 2
GLOBAL = {MAX: "GlobalMaxPool", AVERAGE: "GlobalAveragePool", L2: "GlobalLpPool"}
LOCAL = {MAX: "MaxPool", AVERAGE: "AveragePool", L2: "LpPool"}


@layer("pooling")
def pooling(net: Network, params: Any, x: str) -> str:
    """Maximum, mean, or square root of the sum of squares, of each window; padded places hold nothing but count in a mean unless excluded."""
    net.require_rank(x, at_least=4)
    merged = net.merge_leading(x, 3)
    if params.globalPooling:
        y = net.graph.add(GLOBAL[params.type], merged, p=2 if params.type == L2 else None)
        return net.restore_leading(y, x, 3)
    attributes: dict[str, Any] = {"kernel_shape": pair(params.kernelSize, 3), "strides": pair(params.stride, 1), **_padding(net, params, x)}
    if params.type == AVERAGE:
        attributes["count_include_pad"] = int(not params.avgPoolExcludePadding)
    elif params.type == L2:
        attributes["p"] = 2
    return net.restore_leading(net.graph.add(LOCAL[params.type], merged, **attributes), x, 3)


def _padding(net: Network, params: Any, x: str) -> dict[str, Any]:
    padding = params.WhichOneof("PoolingPaddingType")
    kernel = pair(params.kernelSize, 3)
    if padding == "same":
        return {"auto_pad": same_mode(params.same)}
    if padding == "valid":
        amounts = border_amounts(params.valid.paddingAmounts)
    elif padding == "includeLastPixel":
        amounts = _including_last_pixel(net, params, x, kernel)
    else:
        raise UnsupportedLayerError("it does not state its padding")
    if any(amount >= size for edges, size in zip(amounts, kernel, strict=True) for amount in edges):
        raise UnsupportedLayerError("padding as large as its window, so that a window would hold nothing")
    (top, bottom), (left, right) = amounts
    return {"pads": [top, left, bottom, right]}


def _including_last_pixel(net: Network, params: Any, x: str, kernel: list[int]) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the padding that makes the last window reach the last pixel."""
    given = pair(params.includeLastPixel.paddingAmounts, 0)
    strides = pair(params.stride, 1)
    edges = []
    for size, pad, window, stride in zip(net.sizes(x, -2, -1), given, kernel, strides, strict=True):
        count = -((window - size - 2 * pad) // stride) + 1
        if any(given) and (count - 1) * stride >= size + pad:
            count -= 1
        end = (count - 1) * stride + window - size - pad
        if params.type == AVERAGE and not params.avgPoolExcludePadding and end > pad:
            raise UnsupportedLayerError("a mean over windows that reach beyond the padding: the specification does not say what they are divided by")
        edges.append((pad, max(end, 0)))
    return edges[0], edges[1]
