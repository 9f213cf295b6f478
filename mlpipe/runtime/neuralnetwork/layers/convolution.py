"""Convolution and deconvolution over height and width."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mlpipe.runtime.lowered import UnsupportedLayerError
from mlpipe.runtime.neuralnetwork.layers.borders import Borders, border_amounts, pair, same_mode
from mlpipe.runtime.neuralnetwork.network import Network
from mlpipe.runtime.neuralnetwork.registry import layer


@layer("convolution")
def convolution(net: Network, params: Any, x: str, weights: str | None = None) -> str:
    """Convolution with zero padding; a second input is the kernel, then the layer has none of its own."""
    net.require_rank(x, at_least=4)
    if params.isDeconvolution:
        if weights is not None:
            raise UnsupportedLayerError("a deconvolution whose kernel is an input")
        return deconvolution(net, params, x)
    kernel = pair(params.kernelSize, 3)
    if weights is None:
        weights = net.weight(params.weights, [params.outputChannels, params.kernelChannels, *kernel])
    elif net.graph.static_shape(weights) != (params.outputChannels, params.kernelChannels, *kernel):
        raise UnsupportedLayerError("its kernel input has another shape than the layer states")
    merged = net.merge_leading(x, 3)
    attributes: dict[str, Any] = {"kernel_shape": kernel, "strides": pair(params.stride, 1), "dilations": pair(params.dilationFactor, 1)}
    attributes |= _padding(net, params, x, kernel)
    inputs = [merged, weights] + ([net.weight(params.bias, [params.outputChannels])] if params.hasBias else [])
    y = net.graph.add("Conv", *inputs, group=params.nGroups or 1, **attributes)
    return net.restore_leading(y, x, 3)


def _padding(net: Network, params: Any, x: str, kernel: Sequence[int]) -> dict[str, Any]:
    padding = params.WhichOneof("ConvolutionPaddingType")
    dilations = pair(params.dilationFactor, 1)
    if padding == "same" and dilations == [1, 1]:
        return {"auto_pad": same_mode(params.same)}
    if padding == "same":
        # ONNX Runtime takes no dilation together with automatic padding.
        windows = [(size - 1) * factor + 1 for size, factor in zip(kernel, dilations, strict=True)]
        (top, bottom), (left, right) = _same_amounts(net, x, windows, pair(params.stride, 1), top_heavy=same_mode(params.same) == "SAME_LOWER")
    elif padding == "valid":
        (top, bottom), (left, right) = border_amounts(params.valid.paddingAmounts)
    else:
        raise UnsupportedLayerError("it does not state its padding")
    return {"pads": [top, left, bottom, right]}


def _same_amounts(net: Network, x: str, windows: Sequence[int], strides: Sequence[int], *, top_heavy: bool) -> Borders:
    """Return the padding after which a convolution makes one output for every stride of the input."""
    totals = [max(0, (-(-size // stride) - 1) * stride + window - size) for size, window, stride in zip(net.sizes(x, -2, -1), windows, strides, strict=True)]
    height, width = ((total - total // 2, total // 2) if top_heavy else (total // 2, total - total // 2) for total in totals)
    return height, width


def deconvolution(net: Network, params: Any, x: str) -> str:
    """Transposed convolution: the gradient of the convolution with the same kernel, stride, padding and dilation.

    The specification says that it ignores the dilation. coremltools converts dilated ones to this layer and tests them on Core ML.
    """
    kernel, strides = pair(params.kernelSize, 3), pair(params.stride, 1)
    groups = params.nGroups or 1
    weights = net.weight(params.weights, [params.kernelChannels, params.outputChannels // groups, *kernel], channel_axis=1)
    dilations = pair(params.dilationFactor, 1)
    windows = [(size - 1) * factor + 1 for size, factor in zip(kernel, dilations, strict=True)]
    crops = _crops(net, params, x, windows, strides)
    merged = net.merge_leading(x, 3)
    inputs = [merged, weights] + ([net.weight(params.bias, [params.outputChannels])] if params.hasBias else [])
    y = net.graph.add(
        "ConvTranspose",
        *inputs,
        group=groups,
        kernel_shape=kernel,
        strides=strides,
        dilations=dilations,
        pads=[*(begin for begin, _, _ in crops), *(end for _, end, _ in crops)],
        output_padding=[extra for _, _, extra in crops],
    )
    return net.restore_leading(y, x, 3)


def _crops(net: Network, params: Any, x: str, windows: Sequence[int], strides: Sequence[int]) -> list[tuple[int, int, int]]:
    """Return, for height and width, what is cropped at the start and at the end, and how many empty rows are added at the end."""
    padding = params.WhichOneof("ConvolutionPaddingType")
    amounts = border_amounts(params.valid.paddingAmounts) if padding == "valid" else ((0, 0), (0, 0))
    if params.outputShape:
        # The output shape decides, the padding is ignored; where explicit amounts would say the same, they also say where to crop.
        full = [(size - 1) * stride + k for size, stride, k in zip(net.sizes(x, -2, -1), strides, windows, strict=True)]
        totals = [size - int(wanted) for size, wanted in zip(full, params.outputShape, strict=True)]
        if [sum(amount) for amount in amounts] == totals:
            return [(begin, end, 0) for begin, end in amounts]
        if any(map(any, amounts)):
            raise UnsupportedLayerError("a deconvolution whose output shape is not the one of its padding amounts")
        return [_split(total, stride, top_heavy=False) for total, stride in zip(totals, strides, strict=True)]
    if padding == "valid":
        return [(begin, end, 0) for begin, end in amounts]
    if padding == "same":
        heavy = same_mode(params.same) == "SAME_LOWER"
        return [_split(k - stride, stride, top_heavy=heavy) for k, stride in zip(windows, strides, strict=True)]
    raise UnsupportedLayerError("it does not state its padding")


def _split(total: int, stride: int, *, top_heavy: bool) -> tuple[int, int, int]:
    """Return crops that add up to the total; a negative one is filled at the end, as the gradient of a "same" convolution has it."""
    if total < 0:
        if -total >= stride:
            raise UnsupportedLayerError("a deconvolution whose output shape is larger than its stride allows")
        return 0, 0, -total
    small = total // 2
    return (total - small, small, 0) if top_heavy else (small, total - small, 0)
