"""What object detectors are made of: boxes cut out of images, and boxes that suppress each other."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlpipe.runtime.lowered import UnsupportedLayerError
from mlpipe.runtime.mlprogram.ops import cropping, detection
from mlpipe.runtime.mlprogram.values import Tensor
from mlpipe.runtime.neuralnetwork.layers.borders import pair
from mlpipe.runtime.neuralnetwork.layers.shared import SAMPLING, build_of, tensor
from mlpipe.runtime.neuralnetwork.network import Network, SizeOf
from mlpipe.runtime.neuralnetwork.registry import layer


@layer("cropResize")
def crop_resize(net: Network, params: Any, x: str, boxes: str) -> str:
    """Every box of every image, or of the image whose index stands before the box.

    Shapes: x [1, images, channels, height, width], boxes [boxes, 1, 4 or 5, 1, 1]; the result [boxes, images or 1, channels, height, width].
    """
    for value in (x, boxes):
        net.require_rank(value, 5)
    if net.graph.shape(x)[0] != 1:
        raise UnsupportedLayerError("images with a first dimension that is not 1")
    height, width = pair(params.targetSize, 1)
    method = params.mode.Method.Name(params.mode.samplingMethod)
    result = cropping.crop_resize(
        build_of(net),
        tensor(net, net.reshape(x, [SizeOf(x, axis) for axis in range(1, 5)])),
        tensor(net, boxes),
        height,
        width,
        params.normalizedCoordinates,
        params.spatialScale or 1.0,
        params.boxIndicesMode.Coordinates.Name(params.boxIndicesMode.boxMode),
        SAMPLING[method],
    )
    return str(result)


@layer("NonMaximumSuppression", keeps_grid=True)
def non_maximum_suppression(
    net: Network, params: Any, boxes: str, scores: str, overlap: str | None = None, least: str | None = None, most: str | None = None
) -> list[str]:
    """The boxes that are kept, their scores, their indices, and how many they are; inputs stand in for the thresholds of the layer."""
    net.graph.check_size([params.maxBoxes, 4], np.float32)
    limits = detection.Limits(
        _limit(net, overlap, params.iouThreshold),
        _limit(net, least, params.scoreThreshold),
        params.maxBoxes if most is None else _count(_limit(net, most, 0)),
        params.perClassSuppression,
    )
    results = detection.suppressed(build_of(net), boxes, scores, limits)
    return [net.number(result) for result in results]


def _limit(net: Network, value: str | None, default: float) -> float | Tensor:
    """Return a limit of the layer: its own number, or that of an input, known or not."""
    if value is None:
        return default
    constant = net.graph.value_of(value)
    if constant is None:
        return tensor(net, value)
    if constant.size != 1:
        raise UnsupportedLayerError("a threshold that is no single number")
    return float(constant.reshape(-1)[0])


def _count(limit: float | Tensor) -> int | Tensor:
    return int(limit) if isinstance(limit, float) else limit
