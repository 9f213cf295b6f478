"""Normalizations."""

from __future__ import annotations

from mlpipe.runtime.mlprogram.op import Build, op
from mlpipe.runtime.mlprogram.ops.sizes import Size, size_of, vector
from mlpipe.runtime.mlprogram.values import Tensor


@op("batch_norm")
def batch_norm(build: Build, x: Tensor, mean: Tensor, variance: Tensor, gamma: Tensor | None = None, beta: Tensor | None = None, epsilon: float = 1e-5) -> str:
    """Return gamma * (x - mean) / sqrt(variance + epsilon) + beta, with one of each for every channel."""
    return build.add("BatchNormalization", x, *_scale_and_shift(build, gamma, beta, size_of(build, mean, 0)), mean, variance, epsilon=epsilon)


@op("instance_norm")
def instance_norm(build: Build, x: Tensor, gamma: Tensor | None = None, beta: Tensor | None = None, epsilon: float = 1e-5) -> str:
    """Return each channel of each sample with mean 0 and variance 1, times gamma plus beta."""
    return build.add("InstanceNormalization", x, *_scale_and_shift(build, gamma, beta, size_of(build, x, 1)), epsilon=epsilon)


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
    """Return x / (k + alpha / size * (sum of squares over `size` neighbouring channels)) ** beta.

    Of an even number of neighbours, one more lies before the channel than after it, as in PyTorch. The channels are the third dimension from behind,
    whatever lies before them.
    Source: the values of rank 3 in coremltools' own test of this operation; LRNLayerParams in NeuralNetwork.proto.
    """
    squares = build.add("Mul", x, x)
    if x.rank < 5:
        squares = build.add("Unsqueeze", squares, build.int64(*range(5 - x.rank)))
    plane = build.add("Reshape", squares, build.int64(0, 0, 0, -1))
    means = build.add("AveragePool", plane, kernel_shape=[size, 1], pads=[size // 2, 0, (size - 1) // 2, 0], count_include_pad=1)
    base = build.add("Add", build.add("Mul", means, build.floats(alpha)), build.floats(k))
    divisor = build.add("Pow", build.add("Reshape", base, build.graph.shape_value(x.name)), build.floats(beta))
    return build.add("Div", x, divisor)


def _scale_and_shift(build: Build, gamma: Tensor | None, beta: Tensor | None, channels: Size) -> tuple[Tensor | str, Tensor | str]:
    ones, zeros = (build.add("Expand", build.floats(value), vector(build, channels)) for value in (1.0, 0.0))
    return gamma or ones, beta or zeros


def _along(build: Build, parameter: Tensor, x: Tensor, axes: list[int]) -> str:
    """Return a parameter whose dimensions are these axes of x, ready to be broadcast."""
    sizes = dict(zip(axes, (size_of(build, parameter, axis) for axis in range(parameter.rank)), strict=True))
    return build.add("Reshape", parameter, vector(build, *(sizes.get(axis, 1) for axis in range(x.rank))))
