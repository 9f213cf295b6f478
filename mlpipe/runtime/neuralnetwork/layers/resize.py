"""Images in other sizes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mlpipe.runtime.lowered import UnsupportedLayerError
from mlpipe.runtime.mlprogram.ops import image_resizing
from mlpipe.runtime.neuralnetwork.layers.borders import pair
from mlpipe.runtime.neuralnetwork.layers.shared import SAMPLING, build_of, tensor
from mlpipe.runtime.neuralnetwork.network import Network
from mlpipe.runtime.neuralnetwork.registry import layer

NEAREST = 0
DEFAULT, CORNERS_ALIGNED = 0, 1
"""Linear upsampling; the third mode does not align corners but lets half pixels lie at the edges."""

SMALL = 4
"""What stands for a size that varies."""


@layer("upsample")
def upsample(net: Network, params: Any, x: str) -> str:
    """The image larger by a factor: each pixel repeated, or bilinear between pixels."""
    net.require_rank(x, at_least=3)
    if params.fractionalScalingFactor:
        if params.mode == NEAREST or params.linearUpsampleMode == DEFAULT or params.scalingFactor:
            raise UnsupportedLayerError("a fractional factor in a mode that takes whole ones")
        height, width = params.fractionalScalingFactor
    else:
        height, width = pair(params.scalingFactor, 1)
    # Where sizes vary, the factors must at least be bearable for a small picture.
    shape = [size if isinstance(size, int) else SMALL for size in net.graph.shape(x)]
    net.graph.check_size([*shape, *(math.ceil(factor) for factor in (height, width))], np.float32)
    build, image = build_of(net), tensor(net, x)
    if params.mode == NEAREST:
        return str(image_resizing.upsample_nearest_neighbor(build, image, height, width))
    if params.linearUpsampleMode == DEFAULT:
        return str(image_resizing.upsample_bilinear(build, image, height, width, align_corners=False, half_pixel_centers=False))
    return str(image_resizing.upsample_bilinear(build, image, height, width, align_corners=params.linearUpsampleMode == CORNERS_ALIGNED))


@layer("resizeBilinear")
def resize_bilinear(net: Network, params: Any, x: str) -> str:
    """The image in a given size, bilinear between pixels."""
    net.require_rank(x, at_least=3)
    mode = SAMPLING[params.mode.Method.Name(params.mode.samplingMethod)]
    return str(image_resizing.resize_bilinear(build_of(net), tensor(net, x), *pair(params.targetSize, 1), mode))
