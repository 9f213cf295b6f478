"""Look-up tables for a whole weight, or one for each group of its channels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpipe.quantization.weight import Weight, grid_of
from mlpipe.recipe.schema.quantize import QuantizeStep
from mlpipe.weights.kmeans import Palette


def groups_of(weight: Weight, step: QuantizeStep) -> tuple[list[NDArray[Any]], int]:
    """Return the parts of the weight that have a table each, and the axis that they divide. Errors: SkippedWeight where they do not divide it."""
    grid = grid_of(weight, step)
    axis = int(np.argmax(grid))
    return np.split(weight.values, grid[axis], axis=axis), axis


def palette_by_group(weight: Weight, step: QuantizeStep, make: Callable[[NDArray[Any]], Palette]) -> Palette:
    """Return the palette made of one palette for each group."""
    groups, axis = groups_of(weight, step)
    parts = [make(group) for group in groups]
    return Palette(np.concatenate([part.indices for part in parts], axis=axis), np.concatenate([part.tables for part in parts]), step.bits, axis)
