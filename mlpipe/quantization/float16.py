"""`float16`: each weight becomes the nearest half-precision number."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mlpipe.quantization.weight import SkippedWeight, Weight
from mlpipe.recipe.schema.quantize import QuantizeStep

ALREADY_FLOAT16 = "is float16 already"
LARGEST = float(np.finfo(np.float16).max)


def encode(weight: Weight, step: QuantizeStep) -> NDArray[np.float16]:  # noqa: ARG001 - every method has this signature
    """Return the weight in half precision. Errors: SkippedWeight where it is so already, or where a value would become infinite."""
    if weight.stored_bytes <= 2 * weight.values.size:
        raise SkippedWeight(ALREADY_FLOAT16)
    highest = float(np.abs(weight.values).max(initial=0))
    if highest > LARGEST:
        raise SkippedWeight(f"reaches {highest:g}, and float16 ends at {LARGEST:g}")
    return weight.values.astype(np.float16)


def noise_bound(weight: Weight, step: QuantizeStep) -> float:  # noqa: ARG001
    """Return the largest sum of squared errors: half a unit in the last place, 2**-11 of the value, and never less than half the smallest step."""
    error = np.maximum(np.abs(weight.values.astype(np.float64)) * 2.0**-11, 2.0**-25)
    return float(np.sum(error**2))
