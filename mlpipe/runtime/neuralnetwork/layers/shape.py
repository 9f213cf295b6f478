"""Layers that give a tensor another shape and leave its elements in order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mlpipe.runtime.lowered import UnsupportedLayerError
from mlpipe.runtime.neuralnetwork.network import Network, SizeOf
from mlpipe.runtime.neuralnetwork.registry import layer


@layer("flatten", keeps_grid=True)
def flatten(net: Network, params: Any, x: str) -> str:
    """Channels, rows and columns as one channel dimension, channels outermost or innermost."""
    rank = net.require_rank(x, at_least=3)
    lead = [SizeOf(x, axis) for axis in range(rank - 3)]
    return net.reshape(_channel_last(net, x) if params.mode else x, [*lead, -1, 1, 1])


def _channel_last(net: Network, x: str) -> str:
    rank = net.require_rank(x)
    return net.graph.add("Transpose", x, perm=[*range(rank - 3), rank - 2, rank - 1, rank - 3])


@layer("reshape", keeps_grid=True)
def reshape(net: Network, params: Any, x: str) -> str:
    """Another [C, H, W], or [Seq, C, H, W], in channel-first or channel-last order."""
    net.require_rank(x, 5)
    target = [int(size) for size in params.targetShape]
    if len(target) not in (3, 4) or min(target) <= 0:
        raise UnsupportedLayerError(f"the target shape {target}")
    lead: list[int | SizeOf] = [SizeOf(x, 0), SizeOf(x, 1)]
    if len(target) == 4:
        if net.graph.shape(x)[1] != 1:
            raise UnsupportedLayerError("a new sequence length for a batch of more than one")
        lead = [target[0], 1]
    channels, rows, columns = target[-3:]
    if not params.mode:
        return net.reshape(x, [*lead, channels, rows, columns])
    y = net.reshape(_channel_last(net, x), [*lead, rows, columns, channels])
    return net.graph.add("Transpose", y, perm=[0, 1, 4, 2, 3])


@layer("reshapeStatic", keeps_grid=True)
def reshape_static(net: Network, params: Any, x: str) -> str:
    """A given shape; -1 stands for what is left."""
    return _to(net, x, params.targetShape)


def _to(net: Network, x: str, target: Sequence[int]) -> str:
    shape = [int(size) for size in target]
    if not shape or 0 in shape or min(shape) < -1 or shape.count(-1) > 1:
        raise UnsupportedLayerError(f"the target shape {shape}")
    return net.reshape(x, shape)


@layer("reshapeDynamic", keeps_grid=True)
def reshape_dynamic(net: Network, _params: Any, x: str, shape: str) -> str:
    """The shape that the second input holds."""
    if net.graph.value_of(shape) is not None:
        return _to(net, x, net.known_integers(shape, "its target shape"))
    return net.with_rank(net.graph.add("Reshape", x, net.indices(shape)), shape)


@layer("reshapeLike", keeps_grid=True)
def reshape_like(net: Network, _params: Any, x: str, like: str) -> str:
    """The shape of the second input."""
    return net.reshape(x, [SizeOf(like, axis) for axis in range(net.require_rank(like))])


@layer("rankPreservingReshape", keeps_grid=True)
def rank_preserving_reshape(net: Network, params: Any, x: str) -> str:
    """A shape of the same rank; 0 keeps a dimension, -1 stands for what is left."""
    target = [int(size) for size in params.targetShape]
    if len(target) != net.require_rank(x) or target.count(-1) > 1 or min(target, default=0) < -1:
        raise UnsupportedLayerError(f"the target shape {target}")
    return net.reshape(x, [SizeOf(x, axis) if size == 0 else size for axis, size in enumerate(target)])


@layer("expandDims", keeps_grid=True)
def expand_dims(net: Network, params: Any, x: str) -> str:
    """New dimensions of 1, at axes of the result."""
    axes = [net.axis(x, axis, new=len(params.axes)) for axis in params.axes]
    if len(set(axes)) != len(axes):
        raise UnsupportedLayerError(f"the axes {list(params.axes)}")
    return net.graph.add("Unsqueeze", x, net.graph.int64(*axes))


@layer("squeeze", keeps_grid=True)
def squeeze(net: Network, params: Any, x: str) -> str:
    """Without the given dimensions of 1, or without any."""
    rank = net.require_rank(x)
    if params.squeezeAll:
        axes = [axis for axis, size in enumerate(net.sizes(x, *range(rank))) if size == 1]
    else:
        axes = [net.axis(x, axis) for axis in params.axes]
        if any(size != 1 for size in net.sizes(x, *axes)):
            raise UnsupportedLayerError("a dimension that is not 1")
    return net.reshape(x, [SizeOf(x, axis) for axis in range(rank) if axis not in axes])


@layer("flattenTo2D", keeps_grid=True)
def flatten_to_2d(net: Network, params: Any, x: str) -> str:
    """The dimensions before an axis as one, and the others as one."""
    rank = net.require_rank(x)
    if not -rank <= params.axis <= rank:
        raise UnsupportedLayerError(f"axis {params.axis} of a tensor of rank {rank}")
    return net.graph.add("Flatten", x, axis=params.axis + rank if params.axis < 0 else params.axis)


@layer("getShape", keeps_grid=True)
def get_shape(net: Network, _params: Any, x: str) -> str:
    """The shape as a vector."""
    static = net.graph.static_shape(x)
    if static is not None:
        return net.graph.constant(np.asarray(static, np.float32))
    net.require_rank(x)
    return net.number(net.graph.add("Shape", x))


@layer("broadcastToStatic", keeps_grid=True)
def broadcast_to_static(net: Network, params: Any, x: str) -> str:
    """The tensor repeated to a given shape."""
    return _broadcast(net, x, [int(size) for size in params.targetShape])


@layer("broadcastToLike", keeps_grid=True)
def broadcast_to_like(net: Network, _params: Any, x: str, like: str) -> str:
    """The tensor repeated to the shape of the second input."""
    return _broadcast(net, x, list(net.sizes(like, *range(net.require_rank(like)))))


@layer("broadcastToDynamic", keeps_grid=True)
def broadcast_to_dynamic(net: Network, _params: Any, x: str, shape: str) -> str:
    """The tensor repeated to the shape that the second input holds."""
    if net.graph.value_of(shape) is not None:
        return _broadcast(net, x, net.known_integers(shape, "its target shape"))
    rank = net.length(shape)
    return net.graph.set_type(net.graph.add("Expand", x, net.indices(shape)), np.float32, [None] * rank)


def _broadcast(net: Network, x: str, target: list[int]) -> str:
    rank = net.require_rank(x)
    own = net.sizes(x, *range(rank)) if rank else ()
    if rank > len(target) or any(size not in (1, wanted) for size, wanted in zip(reversed(own), reversed(target), strict=False)):
        raise UnsupportedLayerError(f"a tensor of shape {list(own)} does not broadcast to {target}")
    return net.graph.add("Expand", x, net.graph.int64(*target))
