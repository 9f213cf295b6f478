"""How each operation of a model is executed: by one kernel, by several, before the graph runs, or by random numbers of another generator.

The rule is read off the graph itself, not off a list that could grow stale: every node says which operation it was made for. An operation is direct
where at most one of its nodes computes. What moves, reshapes, selects or casts values changes none, and is not counted; nor is what computes sizes.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from mlpipe.runtime.lowered import Lowered
from mlpipe.runtime.onnx_graph import Graph, Layer, Node

MOVING = {
    *("Compress", "Concat", "DepthToSpace", "Expand", "Flatten", "Gather", "GatherElements", "GatherND", "Identity", "Pad", "Reshape"),
    *("ReverseSequence", "ScatterElements", "ScatterND", "Slice", "SpaceToDepth", "Split", "Squeeze", "Tile", "Transpose", "Trilu", "Unsqueeze"),
    *("Cast", "Constant", "ConstantOfShape", "Shape", "Size", "Where"),
    *("ConcatFromSequence", "SequenceAt", "SequenceConstruct", "SequenceEmpty", "SequenceInsert", "SequenceLength"),
}
"""ONNX operations whose results are values of their inputs, or zeros; nothing is rounded in them."""

CONTROL_FLOW = {"If", "Loop", "Scan"}


class How(StrEnum):
    """How an operation is executed."""

    DIRECT = "direct"
    """One kernel computes what the operation is documented to compute."""
    COMPOSED = "composed"
    """Several kernels do, one after the other: roundings inside may differ from those of one kernel."""
    LOOP = "loop"
    """A branch or a loop of the graph, or an operation that is executed step by step in one."""
    HOST = "host"
    """It is evaluated when the model is loaded (compressed weights), or on what the graph gives (a classifier's label)."""
    RANDOM = "random"
    """It draws random numbers: their distribution agrees, the numbers do not."""


@dataclass(frozen=True, order=True)
class Emulated:
    """Operations of one type that are not executed by one kernel of the same meaning."""

    type: str
    how: How
    count: int
    """How many of the model's operations of this type."""
    nodes: tuple[str, ...]
    """The ONNX operations that compute one of them, where the graph does."""

    def __str__(self) -> str:
        """Return one line."""
        of = f" of {', '.join(self.nodes)}" if self.nodes else ""
        return f"{self.type} x{self.count}: {self.how}{of}"


def emulated(lowered: Lowered, layers: Iterable[Layer]) -> list[Emulated]:
    """Return what of a model's layers is not direct, by type; for each way the composition that has the most nodes."""
    made: dict[Layer, list[str]] = defaultdict(list)
    for graph, node in walk(lowered.graph):
        if node.layer is not None and computes(graph, node):
            made[node.layer].append(node.op)
    count: Counter[tuple[str, How]] = Counter()
    longest: dict[tuple[str, How], tuple[str, ...]] = {}
    for layer in layers:
        nodes = tuple(made.get(layer, ()))
        how = how_executed(layer.type, nodes)
        if how is not How.DIRECT:
            count[layer.type, how] += 1
            longest[layer.type, how] = max(longest.get((layer.type, how), ()), nodes, key=len)
    return sorted(Emulated(kind, how, number, longest[kind, how]) for (kind, how), number in count.items())


def how_executed(operation: str, nodes: Iterable[str]) -> How:
    """Return how an operation is executed whose computing nodes are these."""
    ops = list(nodes)
    if operation == "classify" or operation.startswith("constexpr_"):
        return How.HOST
    if operation.startswith("random"):
        return How.RANDOM
    if not CONTROL_FLOW.isdisjoint(ops):
        return How.LOOP
    return How.COMPOSED if len(ops) > 1 else How.DIRECT


def computes(graph: Graph, node: Node) -> bool:
    """Return whether a node makes new values of the model: sizes and places are whole numbers of 64 bits, which no model has."""
    if node.op in MOVING and not node.domain:
        return False
    known = [graph.type_of(name) for name in node.outputs]
    return not known or any(kind is None or kind.dtype != np.int64 for kind in known)


def walk(graph: Graph) -> Iterator[tuple[Graph, Node]]:
    """Yield every node of a graph and of the graphs inside it, each with the graph that it stands in."""
    for node in graph.nodes:
        yield graph, node
        for attribute in node.attributes.values():
            if isinstance(attribute, Graph):
                yield from walk(attribute)
