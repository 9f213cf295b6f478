"""Linear quantization: a value becomes the nearest of 2**bits evenly spaced levels of its block."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from mlpipe.weights.blocks import block_size, extremes, spread

Array = NDArray[Any]


@dataclass(frozen=True)
class Linear:
    """Levels and what turns them back into values: `level * scale + bias` (NeuralNetwork) or `(level - zero_point) * scale` (ML Program)."""

    levels: Array
    """uint8 or, symmetric in an ML Program, int8; the weight's shape."""
    bits: int
    scale: Array
    """Shape: the grid of blocks. Never zero, so that a block of equal values survives too."""
    bias: Array | None = None
    zero_point: Array | None = None


def encode_with_bias(values: Array, bits: int, grid: Sequence[int], *, symmetric: bool) -> Linear:
    """Return the encoding of NeuralNetworks: unsigned levels with a float32 scale and bias per block.

    Symmetric levels lie at whole multiples of the scale, so that zero stays zero.
    Errors: ValueError for symmetric at 1 bit, which would have the levels zero and minus the maximum.
    """
    low, high = (extreme.astype(np.float64) for extreme in extremes(values, grid))
    if symmetric:
        half = _symmetric_levels(bits)
        scale = not_below(np.maximum(-low, high) / half, np.float32)
        bias = -(half + 1) * scale
    else:
        scale = not_below((high - low) / (2**bits - 1), np.float32)
        bias = low.astype(np.float32)
    steps = (values - spread(bias.astype(np.float64), values.shape)) / spread(scale.astype(np.float64), values.shape)
    levels = np.clip(np.rint(steps), 0, 2**bits - 1).astype(np.uint8)
    return Linear(levels, bits, scale, bias=bias)


def encode_with_zero_point(values: Array, bits: int, grid: Sequence[int], *, symmetric: bool, storage: DTypeLike) -> Linear:
    """Return the encoding of ML Programs: levels with a scale of the type `storage` and, where not symmetric, an integer zero point per block.

    The range of an asymmetric block is widened to hold zero, so that the zero point is one of its levels.
    """
    low, high = (extreme.astype(np.float64) for extreme in extremes(values, grid))
    if symmetric:
        half = _symmetric_levels(bits)
        scale = not_below(np.maximum(-low, high) / half, storage)
        steps = values / spread(scale.astype(np.float64), values.shape)
        return Linear(np.clip(np.rint(steps), -half, half).astype(np.int8), bits, scale)
    low, high = np.minimum(low, 0), np.maximum(high, 0)
    scale = not_below((high - low) / (2**bits - 1), storage)
    zero_point = np.clip(np.rint(-low / scale.astype(np.float64)), 0, 2**bits - 1)
    steps = np.rint(values / spread(scale.astype(np.float64), values.shape)) + spread(zero_point, values.shape)
    return Linear(np.clip(steps, 0, 2**bits - 1).astype(np.uint8), bits, scale, zero_point=zero_point.astype(np.uint8))


def noise_bound(values: Array, bits: int, grid: Sequence[int], *, symmetric: bool, holds_zero: bool) -> float:
    """Return the largest sum of squared errors that correct rounding can make, from the values alone.

    Within a block whose range is r, levels lie r / (2**bits - 1) apart (symmetric: max|w| / (2**(bits - 1) - 1)), and no value is further than
    half of that from its level. `holds_zero` says that an asymmetric range is widened to hold zero.
    """
    low, high = (extreme.astype(np.float64) for extreme in extremes(values, grid))
    if symmetric:
        step = np.maximum(-low, high) / _symmetric_levels(bits)
    else:
        step = ((np.maximum(high, 0) - np.minimum(low, 0)) if holds_zero else high - low) / (2**bits - 1)
    return float(np.sum((step / 2) ** 2) * block_size(values.shape, grid))


def not_below(exact: Array, storage: DTypeLike) -> Array:
    """Return the smallest numbers of the type `storage` that are not below the exact scales; 1 for a scale of zero.

    Rounding to nearest would make a scale below half the smallest float16 zero, and with it every weight of its block; a scale that is a
    little too small would clip the largest weights.
    """
    rounded = exact.astype(storage)
    rounded = np.where(rounded < exact, np.nextafter(rounded, np.array(np.inf, rounded.dtype)), rounded)
    return np.where(exact == 0, np.array(1, rounded.dtype), rounded)


def _symmetric_levels(bits: int) -> int:
    if bits < 2:
        raise ValueError("symmetric levels need 2 bits or more")
    return int(2 ** (bits - 1) - 1)
