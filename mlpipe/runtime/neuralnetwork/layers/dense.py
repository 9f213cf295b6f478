"""Matrix products and look-ups in a matrix."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from mlpipe.runtime.lowered import UnsupportedLayerError
from mlpipe.runtime.neuralnetwork.network import Network, SizeOf
from mlpipe.runtime.neuralnetwork.registry import layer


@layer("innerProduct")
def inner_product(net: Network, params: Any, x: str) -> str:
    """Product with a matrix [outputs, inputs]: over the last dimension up to rank 3, over the last three merged above that."""
    rank = net.require_rank(x, 1, 2, 3, 4, 5)
    folded = 3 if rank >= 4 else 1
    if prod(net.sizes(x, *range(-folded, 0))) != params.inputChannels:
        raise UnsupportedLayerError("its input has another number of channels than the layer states")
    rows = _as_int8(net, params, net.reshape(x, [-1, params.inputChannels]))
    y = _affine(net, rows, net.weight(params.weights, [params.outputChannels, params.inputChannels]), params, params.outputChannels)
    lead = [SizeOf(x, axis) for axis in range(rank - folded)]
    return net.reshape(y, [*lead, params.outputChannels, *[1] * (folded - 1)])


def _affine(net: Network, rows: str, matrix: str, params: Any, outputs: int) -> str:
    """Return rows @ matrix.T + bias."""
    bias = [net.weight(params.bias, [outputs])] if params.hasBias else []
    return net.graph.add("Gemm", rows, matrix, *bias, transB=1)


def _as_int8(net: Network, params: Any, rows: str) -> str:
    """Return the input as the layer multiplies it: on a grid of 255 steps, symmetric around 0, over all of it, where it says `int8DynamicQuantize`.

    The specification does not say how the grid is chosen; this is the common way, and what its own documentation of weights does.
    """
    if not params.int8DynamicQuantize:
        return rows
    graph = net.graph
    largest = graph.add("ReduceMax", graph.add("Abs", rows), keepdims=0)
    step = graph.add("Max", graph.add("Div", largest, net.scalar(127)), net.scalar(float(np.finfo(np.float32).tiny)))
    return graph.add("Mul", graph.add("Round", graph.add("Div", rows, step)), step)


@layer("batchedMatmul")
def batched_matmul(net: Network, params: Any, a: str, b: str | None = None) -> str:
    """Matrix product of the last two dimensions, numpy's broadcasting before them; or with a matrix [inputs, outputs] of weights."""
    if b is None:
        rank = net.require_rank(a, at_least=1)
        inputs, outputs = params.weightMatrixFirstDimension, params.weightMatrixSecondDimension
        rows = _as_int8(net, params, net.reshape(a, [-1, inputs]))
        # The matrix is stored column by column, which is its transpose row by row.
        y = _affine(net, rows, net.weight(params.weights, [outputs, inputs]), params, outputs)
        return net.reshape(y, [*(SizeOf(a, axis) for axis in range(rank - 1)), outputs])
    left = _matrix(net, a, params.transposeA, new_axis=0)
    right = _matrix(net, b, params.transposeB, new_axis=1)
    return net.graph.add("MatMul", left, right)


def _matrix(net: Network, value: str, transpose: bool, new_axis: int) -> str:
    rank = net.require_rank(value, at_least=1)
    if rank == 1:
        if transpose:
            raise UnsupportedLayerError("a vector that is to be transposed")
        return net.graph.add("Unsqueeze", value, net.graph.int64(new_axis))
    return net.graph.add("Transpose", value, perm=[*range(rank - 2), rank - 1, rank - 2]) if transpose else value


@layer("embedding")
def embedding(net: Network, params: Any, x: str) -> str:
    """Columns of a matrix [outputs, inputs], for an input whose last three dimensions are 1."""
    rank = net.require_rank(x, 4, 5)
    if net.sizes(x, -3, -2, -1) != (1, 1, 1):
        raise UnsupportedLayerError("an input whose last three dimensions are not 1")
    rows = _rows(net, params, net.reshape(x, [-1]), params.inputDim, params.outputChannels)
    return net.reshape(rows, [*(SizeOf(x, axis) for axis in range(rank - 3)), params.outputChannels, 1, 1])


@layer("embeddingND")
def embedding_nd(net: Network, params: Any, x: str) -> str:
    """Columns of a matrix [size, vocabulary], for an input whose last dimension is 1."""
    rank = net.require_rank(x, at_least=2)
    if net.sizes(x, -1) != (1,):
        raise UnsupportedLayerError("an input whose last dimension is not 1")
    rows = _rows(net, params, net.reshape(x, [-1]), params.vocabSize, params.embeddingSize)
    return net.reshape(rows, [*(SizeOf(x, axis) for axis in range(rank - 1)), params.embeddingSize])


def _rows(net: Network, params: Any, indices: str, vocabulary: int, size: int) -> str:
    table = net.graph.constant(np.ascontiguousarray(net.array(params.weights, [size, vocabulary]).T), hint="weight")
    rows = net.graph.add("Gather", table, net.indices(indices), axis=0)
    return net.graph.add("Add", rows, net.weight(params.bias, [size])) if params.hasBias else rows
