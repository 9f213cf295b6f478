"""Operations that move elements between depth, space and batch."""

from __future__ import annotations

import numpy as np

from mlpipe.runtime.mlprogram.op import Build, op
from mlpipe.runtime.mlprogram.ops.sizes import scaled, size_of, vector
from mlpipe.runtime.mlprogram.values import Tensor


@op("depth_to_space", keeps_grid=True)
def depth_to_space(build: Build, x: Tensor, block_size: int) -> str:
    """Return channels spread over blocks of pixels, as TensorFlow's depth_to_space: the block's position is the slower part of the channel."""
    return build.add("DepthToSpace", x, blocksize=block_size, mode="DCR")


@op("space_to_depth", keeps_grid=True)
def space_to_depth(build: Build, x: Tensor, block_size: int) -> str:
    """Return blocks of pixels gathered into channels, the reverse of depth_to_space."""
    return build.add("SpaceToDepth", x, blocksize=block_size)


@op("pixel_shuffle", keeps_grid=True)
def pixel_shuffle(build: Build, x: Tensor, upscale_factor: int) -> str:
    """Return channels spread over blocks of pixels, as PyTorch's PixelShuffle: the block's position is the faster part of the channel."""
    return build.add("DepthToSpace", x, blocksize=upscale_factor, mode="CRD")


@op("pixel_unshuffle", since="iOS16", keeps_grid=True)
def pixel_unshuffle(build: Build, x: Tensor, downscale_factor: int) -> str:
    """Return blocks of pixels gathered into channels, the reverse of pixel_shuffle."""
    factor = downscale_factor
    channels = size_of(build, x, 1)
    height, width = (scaled(build, size_of(build, x, axis), over=factor) for axis in (2, 3))
    blocks = build.add("Reshape", x, vector(build, -1, channels, height, factor, width, factor))
    moved = build.add("Transpose", blocks, perm=[0, 1, 3, 5, 2, 4])
    return build.add("Reshape", moved, vector(build, -1, scaled(build, channels, times=factor * factor), height, width))


@op("space_to_batch", keeps_grid=True)
def space_to_batch(build: Build, x: Tensor, block_shape: tuple[int, ...], paddings: np.ndarray) -> str:
    """Return blocks of pixels gathered into the batch, the position in the block its slower part."""
    (top, bottom), (left, right) = paddings.reshape(2, 2).tolist()
    block_height, block_width = block_shape
    channels = size_of(build, x, 1)
    height = scaled(build, size_of(build, x, 2), plus=top + bottom, over=block_height)
    width = scaled(build, size_of(build, x, 3), plus=left + right, over=block_width)
    padded = build.add("Pad", x, build.int64(0, 0, top, left, 0, 0, bottom, right))
    blocks = build.add("Reshape", padded, vector(build, -1, channels, height, block_height, width, block_width))
    moved = build.add("Transpose", blocks, perm=[3, 5, 0, 1, 2, 4])
    return build.add("Reshape", moved, vector(build, -1, channels, height, width))


@op("batch_to_space", keeps_grid=True)
def batch_to_space(build: Build, x: Tensor, block_shape: tuple[int, ...], crops: np.ndarray) -> str:
    """Return the batch spread over blocks of pixels and cropped, the reverse of space_to_batch."""
    (top, bottom), (left, right) = crops.reshape(2, 2).tolist()
    block_height, block_width = block_shape
    channels, height, width = (size_of(build, x, axis) for axis in (1, 2, 3))
    blocks = build.add("Reshape", x, vector(build, block_height, block_width, -1, channels, height, width))
    moved = build.add("Transpose", blocks, perm=[2, 3, 4, 0, 5, 1])
    full_height, full_width = scaled(build, height, times=block_height), scaled(build, width, times=block_width)
    spread = build.add("Reshape", moved, vector(build, -1, channels, full_height, full_width))
    ends = vector(build, scaled(build, full_height, plus=-bottom), scaled(build, full_width, plus=-right))
    return build.add("Slice", spread, build.int64(top, left), ends, build.int64(2, 3))
