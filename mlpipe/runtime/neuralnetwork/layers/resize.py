"""Images in other sizes."""

from __future__ import annotations

from collections.abc import Callable
from math import floor
from typing import Any

import numpy as np

from mlpipe.runtime.lowered import UnsupportedLayerError
from mlpipe.runtime.neuralnetwork.layers.borders import pair
from mlpipe.runtime.neuralnetwork.network import Network
from mlpipe.runtime.neuralnetwork.registry import layer

Grid = Callable[[int, int], np.ndarray]
"""(size, new size) -> where each new pixel lies among the old ones."""


def _spaced(size: int, count: int, start: float, spacing: float) -> np.ndarray:
    return np.asarray(np.clip(start + np.arange(count) * spacing, 0, size - 1))


def _from_edges(size: int, count: int) -> np.ndarray:
    return _spaced(size, count, 0, (size - 1) / max(count - 1, 1))


UPSAMPLE_GRIDS: dict[int, Grid] = {
    0: lambda size, count: _spaced(size, count, 0, size / count),
    1: _from_edges,
    2: lambda size, count: _spaced(size, count, 0.5 * size / count - 0.5, size / count),
}
"""The specification's linear modes: default, corners aligned, corners not aligned. (X - X/N) / (N - 1) is X/N."""

RESIZE_GRIDS: dict[int, Grid] = {
    0: _from_edges,
    1: lambda size, count: _from_edges(size, count) if count > 1 else np.asarray([(size - 1) / 2]),
    2: UPSAMPLE_GRIDS[0],
    3: lambda size, count: _spaced(size, count, 0.5 * max(1, size - 1) / count, max(1, size - 1) / count),
}
"""The specification's sampling modes: strictly aligned endpoints, aligned endpoints, upsample, region of interest."""


@layer("upsample")
def upsample(net: Network, params: Any, x: str) -> str:
    """The image larger by a factor: each pixel repeated, or bilinear between pixels."""
    height, width = net.sizes(x, -2, -1)
    net.require_rank(x, at_least=3)
    if params.fractionalScalingFactor:
        if params.mode == 0 or params.linearUpsampleMode == 0 or params.scalingFactor:
            raise UnsupportedLayerError("a fractional factor in a mode that takes whole ones")
        target = [floor(size * factor) for size, factor in zip((height, width), params.fractionalScalingFactor, strict=True)]
    else:
        target = [size * factor for size, factor in zip((height, width), pair(params.scalingFactor, 1), strict=True)]
    if params.mode == 1:
        return bilinear(net, x, target, UPSAMPLE_GRIDS[params.linearUpsampleMode])
    for axis, size, new_size in ((-2, height, target[0]), (-1, width, target[1])):
        places = np.arange(new_size) // (new_size // size)
        x = net.graph.add("Gather", x, net.graph.constant(places.astype(np.int64)), axis=axis)
    return x


@layer("resizeBilinear")
def resize_bilinear(net: Network, params: Any, x: str) -> str:
    """The image in a given size, bilinear between pixels."""
    net.require_rank(x, at_least=3)
    return bilinear(net, x, pair(params.targetSize, 1), RESIZE_GRIDS[params.mode.samplingMethod])


def bilinear(net: Network, x: str, target: list[int], grid: Grid) -> str:
    """Return x interpolated along its last two axes."""
    for axis, size, new_size in zip((-2, -1), net.sizes(x, -2, -1), target, strict=True):
        x = _interpolate(net, x, axis, grid(size, new_size))
    return x


def _interpolate(net: Network, x: str, axis: int, places: np.ndarray) -> str:
    """Return x at fractional places along an axis, linear between neighbours."""
    graph = net.graph
    (size,) = net.sizes(x, axis)
    lower = np.floor(places).astype(np.int64)
    upper = np.minimum(lower + 1, size - 1)
    share = (places - lower).astype(np.float32)
    below = graph.add("Gather", x, graph.constant(lower), axis=axis)
    if not share.any():
        return below
    above = graph.add("Gather", x, graph.constant(upper), axis=axis)
    shape = (-1, 1) if axis == -2 else (-1,)
    parts = [graph.add("Mul", value, graph.constant(weight.reshape(shape))) for value, weight in ((below, 1 - share), (above, share))]
    return graph.add("Add", *parts)
