"""Blocks of a tensor that share one parameter: the whole tensor, a channel, a group of channels, a block along one axis.

A grid is how many blocks there are along each axis, e.g. (16, 1, 1, 1) for one scale per output channel of a convolution.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def spread(parameter: Array, shape: Sequence[int]) -> Array:
    """Return one value per element, where `parameter` has one per block; what numpy broadcasts is left as it is.

    Shapes: broadcastable to `shape`.
    Errors: ValueError where the blocks do not divide the shape.
    """
    if parameter.ndim != len(shape) or any(size % blocks for size, blocks in zip(shape, parameter.shape, strict=True)):
        raise ValueError(f"blocks of shape {list(parameter.shape)} do not divide {list(shape)}")
    for axis, size in enumerate(shape):
        if parameter.shape[axis] not in (1, size):
            parameter = np.repeat(parameter, size // parameter.shape[axis], axis=axis)
    return parameter


def extremes(values: Array, grid: Sequence[int]) -> tuple[Array, Array]:
    """Return the lowest and the highest value of each block. Shapes: `grid`, both."""
    split = [part for size, blocks in zip(values.shape, grid, strict=True) for part in (blocks, size // blocks)]
    inside = tuple(range(1, len(split), 2))
    blocks = values.reshape(split)
    return blocks.min(axis=inside), blocks.max(axis=inside)


def block_size(shape: Sequence[int], grid: Sequence[int]) -> int:
    """Return how many elements share one parameter."""
    return int(np.prod([size // blocks for size, blocks in zip(shape, grid, strict=True)]))
