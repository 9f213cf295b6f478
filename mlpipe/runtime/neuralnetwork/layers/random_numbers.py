"""Random numbers: the same for the same seed, at every prediction; see `runtime/random_numbers.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mlpipe.runtime.lowered import UnsupportedLayerError
from mlpipe.runtime.mlprogram.ops import random_numbers
from mlpipe.runtime.mlprogram.values import Tensor
from mlpipe.runtime.neuralnetwork.layers.shared import build_of, tensor
from mlpipe.runtime.neuralnetwork.network import Network
from mlpipe.runtime.neuralnetwork.registry import layer


def _normal(net: Network, params: Any, shape: Tensor) -> str:
    return str(random_numbers.random_normal(build_of(net), shape, params.mean, params.stdDev, params.seed))


def _uniform(net: Network, params: Any, shape: Tensor) -> str:
    return str(random_numbers.random_uniform(build_of(net), shape, params.minVal, params.maxVal, params.seed))


def _bernoulli(net: Network, params: Any, shape: Tensor) -> str:
    return net.number(str(random_numbers.random_bernoulli(build_of(net), shape, params.prob, params.seed)))


def _register(name: str, draw: Callable[[Network, Any, Tensor], str]) -> None:
    """Register the three ways in which a layer learns its shape: from a tensor, from its parameters, from a vector."""

    @layer(f"{name}Like")
    def like(net: Network, params: Any, x: str) -> str:
        net.require_rank(x)
        return net.graph.set_type(draw(net, params, _sizes(net, net.graph.shape_value(x))), np.float32, net.graph.shape(x))

    @layer(f"{name}Static")
    def static(net: Network, params: Any) -> str:
        sizes = [int(size) for size in params.outputShape]
        return net.graph.set_type(draw(net, params, _sizes(net, net.graph.int64(*sizes))), np.float32, sizes)

    @layer(f"{name}Dynamic")
    def dynamic(net: Network, params: Any, shape: str) -> str:
        known = net.graph.value_of(shape)
        sizes = [None] * net.length(shape) if known is None else [int(size) for size in known]
        return net.graph.set_type(draw(net, params, _sizes(net, net.indices(shape))), np.float32, sizes)


for _name, _draw in (("randomNormal", _normal), ("randomUniform", _uniform), ("randomBernoulli", _bernoulli)):
    _register(_name, _draw)


def _sizes(net: Network, shape: str) -> Tensor:
    return Tensor(shape, "int32", net.graph.shape(shape), net.graph.value_of(shape))


@layer("categoricalDistribution", keeps_grid=True)
def categorical_distribution(net: Network, params: Any, x: str) -> str:
    """Indices drawn for each row of the last dimension: softmax of logits over the temperature, or probabilities to the power of its inverse."""
    temperature = params.temperature or 1.0
    if temperature < 0:
        raise UnsupportedLayerError(f"a temperature of {temperature}")
    inverse = net.scalar(1.0 / temperature)
    if params.isLogits:
        given, mode = net.graph.add("Mul", x, inverse), "logits"
    else:
        given, mode = net.graph.add("Pow", net.graph.add("Add", x, net.scalar(params.eps or 1e-10)), inverse), "probs"
    drawn = random_numbers.random_categorical(build_of(net), tensor(net, given), mode, params.numSamples, params.seed)
    return net.graph.set_type(net.number(str(drawn)), np.float32, (*net.graph.shape(x)[:-1], params.numSamples))
