"""`linear`: evenly spaced levels with a scale per tensor, channel or block."""

from __future__ import annotations

from mlpipe.quantization.weight import Weight, grid_of
from mlpipe.recipe.capabilities import DEFAULT_SYMMETRIC
from mlpipe.recipe.schema.quantize import QuantizeStep
from mlpipe.weights.linear import Linear, encode_with_bias, encode_with_zero_point
from mlpipe.weights.linear import noise_bound as linear_noise_bound


def is_symmetric(weight: Weight, step: QuantizeStep) -> bool:
    """Return whether levels lie symmetric about zero: by default in ML Programs, whose symmetric form needs no zero points."""
    return DEFAULT_SYMMETRIC[weight.container] if step.symmetric is None else step.symmetric


def encode(weight: Weight, step: QuantizeStep) -> Linear:
    """Return levels and scales in the form of the weight's container. Errors: SkippedWeight where blocks do not divide it."""
    grid = grid_of(weight, step)
    symmetric = is_symmetric(weight, step)
    if weight.container == "neuralnetwork":
        return encode_with_bias(weight.values, step.bits, grid, symmetric=symmetric)
    return encode_with_zero_point(weight.values, step.bits, grid, symmetric=symmetric, storage=weight.storage)


def noise_bound(weight: Weight, step: QuantizeStep) -> float:
    """Return the largest sum of squared errors: half a level's distance for each weight of each block."""
    in_program = weight.container == "mlprogram"
    return linear_noise_bound(weight.values, step.bits, grid_of(weight, step), symmetric=is_symmetric(weight, step), holds_zero=in_program)
