"""Rewrites of a graph that let ONNX Runtime fuse more: every number stays, but for the order in which a mean adds. Outputs are what they were."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from math import isclose, prod, sqrt

import numpy as np

from mlpipe.runtime.graph_walk import part_for, reads
from mlpipe.runtime.onnx_graph import Graph, Node
from mlpipe.runtime.precision import half_grid
from mlpipe.runtime.recurrence import add_recurrence

KEEPING_GRID = {"Abs", "Clip", "Concat", "DepthToSpace", "Expand", "Flatten", "Gather", "Identity", "Max", "MaxPool", "Min", "Neg", "Pad"} | {
    *("Relu", "Reshape", "Slice", "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze", "Where"),
}
"""Operations whose results hold only numbers of their inputs, their opposites, or zero."""

CLAMPS = ("Relu", "Clip")

POOLED = 1024
"""Pictures up to this many elements are averaged by a pooling."""

SMALL = 64
"""Constants up to this many elements are looked at."""


def simplified(graph: Graph) -> Graph:
    """Return a graph that computes the same with less work. Subgraphs stay as they are."""
    rewriting = _Rewriting(graph)
    for node in graph.nodes:
        rewriting.add(node)
    return part_for(rewriting.graph, graph.outputs)


class _Rewriting:
    """One walk over the nodes; what is no longer read is left to whoever takes the part that the outputs need."""

    def __init__(self, graph: Graph) -> None:
        self.graph = replace(graph, nodes=[], constants=dict(graph.constants), types=dict(graph.types))
        self._readers = Counter(name for node in graph.nodes for name in reads(node))
        self._readers.update(graph.outputs.values())
        # What a subgraph reads keeps its name.
        self._captured = {name for node in graph.nodes for name in set(reads(node)) - set(node.inputs)}
        self._shown = set(graph.outputs.values())
        self._makers: dict[str, Node] = {}
        self._renamed: dict[str, str] = {}
        self._on_grid: set[str] = set()

    def add(self, original: Node) -> None:
        """Add a node, or what takes its place."""
        node = replace(original, inputs=tuple(self._renamed.get(name, name) for name in original.inputs))
        if self._rounds_again(node):
            source = self._makers[node.inputs[0]].inputs[0]
            self._renamed[node.outputs[0]] = source
            # The cast to float16 goes too, unless another reads what it gives.
            self._readers[source] += self._readers[node.outputs[0]] - (self._readers[node.inputs[0]] == 1)
            return
        if node.op == "Loop" and add_recurrence(self.graph, node):
            return
        node = self._as_clip(node) or self._as_gelu(node) or self._as_pooling(node) or node
        if not self._transpose_after(node) and not self._round_after(node):
            self._keep(node)

    def _keep(self, node: Node) -> None:
        self.graph.nodes.append(node)
        self._makers.update(dict.fromkeys(node.outputs, node))
        if self._unrounded(node) is not None or self._keeps_grid(node):
            self._on_grid.update(node.outputs)

    def _rounds_again(self, node: Node) -> bool:
        """Return whether a node is the second half of rounding what is on the float16 grid already, and can go."""
        source = self._unrounded(node)
        return source is not None and self._is_on_grid(source) and not {*node.outputs} & (self._captured | self._shown)

    def _unrounded(self, node: Node | None) -> str | None:
        """Return what a node rounds to float16, where it is the cast back of such a pair."""
        there = self._makers.get(node.inputs[0]) if node is not None and casts_to(node, np.float32) else None
        return there.inputs[0] if there is not None and casts_to(there, np.float16) else None

    def _is_on_grid(self, name: str) -> bool:
        value = self.graph.value_of(name)
        if value is not None and value.size <= SMALL and value.dtype == np.float32:
            return bool(np.array_equal(half_grid(value), value))
        known = self.graph.type_of(name)
        return name in self._on_grid or (known is not None and known.dtype != np.float32)

    def _keeps_grid(self, node: Node) -> bool:
        keeps = (node.op in KEEPING_GRID and not node.domain) or self._negated(node) is not None
        return keeps and all(self._is_on_grid(name) for name in node.inputs if name)

    def _negated(self, node: Node | None) -> str | None:
        """Return what a node multiplies by -1."""
        if node is None or node.op != "Mul":
            return None
        for number, other in (node.inputs, node.inputs[::-1]):
            if self._scalar(number) == -1:
                return other
        return None

    def _scalar(self, name: str) -> float | None:
        value = self.graph.value_of(name)
        return float(value) if value is not None and value.shape == () and value.dtype == np.float32 else None

    def _as_clip(self, node: Node) -> Node | None:
        """Return the limit that -max(-x, c) is: NeuralNetworks have no other word for ReLU6."""
        limited = self._alone(self._negated(node))
        if limited is None or limited.op != "Max" or len(limited.inputs) != 2:
            return None
        for number, other in (limited.inputs, limited.inputs[::-1]):
            limit, source = self._scalar(number), self._negated(self._alone(other))
            if limit is not None and source is not None:
                # Without a lower limit, Clip would lift -inf to the lowest finite number.
                limits = (self.graph.constant(bound, np.float32) for bound in (-np.inf, -limit))
                return replace(node, op="Clip", inputs=(source, *limits))
        return None

    def _as_gelu(self, node: Node) -> Node | None:
        """Return the GELU that x / 2 * (1 + erf(x / sqrt(2))) is, also where Keras writes erfc(-z) for 1 + erf(z)."""
        for half, curve in (node.inputs, node.inputs[::-1]) if node.op == "Mul" else ():
            source, factor = self._scaled(half)
            total = self._alone(curve)
            if factor != 0.5 or total is None or total.op not in ("Add", "Sub"):
                continue
            one, other = total.inputs if total.op == "Sub" or self._scalar(total.inputs[0]) == 1 else total.inputs[::-1]
            erf = self._alone(other)
            if self._scalar(one) != 1 or erf is None or erf.op != "Erf":
                continue
            argument, inner = self._scaled(erf.inputs[0])
            if argument == source and isclose(inner if total.op == "Add" else -inner, sqrt(0.5), rel_tol=1e-6):
                return replace(node, op="Gelu", inputs=(source,))
        return None

    def _scaled(self, name: str) -> tuple[str, float]:
        """Return what a value is a multiple of, and the factor."""
        factor = 1.0
        while (node := self._alone(name)) is not None and node.op == "Mul":
            scales = [self._scalar(given) for given in node.inputs]
            if scales[0] is None and scales[1] is None:
                break
            factor, name = (factor * scales[0], node.inputs[1]) if scales[0] is not None else (factor * (scales[1] or 0.0), node.inputs[0])
        return name, factor

    def _alone(self, name: str | None) -> Node | None:
        """Return the node that makes a value, where exactly one other reads it."""
        return self._makers.get(name) if name is not None and self._readers[name] == 1 else None

    def _transpose_after(self, node: Node) -> bool:
        """Clamp before a transposition, which may then find an inverse, or a mean that does not care."""
        before = self._alone(node.inputs[0]) if node.op in CLAMPS else None
        if before is None or before.op != "Transpose":
            return False
        clamped = self._value_like("clamped", before.inputs[0])
        self._readers[clamped] = 1
        self.add(replace(node, inputs=(before.inputs[0], *node.inputs[1:]), outputs=(clamped,)))
        self._keep(replace(before, inputs=(clamped,), outputs=node.outputs))
        return True

    def _as_pooling(self, node: Node) -> Node | None:
        """Return the mean over height and width as the pooling that there is a kernel for in the layout of convolutions."""
        axes = self.graph.value_of(node.inputs[1]) if node.op == "ReduceMean" and len(node.inputs) == 2 else None
        if axes is None or node.attributes.get("keepdims", 1):
            return None
        before = self._alone(node.inputs[0])
        transposed = before is not None and before.op == "Transpose"
        source = before.inputs[0] if before is not None and transposed else node.inputs[0]
        known = self.graph.type_of(source)
        if known is None or known.shape is None or len(known.shape) != 4 or known.dtype != np.float32:
            return None
        order = before.attributes["perm"] if before is not None and transposed else (0, 1, 2, 3)
        reduced = {order[axis] for axis in axes.tolist()}
        kept = [axis for axis in order if axis not in reduced]
        sizes = [size for size in known.shape[2:] if isinstance(size, int)]
        # The pooling adds one number after the other: few enough for that to be as exact as a sum by halves.
        if kept != [0, 1] or len(sizes) != 2 or prod(sizes) > POOLED:
            return None
        pooled = self.graph.name("pooled")
        self.graph.set_type(pooled, np.float32, (*known.shape[:2], 1, 1))
        self._keep(replace(node, op="GlobalAveragePool", inputs=(source,), outputs=(pooled,), attributes={}))
        return replace(node, op="Flatten", inputs=(pooled,), attributes={})

    def _value_like(self, hint: str, like: str) -> str:
        name = self.graph.name(hint)
        known = self.graph.type_of(like)
        return name if known is None else self.graph.set_type(name, known.dtype, known.shape)

    def _round_after(self, node: Node) -> bool:
        """Round what a clamp gives, not what it takes: the same where its limits are on the grid, and the clamp can join the operation before it."""
        if node.op not in CLAMPS or not all(self._is_on_grid(name) and self.graph.value_of(name) is not None for name in node.inputs[1:] if name):
            return False
        back = self._alone(node.inputs[0])
        source = self._unrounded(back)
        if back is None or source is None or self._readers[back.inputs[0]] != 1:
            return False
        (output,) = node.outputs
        there = self._makers[back.inputs[0]]
        clamped, half = self._value_like("clamped", source), self._value_like("half", there.outputs[0])
        self._keep(replace(node, inputs=(source, *node.inputs[1:]), outputs=(clamped,)))
        self._keep(replace(there, inputs=(clamped,), outputs=(half,)))
        self._keep(replace(back, inputs=(half,), outputs=(output,)))
        self._readers.update((clamped, half))
        return True


def casts_to(node: Node, dtype: type[np.generic]) -> bool:
    """Return whether a node is a cast to this type."""
    from onnx import helper

    return node.op == "Cast" and node.attributes["to"] == helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
