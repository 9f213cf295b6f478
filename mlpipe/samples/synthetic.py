"""Seeded random samples that are the same on every machine, for ever: they are made of SHAKE-256's bytes and exact arithmetic alone."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from mlpipe.errors import SampleUnreadable
from mlpipe.recipe.schema.compare import Synthetic
from mlpipe.samples.ports import Array, Port, as_type

_SUMMANDS = 12
"""Uniform numbers in one normal number: twelve have a variance of one."""


def synthetic_value(port: Port, settings: Synthetic, index: int) -> Array:
    """Return one input's value in sample number `index`; it depends on no other input, sample or count.

    uniform lies in low..high; normal has its mean halfway between low and high, which lie one standard deviation from it.
    Inputs of whole numbers get uniform integers from low to high, both included; images get every pixel value alike.
    Shapes: of one sample, without the batch axis; images height x width x channels in uint8.
    """
    label = f"mlpipe synthetic 1\0{settings.seed}\0{port.name}\0{index}"
    shape: tuple[int | None, ...] = port.default_shape
    if port.takes_pixels and port.image is not None:
        shape = (port.image.height, port.image.width, 1 if port.image.color == "grayscale" else 3)
    sizes = tuple(size for size in shape if size is not None)
    if len(sizes) != len(shape):
        raise SampleUnreadable(f"input {port.name!r} may vary in size, so synthetic samples have none", fix=f"give convert.inputs.{port.name} a default shape")
    count = int(np.prod(sizes, dtype=np.int64))
    if port.takes_pixels:
        return np.frombuffer(hashlib.shake_256(label.encode()).digest(count), np.uint8).reshape(sizes)
    if port.dtype.kind in "iub":
        return as_type(port, _integers(port, settings, label, count).reshape(sizes))
    return as_type(port, _floats(settings, label, count).reshape(sizes))


def _words(label: str, count: int) -> np.ndarray[Any, np.dtype[np.uint64]]:
    """Return `count` uniform 53-bit integers, which float64 holds exactly."""
    return np.frombuffer(hashlib.shake_256(label.encode()).digest(8 * count), "<u8").astype(np.uint64) >> np.uint64(11)


def _floats(settings: Synthetic, label: str, count: int) -> Array:
    middle, half = (settings.low + settings.high) / 2, (settings.high - settings.low) / 2
    if settings.distribution == "uniform":
        values: Array = settings.low + _words(label, count) * 2.0**-53 * (settings.high - settings.low)
        return values
    # The sum of twelve uniforms, minus six: logarithms and cosines differ between C libraries, integer sums do not.
    total = (_words(label, _SUMMANDS * count) >> np.uint64(5)).reshape(_SUMMANDS, count).sum(axis=0, dtype=np.uint64)
    drawn: Array = middle + (total * 2.0**-48 - _SUMMANDS / 2) * half
    return drawn


def _integers(port: Port, settings: Synthetic, label: str, count: int) -> Array:
    low, high = int(settings.low), int(settings.high)
    if settings.distribution != "uniform" or low != settings.low or high != settings.high or high < low:
        raise SampleUnreadable(f"input {port.name!r} takes {port.dtype.name}: synthetic samples for it are uniform between whole numbers low and high")
    return low + (_words(label, count) % np.uint64(high - low + 1)).astype(np.int64)
