"""The thirteen activation functions of the layer `activation`, and the activations that are layers of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mlpipe.runtime.lowered import UnsupportedLayerError
from mlpipe.runtime.neuralnetwork.network import Network
from mlpipe.runtime.neuralnetwork.registry import layer

Activation = Callable[[Network, Any, str], str]


def _linear(net: Network, params: Any, x: str) -> str:
    scaled = net.graph.add("Mul", x, net.scalar(params.alpha))
    return net.graph.add("Add", scaled, net.scalar(params.beta)) if params.beta else scaled


def _relu(net: Network, _: Any, x: str) -> str:
    return net.graph.add("Relu", x)


def _leaky_relu(net: Network, params: Any, x: str) -> str:
    return net.graph.add("PRelu", x, net.scalar(params.alpha))


def _thresholded_relu(net: Network, params: Any, x: str) -> str:
    """A value equal to the threshold stays, unlike in ONNX's operator of that name."""
    return net.graph.add("Where", net.graph.add("Less", x, net.scalar(params.alpha)), net.scalar(0), x)


def _prelu(net: Network, params: Any, x: str) -> str:
    return net.graph.add("PRelu", x, per_channel(net, params.alpha, x))


def _tanh(net: Network, _: Any, x: str) -> str:
    return net.graph.add("Tanh", x)


def _scaled_tanh(net: Network, params: Any, x: str) -> str:
    inner = net.graph.add("Tanh", net.graph.add("Mul", x, net.scalar(params.beta)))
    return net.graph.add("Mul", inner, net.scalar(params.alpha))


def _sigmoid(net: Network, _: Any, x: str) -> str:
    return net.graph.add("Sigmoid", x)


def _sigmoid_hard(net: Network, params: Any, x: str) -> str:
    return net.graph.add("Clip", _linear(net, params, x), net.scalar(0), net.scalar(1))


def _elu(net: Network, params: Any, x: str) -> str:
    return net.graph.add("Elu", x, alpha=params.alpha)


def _softsign(net: Network, _: Any, x: str) -> str:
    return net.graph.add("Softsign", x)


def _softplus(net: Network, _: Any, x: str) -> str:
    return net.graph.add("Softplus", x)


def _parametric_softplus(net: Network, params: Any, x: str) -> str:
    inner = net.graph.add("Softplus", net.graph.add("Mul", x, per_channel(net, params.beta, x)))
    return net.graph.add("Mul", inner, per_channel(net, params.alpha, x))


def per_channel(net: Network, weights: Any, x: str) -> str:
    """Return one number, or one for each channel, in a shape that broadcasts over height and width."""
    net.require_rank(x, at_least=3)
    (channels,) = net.sizes(x, -3)
    count = _count(weights, channels)
    return net.graph.constant(net.array(weights, [count]).reshape(count, 1, 1), hint="weight")


def _count(weights: Any, channels: int) -> int:
    stored = len(weights.floatValue) or len(weights.float16Value) // 2
    return 1 if stored == 1 else channels


ACTIVATIONS: dict[str, Activation] = {
    "linear": _linear,
    "ReLU": _relu,
    "leakyReLU": _leaky_relu,
    "thresholdedReLU": _thresholded_relu,
    "PReLU": _prelu,
    "tanh": _tanh,
    "scaledTanh": _scaled_tanh,
    "sigmoid": _sigmoid,
    "sigmoidHard": _sigmoid_hard,
    "ELU": _elu,
    "softsign": _softsign,
    "softplus": _softplus,
    "parametricSoftplus": _parametric_softplus,
}


@layer("activation")
def activation(net: Network, params: Any, x: str) -> str:
    """One of the thirteen functions, element by element."""
    kind = params.WhichOneof("NonlinearityType")
    if kind not in ACTIVATIONS:
        raise UnsupportedLayerError(f"the activation {kind}")
    return ACTIVATIONS[kind](net, getattr(params, kind), x)


@layer("clampedReLU")
def clamped_relu(net: Network, params: Any, x: str) -> str:
    """A leaky relu that ends at beta."""
    return net.graph.add("Min", _leaky_relu(net, params, x), net.scalar(params.beta))


@layer("gelu")
def gelu(net: Network, params: Any, x: str) -> str:
    """The Gaussian error linear unit: exact, by tanh or by sigmoid."""
    graph = net.graph
    if params.mode == 2:
        return graph.add("Mul", x, graph.add("Sigmoid", graph.add("Mul", x, graph.constant(1.702, "float32"))))
    return graph.add("Gelu", x, approximate="tanh" if params.mode == 1 else "none")
