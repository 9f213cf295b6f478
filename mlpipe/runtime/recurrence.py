"""Loops that are LSTMs, as one operation: TensorFlow's recurrent layers come as loops, and ONNX Runtime has a kernel for them.

A loop is taken for one only where every value that it carries is known: counters, the hidden and the cell state, and lists that receive the hidden
state. What is rounded to float16 inside is none: the kernel would not round.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mlpipe.runtime.onnx_graph import Dim, Graph, Node
from mlpipe.runtime.rounds import LARGEST_ROUNDS

GATES = "iofc"
"""ONNX's order: input, output, forget, cell."""


class NotRecurrentError(Exception):
    """The loop is something else."""


@dataclass(frozen=True)
class _Cell:
    """What the body of an LSTM computes, in terms of what it carries."""

    hidden: str
    cell: str
    sequence: str
    """The value of the enclosing graph whose elements are the steps."""
    weights: dict[str, np.ndarray]
    """`input` [features, 4 hidden], `recurrent` [hidden, 4 hidden], `bias` [4 hidden], their gates in ONNX's order."""


def add_recurrence(graph: Graph, loop: Node) -> bool:
    """Add to a graph what computes the results of a loop at once; return whether the loop is such a one, and can go."""
    try:
        body = _Body(loop)
        rounds = body.rounds()
        cell = body.cell()
        results = _Results(graph, body, cell, rounds)
        written = {name: body.written(cell, name) for name in body.carried if name not in (cell.hidden, cell.cell, *body.counters)}
    except NotRecurrentError:
        return False
    for name, output in zip(body.carried, loop.outputs, strict=True):
        graph.nodes.append(Node("Identity", (results.of(name, written),), (output,), {}, layer=loop.layer))
    return True


class _Body:
    """The body of a loop, read from its results backwards."""

    def __init__(self, loop: Node) -> None:
        self.graph: Graph = loop.attributes["body"]
        self.iteration, _, *self.carried = self.graph.inputs
        self.first = dict(zip(self.carried, loop.inputs[2:], strict=True))
        self.again, *following = self.graph.outputs.values()
        if loop.inputs[0] or len(following) != len(self.carried):
            raise NotRecurrentError
        self.next = dict(zip(self.carried, following, strict=True))
        self._makers: dict[str, Node] = {output: node for node in self.graph.nodes for output in node.outputs}
        self.counters = [name for name in self.carried if self._counts(name)]

    def node(self, name: str, op: str) -> Node:
        """Return the node that makes a value, which must be such a one."""
        node = self._makers.get(name)
        if node is None or node.op != op or node.domain:
            raise NotRecurrentError
        return node

    def _is(self, name: str, op: str) -> bool:
        return name in self._makers and self._makers[name].op == op

    def number(self, name: str) -> Any:
        """Return a constant of one element."""
        value = self.graph.value_of(name)
        if value is None or value.size != 1:
            raise NotRecurrentError
        return value.reshape(()).item()

    def _counts(self, name: str) -> bool:
        """Return whether a value starts at 0 and grows by 1."""
        try:
            given = self.node(self.next[name], "Add").inputs
            others = [other for other in given if other != name]
            return len(others) == 1 and self.number(others[0]) == 1 and self.number(self.first[name]) == 0
        except NotRecurrentError:
            return False

    def rounds(self) -> int:
        """Return how often the loop goes round: until the first of its counters reaches its limit."""
        limits, pending = [], [self.again]
        counted = {self.next[name] for name in self.counters}
        while pending:
            name = pending.pop()
            if self._is(name, "And"):
                pending += self.node(name, "And").inputs
            elif self._is(name, "Gather"):  # the limit that every loop has
                if self.node(name, "Gather").inputs[1] != self.iteration:
                    raise NotRecurrentError
                limits.append(LARGEST_ROUNDS + 1)
            else:
                value, limit = self.node(name, "Less").inputs
                if value not in counted:
                    raise NotRecurrentError
                limits.append(int(self.number(limit)))
        if not limits or not 1 <= min(limits) <= LARGEST_ROUNDS:
            raise NotRecurrentError
        return min(limits)

    def cell(self) -> _Cell:
        """Return the LSTM, from its two states: h' = o tanh(c'), c' = f c + i g."""
        for hidden in self.carried:
            for cell in (name for name in self.carried if name not in self.counters):
                if hidden != cell and self._is(self.next[hidden], "Mul") and self._is(self.next[cell], "Add"):
                    return self._cell(hidden, cell)
        raise NotRecurrentError

    def _cell(self, hidden: str, cell: str) -> _Cell:
        gates: dict[str, str] = {}
        squashed, gates["o"] = self._factors(self.next[hidden], "Tanh")
        if squashed != self.next[cell]:
            raise NotRecurrentError
        terms = [self.node(term, "Mul") for term in self.node(self.next[cell], "Add").inputs]
        kept = [term for term in terms if cell in term.inputs]
        new = [term for term in terms if cell not in term.inputs]
        if len(kept) != 1 or len(new) != 1:
            raise NotRecurrentError
        (forget,) = [name for name in kept[0].inputs if name != cell] or [cell]
        gates["f"] = self._sigmoid(forget)
        gates["c"], gates["i"] = self._factors(new[0].outputs[0], "Tanh")
        split = self.node(gates["i"], "Split")
        if split.attributes.get("axis") not in (1, -1) or len(split.inputs) != 1 or sorted(gates.values()) != sorted(split.outputs):
            raise NotRecurrentError
        return self._with_weights(hidden, cell, split, [split.outputs.index(gates[gate]) for gate in GATES])

    def _factors(self, name: str, op: str) -> tuple[str, str]:
        """Return what an operation and a sigmoid are taken of, where a value is the product of the two."""
        factors = self.node(name, "Mul").inputs
        for one, other in (factors, factors[::-1]):
            if self._is(one, op):
                return self.node(one, op).inputs[0], self._sigmoid(other)
        raise NotRecurrentError

    def _sigmoid(self, name: str) -> str:
        """Return what a sigmoid is taken of; of float16 values it is written out, 1 / (1 + exp(-x))."""
        if self._is(name, "Sigmoid"):
            return self.node(name, "Sigmoid").inputs[0]
        total, one = self.node(self.node(name, "Reciprocal").inputs[0], "Add").inputs
        if self.number(one) != 1:
            raise NotRecurrentError
        return self.node(self.node(total, "Exp").inputs[0], "Neg").inputs[0]

    def _with_weights(self, hidden: str, cell: str, split: Node, order: list[int]) -> _Cell:
        """Return the cell whose gates are a sum: a product with a step, one with the hidden state, and constants."""
        width = self._width(hidden)
        if self._width(cell) != width:
            raise NotRecurrentError
        found: dict[str, Any] = {"bias": np.zeros(4 * width, np.float32)}
        pending = list(split.inputs)
        while pending:
            name = pending.pop()
            value = self.graph.value_of(name)
            if value is not None and value.ndim in (1, 2) and value.size == 4 * width == value.shape[-1]:
                found["bias"] = found["bias"] + value.reshape(-1)
            elif self._is(name, "Add"):
                pending += self.node(name, "Add").inputs
            elif self._is(name, "Squeeze") and self._single(name):
                pending.append(self.node(name, "Squeeze").inputs[0])
            else:
                source, weight = self.node(name, "MatMul").inputs
                kind = "recurrent" if source == hidden else "input"
                matrix = self.graph.value_of(weight)
                if kind in found or matrix is None or matrix.ndim != 2 or matrix.shape[1] != 4 * width:
                    raise NotRecurrentError
                found[kind] = matrix
                if kind == "input":
                    found["sequence"] = self._sequence(source, batch=self.graph.shape(hidden)[0])
        if not {"recurrent", "input"} <= found.keys() or found["recurrent"].shape[0] != width:
            raise NotRecurrentError
        weights = {kind: np.concatenate([np.split(found[kind], 4, axis=-1)[gate] for gate in order], axis=-1) for kind in ("input", "recurrent", "bias")}
        return _Cell(hidden, cell, found["sequence"], weights)

    def _width(self, state: str) -> int:
        shape = self.graph.static_shape(state)
        if shape is None or len(shape) != 2 or self.graph.dtype(state) != np.float32:
            raise NotRecurrentError
        return shape[1]

    def _single(self, squeezed: str) -> bool:
        """Return whether a squeeze leaves a row of a batch of one."""
        shape, before = (self.graph.static_shape(name) for name in (squeezed, self.node(squeezed, "Squeeze").inputs[0]))
        return shape is not None and len(shape) == 1 and before == (1, *shape)

    def _sequence(self, name: str, batch: Dim) -> str:
        """Return the sequence, where a value is its element at a counter."""
        node = self.node(name, "Gather")
        sequence, index = node.inputs
        if node.attributes.get("axis", 0) or self._counter(index) is None or sequence in self._makers or sequence in self.carried:
            raise NotRecurrentError
        if self.graph.rank(sequence) != 3 or self.graph.rank(name) != 2 or self.graph.shape(name)[0] != batch:
            raise NotRecurrentError
        return sequence

    def _counter(self, index: str) -> str | None:
        """Return the counter that an index is, whatever its type and its dimensions of 1; negative ones do not occur."""
        while index not in self.counters:
            node = self._makers.get(index)
            if node is None or node.op not in ("Cast", "Reshape", "Unsqueeze", "Squeeze", "Where"):
                return None
            if node.op == "Where" and not self._is_guard(node):
                return None
            index = node.inputs[2 if node.op == "Where" else 0]
        return index

    def _is_guard(self, node: Node) -> bool:
        """Return whether a choice replaces negative indices, and only those."""
        try:
            value, limit = self.node(node.inputs[0], "Less").inputs
            return value == node.inputs[2] and self.number(limit) == 0
        except NotRecurrentError:
            return False

    def written(self, cell: _Cell, name: str) -> int | None:
        """Return where a list receives the hidden state: always at the same place, or at each step's own, None."""
        node = self.node(self.next[name], "ScatterND")
        before, places, values = node.inputs
        if before != name or self.node(values, "Unsqueeze").inputs[0] != self.next[cell.hidden] or node.attributes.get("reduction", "none") != "none":
            raise NotRecurrentError
        if self.graph.rank(values) != 3 or self.number(self.node(values, "Unsqueeze").inputs[1]) != 0:
            raise NotRecurrentError
        if self._counter(places) is not None:
            return None
        while self.graph.value_of(places) is None:
            node = self._makers.get(places) or self.node(places, "Reshape")
            if node.op not in ("Cast", "Reshape", "Unsqueeze"):
                raise NotRecurrentError
            places = node.inputs[0]
        place = int(self.number(places))
        if place < 0:
            raise NotRecurrentError
        return place


class _Results:
    """The values of the enclosing graph that a loop leaves, made by one LSTM."""

    def __init__(self, graph: Graph, body: _Body, cell: _Cell, rounds: int) -> None:
        self._graph, self._body, self._cell, self._rounds = graph, body, cell, rounds
        self._states: list[str] = []

    def of(self, name: str, written: dict[str, int | None]) -> str:
        """Return the value that a variable has after the last round."""
        graph = self._graph
        if name in self._body.counters:
            return graph.constant(np.asarray(self._rounds, graph.dtype(self._body.first[name])).reshape(graph.static_shape(self._body.first[name]) or ()))
        sequence, hidden, cell = self._lstm()
        if name == self._cell.hidden:
            return hidden
        if name == self._cell.cell:
            return cell
        place = written[name]
        if place is None:
            places = graph.constant(np.arange(self._rounds, dtype=np.int64)[:, None])
            return graph.add("ScatterND", self._body.first[name], places, sequence)
        return graph.add("ScatterND", self._body.first[name], graph.constant([[place]], np.int64), graph.add("Unsqueeze", hidden, graph.int64(0)))

    def _lstm(self) -> list[str]:
        """Return every hidden state, the last one, and the last cell state."""
        if self._states:
            return self._states
        graph, cell = self._graph, self._cell
        # A sequence that is too short is an error, as it was in the loop.
        steps = graph.add("Gather", cell.sequence, graph.constant(np.arange(self._rounds, dtype=np.int64)), axis=0)
        inputs, recurrent = (graph.constant(np.ascontiguousarray(cell.weights[kind].T[None])) for kind in ("input", "recurrent"))
        bias = graph.constant(np.concatenate([cell.weights["bias"], np.zeros_like(cell.weights["bias"])])[None])
        first = [graph.add("Unsqueeze", self._body.first[state], graph.int64(0)) for state in (cell.hidden, cell.cell)]
        hidden = cell.weights["recurrent"].shape[0]
        made = graph.add_many("LSTM", 3, steps, inputs, recurrent, bias, None, *first, hidden_size=hidden)
        self._states = [graph.add("Squeeze", value, graph.int64(axis)) for value, axis in zip(made, (1, 0, 0), strict=True)]
        return self._states
