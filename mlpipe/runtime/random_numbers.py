"""Random numbers that are the same at every prediction, on every machine and in every version of ONNX Runtime.

Each number is a hash of its place in the tensor, of a key, and of the rounds of the loops around it. Nothing is remembered between
predictions: a model that draws numbers gives the same result for the same inputs, whichever predictions were made before, and two
precisions of it draw the same.
"""

from __future__ import annotations

import hashlib
import math

import numpy as np

from mlpipe.runtime.onnx_graph import Graph, ValueType

STEP = 0x9E3779B9
FACTORS = ((16, 0x85EBCA6B), (13, 0xC2B2AE35))
"""Shifts and factors of MurmurHash3's 32-bit finalizer (Austin Appleby, public domain), which ends with one more shift by 16."""

COUNTED = [ValueType(np.dtype(np.int64), ()), ValueType(np.dtype(np.bool_), ())]
"""The types of the first two inputs of a Loop's body: the number of the round, and the condition."""


def uniform(graph: Graph, shape: str, key: str) -> str:
    """Return float32 numbers in [0, 1), multiples of 2^-24; `shape` is the value that holds their shape as int64."""
    first, second = np.frombuffer(hashlib.sha256(key.encode()).digest()[:8], "<u4")
    count = graph.add("ReduceProd", shape, keepdims=0)
    places = graph.cast(graph.add("Range", graph.constant(0, np.int64), count, graph.constant(1, np.int64)), np.uint32)
    spread = graph.add("Add", graph.add("Mul", places, _word(graph, STEP)), _word(graph, int(first)))
    mixed = _mix(graph, graph.add("BitwiseXor", _mix(graph, spread), _word(graph, int(second))))
    for round_number in _rounds(graph):
        turned = graph.add("Mul", graph.add("Add", graph.cast(round_number, np.uint32), _word(graph, 1)), _word(graph, STEP))
        mixed = _mix(graph, graph.add("BitwiseXor", mixed, turned))
    numbers = graph.cast(_shifted(graph, mixed, 8), np.float32)
    return graph.add("Reshape", graph.add("Mul", numbers, graph.constant(2.0**-24, np.float32)), shape)


def normal(graph: Graph, shape: str, key: str) -> str:
    """Return float32 numbers of the normal distribution with mean 0 and standard deviation 1, by the Box-Muller transform."""
    one = graph.constant(1, np.float32)
    distance, angle = uniform(graph, shape, f"{key}, distance"), uniform(graph, shape, f"{key}, angle")
    radius = graph.add("Sqrt", graph.add("Mul", graph.add("Log", graph.add("Sub", one, distance)), graph.constant(-2, np.float32)))
    return graph.add("Mul", radius, graph.add("Cos", graph.add("Mul", angle, graph.constant(2 * math.pi, np.float32))))


def categorical(graph: Graph, probabilities: str, size: int, key: str) -> str:
    """Return `size` int64 indices for each row of probabilities (the last dimension), drawn with replacement; rows need not sum to 1."""
    last = graph.constant(-1, np.int64)
    levels = graph.add("CumSum", graph.cast(probabilities, np.float64), last)
    shape = graph.add("Concat", graph.add("Shape", probabilities, start=0, end=-1), graph.int64(size), axis=0)
    whole = graph.add("Gather", levels, graph.int64(-1), axis=-1)
    drawn = graph.add("Mul", graph.cast(uniform(graph, shape, key), np.float64), whole)
    passed = graph.add("LessOrEqual", graph.add("Unsqueeze", levels, graph.int64(-2)), graph.add("Unsqueeze", drawn, graph.int64(-1)))
    return graph.add("ReduceSum", graph.cast(passed, np.int64), graph.int64(-1), keepdims=0)


def _rounds(graph: Graph) -> list[str]:
    """Return the numbers of the rounds of all loops around."""
    rounds = []
    inside: Graph | None = graph
    while inside is not None and inside.parent is not None:
        if [inside.types[name] for name in inside.inputs[:2]] == COUNTED:
            rounds.append(inside.inputs[0])
        inside = inside.parent
    return rounds


def _mix(graph: Graph, words: str) -> str:
    for shift, factor in FACTORS:
        words = graph.add("Mul", graph.add("BitwiseXor", words, _shifted(graph, words, shift)), _word(graph, factor))
    return graph.add("BitwiseXor", words, _shifted(graph, words, 16))


def _shifted(graph: Graph, words: str, bits: int) -> str:
    return graph.add("BitShift", words, _word(graph, bits), direction="RIGHT")


def _word(graph: Graph, value: int) -> str:
    return graph.constant(value, np.uint32)
