"""Activation functions."""

from __future__ import annotations

import math

import numpy as np

from mlpipe.runtime.lowered import UnsupportedLayerError
from mlpipe.runtime.mlprogram.op import Build, op
from mlpipe.runtime.mlprogram.values import Tensor


@op("relu", keeps_grid=True)
def relu(build: Build, x: Tensor) -> str:
    """Return max(x, 0)."""
    return build.add("Relu", x)


@op("relu6", keeps_grid=True)
def relu6(build: Build, x: Tensor) -> str:
    """Return min(max(x, 0), 6)."""
    return build.add("Clip", x, build.number(0, x), build.number(6, x))


@op("sigmoid")
def sigmoid(build: Build, x: Tensor) -> str:
    """Return 1 / (1 + exp(-x))."""
    return build.add("Reciprocal", _divisor(build, x)) if x.dtype == "fp16" else build.add("Sigmoid", x)


@op("softsign")
def softsign(build: Build, x: Tensor) -> str:
    """Return x / (1 + |x|)."""
    return build.add("Softsign", x)


@op("softplus")
def softplus(build: Build, x: Tensor) -> str:
    """Return log(1 + exp(x))."""
    return build.add("Softplus", x)


@op("silu")
def silu(build: Build, x: Tensor) -> str:
    """Return x * sigmoid(x)."""
    return build.add("Div", x, _divisor(build, x)) if x.dtype == "fp16" else build.add("Mul", x, build.add("Sigmoid", x))


def _divisor(build: Build, x: Tensor) -> str:
    """Return 1 + exp(-x). ONNX Runtime's Sigmoid is exact to 1e-7, which is many steps of float16 where the result itself is as small."""
    return build.add("Add", build.add("Exp", build.add("Neg", x)), build.floats(1.0))


@op("leaky_relu")
def leaky_relu(build: Build, x: Tensor, alpha: float) -> str:
    """Return x where it is not negative, and alpha * x elsewhere."""
    return build.add("LeakyRelu", x, alpha=alpha)


@op("elu")
def elu(build: Build, x: Tensor, alpha: float) -> str:
    """Return x where it is positive, and alpha * (exp(x) - 1) elsewhere."""
    return build.add("Elu", x, alpha=alpha)


@op("clamped_relu")
def clamped_relu(build: Build, x: Tensor, alpha: float, beta: float) -> str:
    """Return min(beta, x) where x is not negative, and min(beta, alpha * x) elsewhere."""
    return build.add("Min", build.add("LeakyRelu", x, alpha=alpha), build.number(beta, x))


@op("thresholded_relu", keeps_grid=True)
def thresholded_relu(build: Build, x: Tensor, alpha: float) -> str:
    """Return x where it is alpha or more, and 0 elsewhere; ONNX's ThresholdedRelu is 0 at alpha itself."""
    return build.add("Where", build.add("GreaterOrEqual", x, build.number(alpha, x)), x, build.number(0, x))


@op("linear_activation")
def linear_activation(build: Build, x: Tensor, alpha: float, beta: float) -> str:
    """Return alpha * x + beta."""
    return build.add("Add", build.add("Mul", x, build.number(alpha, x)), build.number(beta, x))


@op("scaled_tanh")
def scaled_tanh(build: Build, x: Tensor, alpha: float, beta: float) -> str:
    """Return alpha * tanh(beta * x)."""
    return build.add("Mul", build.add("Tanh", build.add("Mul", x, build.number(beta, x))), build.number(alpha, x))


@op("sigmoid_hard")
def sigmoid_hard(build: Build, x: Tensor, alpha: float, beta: float) -> str:
    """Return min(max(alpha * x + beta, 0), 1)."""
    return build.add("HardSigmoid", x, alpha=alpha, beta=beta)


@op("prelu")
def prelu(build: Build, x: Tensor, alpha: np.ndarray) -> str:
    """Return x where it is positive, and its channel's alpha * x elsewhere."""
    return build.add("PRelu", x, _per_channel(build, x, alpha))


@op("softplus_parametric")
def softplus_parametric(build: Build, x: Tensor, alpha: np.ndarray, beta: np.ndarray) -> str:
    """Return alpha * log(1 + exp(beta * x)), with an alpha and a beta for each channel."""
    inner = build.add("Mul", x, _per_channel(build, x, beta))
    return build.add("Mul", build.add("Softplus", inner), _per_channel(build, x, alpha))


@op("gelu")
def gelu(build: Build, x: Tensor, mode: str = "EXACT") -> str:
    """Return x times the normal distribution's cumulative function, or one of its approximations."""
    if mode == "SIGMOID_APPROXIMATION":
        return build.add("Mul", x, build.add("Sigmoid", build.add("Mul", x, build.floats(1.702))))
    if mode == "EXACT":
        return build.add("Gelu", x)
    half = build.add("Mul", x, build.floats(0.5))
    if mode == "TANH_APPROXIMATION":
        cube = build.add("Mul", build.add("Mul", x, build.add("Mul", x, x)), build.floats(0.044715))
        curve = build.add("Tanh", build.add("Mul", build.add("Add", x, cube), build.floats(math.sqrt(2 / math.pi))))
    else:
        raise UnsupportedLayerError(f"mode {mode!r} is not known")
    return build.add("Mul", half, build.add("Add", curve, build.floats(1.0)))


@op("softmax")
def softmax(build: Build, x: Tensor, axis: int = -1) -> str:
    """Return exp(x) divided by its sum along the axis."""
    return build.add("Softmax", x, axis=axis)


def _per_channel(build: Build, x: Tensor, values: np.ndarray) -> str:
    return build.floats(values.reshape(-1, *[1] * (x.rank - 2)))
