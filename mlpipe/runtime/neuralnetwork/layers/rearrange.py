"""Layers that move elements: transpositions, joins, splits, repetitions, and blocks between space and channels."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlpipe.runtime.lowered import UnsupportedLayerError
from mlpipe.runtime.mlprogram.ops import slicing
from mlpipe.runtime.neuralnetwork.layers.shared import build_of, tensor
from mlpipe.runtime.neuralnetwork.network import Network
from mlpipe.runtime.neuralnetwork.registry import layer


@layer("permute", keeps_grid=True)
def permute(net: Network, params: Any, x: str) -> str:
    """[Seq, C, H, W] in another order; the batch stays where it is."""
    net.require_rank(x, 5)
    order = list(params.axis) or [0, 1, 2, 3]
    if sorted(order) != [0, 1, 2, 3]:
        raise UnsupportedLayerError(f"the order {order}")
    of_five = [0, 2, 3, 4]
    sequence, *image = (of_five[axis] for axis in order)
    return net.graph.add("Transpose", x, perm=[sequence, 1, *image])


@layer("transpose", keeps_grid=True)
def transpose(net: Network, params: Any, x: str) -> str:
    """All dimensions in another order; with an axis less, those behind a first one of 1, as coremltools writes it for an image that was an array."""
    axes, rank = list(params.axes), net.require_rank(x)
    first = int(len(axes) == rank - 1 == 3 and net.graph.shape(x)[0] == 1)
    perm = [*range(first), *(axis + first for axis in axes)]
    if sorted(perm) != list(range(rank)):
        raise UnsupportedLayerError(f"the axes {axes}")
    return net.graph.add("Transpose", x, perm=perm)


@layer("concat", keeps_grid=True)
def concat(net: Network, params: Any, *inputs: str) -> str:
    """Inputs one after the other, along the channels or along the sequence."""
    axis = -5 if params.sequenceConcat else -3
    return _concat(net, axis, inputs)


@layer("concatND", keeps_grid=True)
def concat_nd(net: Network, params: Any, *inputs: str) -> str:
    """Inputs one after the other along an axis, or element by element in turn."""
    if not params.interleave:
        return _concat(net, params.axis, inputs)
    axis = net.axis(inputs[0], params.axis)
    shape = list(net.sizes(inputs[0], *range(net.require_rank(inputs[0]))))
    if any(net.graph.static_shape(value) != tuple(shape) for value in inputs):
        raise UnsupportedLayerError("interleaved inputs of different shapes")
    stacked = _stack(net, axis + 1, inputs)
    return net.reshape(stacked, [size * len(inputs) if number == axis else size for number, size in enumerate(shape)])


def _concat(net: Network, axis: int, inputs: tuple[str, ...]) -> str:
    if len({net.require_rank(value, at_least=-axis) for value in inputs}) != 1:
        raise UnsupportedLayerError("inputs of different ranks")
    return net.graph.add("Concat", *inputs, axis=net.axis(inputs[0], axis))


@layer("stack", keeps_grid=True)
def stack(net: Network, params: Any, *inputs: str) -> str:
    """Inputs one after the other along a new axis."""
    return _stack(net, net.axis(inputs[0], params.axis, new=1), inputs)


def _stack(net: Network, axis: int, inputs: tuple[str, ...]) -> str:
    where = net.graph.int64(axis)
    return net.graph.add("Concat", *(net.graph.add("Unsqueeze", value, where) for value in inputs), axis=axis)


@layer("split", keeps_grid=True)
def split(net: Network, params: Any, x: str) -> list[str]:
    """Equal parts of the channels."""
    if not params.nOutputs or net.sizes(x, -3)[0] % params.nOutputs:
        raise UnsupportedLayerError(f"{net.sizes(x, -3)[0]} channels in {params.nOutputs} equal parts")
    return _split(net, x, -3, params.nOutputs, [])


@layer("splitND", keeps_grid=True)
def split_nd(net: Network, params: Any, x: str) -> list[str]:
    """Equal or given parts along an axis."""
    return _split(net, x, params.axis, params.numSplits, [int(size) for size in params.splitSizes])


def _split(net: Network, x: str, axis: int, count: int, sizes: list[int]) -> list[str]:
    along = net.axis(x, axis)
    (total,) = net.sizes(x, along)
    if not sizes and 0 < count <= total:
        # Where the parts cannot be equal, the first ones are larger by one.
        sizes = [total // count + (part < total % count) for part in range(count)]
    if sum(sizes) != total or 0 in sizes:
        raise UnsupportedLayerError(f"{total} elements along its axis cannot be split so")
    return net.graph.add_many("Split", len(sizes), x, net.graph.int64(*sizes), axis=along)


@layer("tile", keeps_grid=True)
def tile(net: Network, params: Any, x: str, counts: str | None = None) -> str:
    """The tensor repeated along its dimensions; fewer counts than dimensions belong to the last ones."""
    rank = net.require_rank(x)
    if counts is not None:
        missing = rank - net.length(counts)
        if missing < 0:
            raise UnsupportedLayerError(f"{net.length(counts)} repetitions of a tensor of rank {rank}")
        all_counts = net.graph.add("Concat", net.graph.int64(*[1] * missing), net.indices(counts), axis=0)
        return net.graph.set_type(net.graph.add("Tile", x, all_counts), np.float32, [None] * rank)
    if not 0 < len(params.reps) <= rank:
        raise UnsupportedLayerError(f"{len(params.reps)} repetitions of a tensor of rank {rank}")
    return net.graph.add("Tile", x, net.graph.int64(*[1] * (rank - len(params.reps)), *params.reps))


@layer("sequenceRepeat", keeps_grid=True)
def sequence_repeat(net: Network, params: Any, x: str) -> str:
    """A sequence of one, repeated."""
    rank = net.require_rank(x, at_least=5)
    if net.graph.shape(x)[-5] != 1:
        raise UnsupportedLayerError("a sequence of more than one: the specification does not say in which order it is repeated")
    counts = [params.nRepetitions or 1 if axis == rank - 5 else 1 for axis in range(rank)]
    return net.graph.add("Tile", x, net.graph.int64(*counts))


@layer("reverse", keeps_grid=True)
def reverse(net: Network, params: Any, x: str) -> str:
    """Some dimensions backwards."""
    if len(params.reverseDim) != net.require_rank(x):
        raise UnsupportedLayerError(f"{len(params.reverseDim)} flags for a tensor of rank {net.require_rank(x)}")
    axes = [axis for axis, backwards in enumerate(params.reverseDim) if backwards]
    if not axes:
        return net.graph.add("Identity", x)
    starts, ends, steps = ([number] * len(axes) for number in (-1, np.iinfo(np.int64).min, -1))
    return net.graph.add("Slice", x, net.graph.int64(*starts), net.graph.int64(*ends), net.graph.int64(*axes), net.graph.int64(*steps))


@layer("reverseSeq", keeps_grid=True)
def reverse_sequence(net: Network, params: Any, x: str, lengths: str) -> str:
    """The first elements of each sequence backwards, as many as its length says."""
    axes = net.axis(x, params.sequenceAxis), net.axis(x, params.batchAxis)
    return str(slicing.reverse_sequence(build_of(net), tensor(net, x), tensor(net, lengths), *axes))


@layer("reorganizeData", keeps_grid=True)
def reorganize_data(net: Network, params: Any, x: str) -> str:
    """Blocks of rows and columns as channels, or back, in either order of channels."""
    merged = net.merge_leading(x, 3)
    size = params.blockSize
    if params.mode == 0:
        if any(length % size for length in net.sizes(x, -2, -1)):
            raise UnsupportedLayerError(f"an image that blocks of {size} do not fill")
        return net.restore_leading(net.graph.add("SpaceToDepth", merged, blocksize=size), x, 3)
    mode = {1: "DCR", 2: "CRD"}[params.mode]
    return net.restore_leading(net.graph.add("DepthToSpace", merged, blocksize=size, mode=mode), x, 3)


@layer("slidingWindows", keeps_grid=True)
def sliding_windows(net: Network, params: Any, x: str) -> str:
    """All windows of a size along an axis, one every few steps, as a new dimension."""
    axis = net.axis(x, params.axis)
    (length,) = net.sizes(x, axis)
    count = (length - params.windowSize) // params.step + 1
    if count < 1:
        raise UnsupportedLayerError("a window longer than its axis")
    places = np.arange(count)[:, None] * params.step + np.arange(params.windowSize)
    return net.graph.add("Gather", x, net.graph.constant(places.astype(np.int64)), axis=axis)
