"""Normalizations, and the affine layers bias and scale."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mlpipe.runtime.lowered import UnsupportedLayerError
from mlpipe.runtime.mlprogram.ops import normalization as normalizing
from mlpipe.runtime.neuralnetwork.layers.shared import build_of, tensor
from mlpipe.runtime.neuralnetwork.network import Network
from mlpipe.runtime.neuralnetwork.registry import layer


@layer("batchnorm")
def batchnorm(net: Network, params: Any, x: str) -> str:
    """Normalization of each channel, by given statistics, or by those of each image or of the whole batch."""
    graph, shape = net.graph, [params.channels]
    merged = net.merge_leading(x, 3)
    gamma, beta = net.weight(params.gamma, shape), net.weight(params.beta, shape)
    epsilon = params.epsilon or 1e-5
    if not params.computeMeanVar:
        if params.instanceNormalization:
            raise UnsupportedLayerError("instance normalization by given statistics")
        mean, variance = net.weight(params.mean, shape), net.weight(params.variance, shape)
        y = graph.add("BatchNormalization", merged, gamma, beta, mean, variance, epsilon=epsilon)
    elif params.instanceNormalization:
        y = graph.add("InstanceNormalization", merged, gamma, beta, epsilon=epsilon)
    else:
        normalized = _normalize(net, merged, [0, 2, 3], epsilon)
        factor, offset = (net.reshape(value, [1, -1, 1, 1]) for value in (gamma, beta))
        y = graph.add("Add", graph.add("Mul", normalized, factor), offset)
    return net.restore_leading(y, x, 3)


def _centre(net: Network, x: str, axes: Sequence[int]) -> str:
    return net.graph.add("Sub", x, net.graph.add("ReduceMean", x, net.graph.int64(*axes)))


def _normalize(net: Network, x: str, axes: Sequence[int], epsilon: float) -> str:
    graph = net.graph
    centred = _centre(net, x, axes)
    variance = graph.add("ReduceMean", graph.add("Mul", centred, centred), graph.int64(*axes))
    deviation = graph.add("Sqrt", graph.add("Add", variance, graph.constant(epsilon, np.float32)))
    return graph.add("Div", centred, deviation)


@layer("mvn")
def mean_variance_normalize(net: Network, params: Any, x: str) -> str:
    """The mean subtracted, within each channel or over all, and the standard deviation divided out where asked for.

    Source: the comment on `epsilon` is word for word the one of batchnorm and l2normalize, whose formulas add it under the root.
    """
    net.require_rank(x, at_least=3)
    axes = [-3, -2, -1] if params.acrossChannels else [-2, -1]
    if not params.normalizeVariance:
        return _centre(net, x, axes)
    return _normalize(net, x, axes, params.epsilon or 1e-6)


@layer("l2normalize")
def l2_normalize(net: Network, params: Any, x: str) -> str:
    """Channels, rows and columns divided by the square root of their sum of squares."""
    graph = net.graph
    net.require_rank(x, at_least=3)
    squares = graph.add("ReduceSumSquare", x, graph.int64(-3, -2, -1))
    return graph.add("Div", x, graph.add("Sqrt", graph.add("Add", squares, graph.constant(params.epsilon or 1e-6, np.float32))))


@layer("lrn")
def local_response_normalization(net: Network, params: Any, x: str) -> str:
    """Each element divided by a power of the squares of its neighbours in other channels."""
    if params.localSize % 2 == 0:
        # ONNX takes odd windows; the operation that the converters write as this layer takes others too.
        return str(normalizing.local_response_norm(build_of(net), tensor(net, x), params.localSize, params.alpha, params.beta, params.k or 1.0))
    merged = net.merge_leading(x, 3)
    y = net.graph.add("LRN", merged, size=params.localSize, alpha=params.alpha, beta=params.beta, bias=params.k or 1.0)
    return net.restore_leading(y, x, 3)


@layer("layerNormalization")
def layer_normalization(net: Network, params: Any, x: str) -> str:
    """Normalization over the last dimensions."""
    shape = [int(size) for size in params.normalizedShape]
    net.require_rank(x, at_least=len(shape))
    if not shape or net.sizes(x, *range(-len(shape), 0)) != tuple(shape):
        raise UnsupportedLayerError("its input does not end with the normalized shape")
    gamma, beta = net.weight(params.gamma, shape), net.weight(params.beta, shape)
    return net.graph.add("LayerNormalization", x, gamma, beta, axis=-len(shape), epsilon=params.eps)


@layer("softmax")
def softmax(net: Network, _params: Any, x: str) -> str:
    """Softmax over the channels."""
    net.require_rank(x, at_least=3)
    return net.graph.add("Softmax", x, axis=-3)


@layer("softmaxND")
def softmax_nd(net: Network, params: Any, x: str) -> str:
    """Softmax over one axis."""
    return net.graph.add("Softmax", x, axis=net.axis(x, params.axis))


@layer("bias")
def bias(net: Network, params: Any, x: str) -> str:
    """A bias of shape [1], [C], [1, H, W] or [C, H, W] added."""
    net.require_rank(x, at_least=3)
    return net.graph.add("Add", x, _channels_rows_columns(net, params.bias, params.shape))


@layer("scale")
def scale(net: Network, params: Any, x: str) -> str:
    """A factor of shape [1], [C], [1, H, W] or [C, H, W], and a bias of such a shape."""
    net.require_rank(x, at_least=3)
    scaled = net.graph.add("Mul", x, _channels_rows_columns(net, params.scale, params.shapeScale))
    return net.graph.add("Add", scaled, _channels_rows_columns(net, params.bias, params.shapeBias)) if params.hasBias else scaled


def _channels_rows_columns(net: Network, weights: Any, shape: Sequence[int]) -> str:
    if len(shape) not in (1, 3):
        raise UnsupportedLayerError(f"weights of shape {list(shape)}")
    array = net.array(weights, shape)
    return net.graph.constant(array.reshape(-1, 1, 1) if array.ndim == 1 else array, hint="weight")
