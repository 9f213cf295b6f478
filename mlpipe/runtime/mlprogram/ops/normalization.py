"""Normalizations."""

from __future__ import annotations

import numpy as np

from mlpipe.runtime.lowered import UnsupportedLayerError
from mlpipe.runtime.mlprogram.op import Build, op
from mlpipe.runtime.mlprogram.values import Tensor


@op("batch_norm")
def batch_norm(build: Build, x: Tensor, mean: Tensor, variance: Tensor, gamma: Tensor | None = None, beta: Tensor | None = None, epsilon: float = 1e-5) -> str:
    """Return gamma * (x - mean) / sqrt(variance + epsilon) + beta, with one of each for every channel."""
    channels = mean.size(0, "batch_norm")
    return build.add("BatchNormalization", x, *_scale_and_shift(build, gamma, beta, (channels,)), mean, variance, epsilon=epsilon)


@op("instance_norm")
def instance_norm(build: Build, x: Tensor, gamma: Tensor | None = None, beta: Tensor | None = None, epsilon: float = 1e-5) -> str:
    """Return each channel of each sample with mean 0 and variance 1, times gamma plus beta."""
    channels = x.size(1, "instance_norm")
    return build.add("InstanceNormalization", x, *_scale_and_shift(build, gamma, beta, (channels,)), epsilon=epsilon)


@op("layer_norm")
def layer_norm(
    build: Build, x: Tensor, axes: tuple[int, ...] | None = None, gamma: Tensor | None = None, beta: Tensor | None = None, epsilon: float = 1e-5
) -> str:
    """Return x with mean 0 and variance 1 over the axes, times gamma plus beta."""
    chosen = sorted(x.axis(axis) for axis in axes) if axes is not None else list(range(x.rank))
    reduced = build.int64(*chosen)
    centred = build.add("Sub", x, build.add("ReduceMean", x, reduced))
    variance = build.add("ReduceMean", build.add("Mul", centred, centred), reduced)
    result = build.add("Div", centred, build.add("Sqrt", build.add("Add", variance, build.number(epsilon, x))))
    if gamma is not None:
        result = build.add("Mul", result, _along(build, gamma, x, chosen))
    return result if beta is None else build.add("Add", result, _along(build, beta, x, chosen))


@op("l2_norm")
def l2_norm(build: Build, x: Tensor, epsilon: float = 1e-6) -> str:
    """Return x divided by the root of the sum of squares over its last three dimensions."""
    total = build.add("ReduceSumSquare", x, build.int64(-3, -2, -1))
    return build.add("Div", x, build.add("Sqrt", build.add("Add", total, build.number(epsilon, x))))


@op("local_response_norm")
def local_response_norm(build: Build, x: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> str:
    """Return x / (k + alpha / size * (sum of squares over `size` neighbouring channels)) ** beta."""
    if size % 2 == 0:
        raise UnsupportedLayerError("an even size is not supported: which side the odd channel lies on is not documented")
    if x.rank != 4:
        raise UnsupportedLayerError(f"rank {x.rank} is not supported")
    return build.add("LRN", x, size=size, alpha=alpha, beta=beta, bias=k)


def _scale_and_shift(build: Build, gamma: Tensor | None, beta: Tensor | None, shape: tuple[int, ...]) -> tuple[Tensor | str, Tensor | str]:
    return gamma or build.floats(np.ones(shape)), beta or build.floats(np.zeros(shape))


def _along(build: Build, parameter: Tensor, x: Tensor, axes: list[int]) -> str:
    """Return a parameter whose dimensions are these axes of x, ready to be broadcast."""
    sizes = dict(zip(axes, (parameter.size(axis, "layer_norm") for axis in range(parameter.rank)), strict=True))
    return build.add("Reshape", parameter, build.int64(*(sizes.get(axis, 1) for axis in range(x.rank))))
