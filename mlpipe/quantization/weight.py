"""What a quantization method is given, and what it gives back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpipe.recipe.capabilities import DEFAULT_GRANULARITIES
from mlpipe.recipe.schema.convert import Target
from mlpipe.recipe.schema.quantize import QuantizeStep
from mlpipe.weights.bits import packed_size
from mlpipe.weights.kmeans import Palette
from mlpipe.weights.linear import Linear

Encoded = NDArray[np.float16] | Linear | Palette
"""float16 values, levels with scales, or indices with tables."""


class SkippedWeight(Exception):
    """A weight that stays as it is; the message is the reason that the record shows."""


@dataclass(frozen=True)
class Weight:
    """One weight of a model, decoded."""

    name: str
    values: NDArray[Any]
    """float32, or float16 in a float16 ML Program."""
    container: Target
    stored_bytes: int
    channel_axis: int | None
    """The axis of output channels; None where it has none, or more than one by its uses."""
    input_axis: int | None
    """The axis that blocks run along."""
    compressed: bool
    """Whether it holds levels or indices already."""
    folder: Path
    """The recipe's folder: a user's function is looked up here."""

    @property
    def storage(self) -> np.dtype[Any]:
        """Return the type in which the file holds scales and tables."""
        return np.dtype(np.float32) if self.container == "neuralnetwork" else self.values.dtype


class NoGain(SkippedWeight):
    """A weight whose compressed form, tables and scales included, is no smaller."""


def grid_of(weight: Weight, step: QuantizeStep) -> tuple[int, ...]:
    """Return how many blocks, each with a scale or table of its own, there are along each axis.

    Errors: SkippedWeight where the granularity does not divide the weight's shape.
    """
    shape = weight.values.shape
    granularity = step.granularity or DEFAULT_GRANULARITIES[step.method]
    grid = [1] * len(shape)
    if granularity == "per_tensor" or weight.channel_axis is None:
        return tuple(grid)
    channels = shape[weight.channel_axis]
    if granularity == "per_grouped_channel":
        size = step.group_size or channels
        if channels % size:
            raise SkippedWeight(f"has {channels} channels, which do not divide into groups of {size}")
        grid[weight.channel_axis] = channels // size
        return tuple(grid)
    grid[weight.channel_axis] = channels
    if granularity == "per_block" and weight.input_axis is not None:
        size = step.block_size or shape[weight.input_axis]
        if shape[weight.input_axis] % size:
            raise SkippedWeight(f"has {shape[weight.input_axis]} inputs, which do not divide into blocks of {size}")
        grid[weight.input_axis] = shape[weight.input_axis] // size
    return tuple(grid)


def encoded_bytes(encoded: Encoded, weight: Weight) -> int:
    """Return the bytes that the encoded weight takes in the file, scales and tables included, alignment left out."""
    if isinstance(encoded, Palette):
        return packed_size(encoded.indices.size, encoded.bits) + encoded.tables.size * weight.storage.itemsize
    if isinstance(encoded, Linear):
        biases = encoded.scale.size * weight.storage.itemsize if encoded.bias is not None else 0
        zero_points = packed_size(encoded.scale.size, encoded.bits) if encoded.zero_point is not None else 0
        return packed_size(encoded.levels.size, encoded.bits) + encoded.scale.size * weight.storage.itemsize + biases + zero_points
    return encoded.nbytes
