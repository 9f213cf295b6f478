"""Tensors of random numbers.

Only the distribution is defined. An operation with a seed draws the numbers of that seed at every prediction, others in each round of a
loop; one without (-1) draws those of its own name, so that two of them differ and a model gives the same result for the same inputs.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mlpipe.runtime.lowered import UnsupportedLayerError
from mlpipe.runtime.mlprogram.op import Build, op
from mlpipe.runtime.mlprogram.values import Tensor
from mlpipe.runtime.random_numbers import categorical, normal, uniform

UNSEEDED = -1
HALF_OPEN: dict[str, type[np.floating[Any]]] = {"fp16": np.float16, "fp32": np.float32}


@op("random_uniform")
def random_uniform(build: Build, shape: Tensor, low: float = 0.0, high: float = 1.0, seed: int = UNSEEDED) -> str:
    """Return numbers from low on and below high."""
    numbers = uniform(build.graph, build.indices(shape), _key(build, seed))
    if high > low:
        scaled = build.add("Add", build.add("Mul", numbers, build.floats(high - low)), build.floats(low))
        # Rounding may reach the upper bound, which does not belong to the interval.
        kind = HALF_OPEN[build.outputs[0].dtype]
        return build.add("Min", scaled, build.floats(float(np.nextafter(kind(high), kind(low)))))
    if high == low:
        return build.add("Expand", build.floats(low), build.indices(shape))
    raise UnsupportedLayerError(f"high is {high}, below low, {low}")


@op("random_normal")
def random_normal(build: Build, shape: Tensor, mean: float = 0.0, stddev: float = 1.0, seed: int = UNSEEDED) -> str:
    """Return numbers of the normal distribution."""
    numbers = normal(build.graph, build.indices(shape), _key(build, seed))
    return build.add("Add", build.add("Mul", numbers, build.floats(stddev)), build.floats(mean))


@op("random_bernoulli", keeps_grid=True)
def random_bernoulli(build: Build, shape: Tensor, prob: float = 0.5, seed: int = UNSEEDED) -> str:
    """Return ones with a probability, and zeros."""
    return build.add("Less", uniform(build.graph, build.indices(shape), _key(build, seed)), build.floats(prob))


@op("random_categorical")
def random_categorical(build: Build, x: Tensor, mode: str = "logits", size: int = 1, seed: int = UNSEEDED) -> str:
    """Return `size` classes for each row of x, which holds their probabilities or the logarithms of them."""
    if mode not in ("logits", "probs"):
        raise UnsupportedLayerError(f"mode {mode!r} is not known")
    given = build.graph.cast(x.name, np.float32)
    return categorical(build.graph, build.add("Softmax", given, axis=-1) if mode == "logits" else given, size, _key(build, seed))


def _key(build: Build, seed: int) -> str:
    if seed != UNSEEDED:
        return f"seed {seed}"
    return f"layer {build.graph.layer.name if build.graph.layer else ''}"
