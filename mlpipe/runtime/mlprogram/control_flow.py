"""Operations with blocks: cond as ONNX's If, while_loop as its Loop. Blocks see the values around them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from mlpipe.runtime.mlprogram.op import Binding
from mlpipe.runtime.mlprogram.values import STORAGE, Tensor, TensorType, declared_type
from mlpipe.runtime.onnx_graph import Graph


class BlockLowering(Protocol):
    """What lowering a program offers to operations that contain blocks of their own."""

    graph: Graph
    states: dict[str, Tensor]

    def tensor(self, value: Binding) -> Tensor:
        """Return a value as a tensor of the graph."""

    def block(self, block: Any, graph: Graph, inputs: list[Tensor], states: dict[str, Tensor]) -> list[Tensor]:
        """Lower a block into a graph and return its results; `states` is left as the block leaves it."""

    def written_states(self, blocks: Iterable[Any]) -> list[str]:
        """Return the names of the states that these blocks may change."""


def cond(lowering: BlockLowering, operation: Any, arguments: dict[str, list[Binding]], declared: tuple[TensorType, ...]) -> list[str]:
    """Return the results of the first block where the predicate holds, else those of the second."""
    graph = lowering.graph
    written = lowering.written_states(operation.blocks)
    branches = []
    for block in operation.blocks:
        branch, states = graph.subgraph(), dict(lowering.states)
        results = lowering.block(block, branch, [], states)
        _show(branch, [*results, *(states[name] for name in written)])
        branches.append(branch)
    predicate = lowering.tensor(arguments["pred"][0])
    shown = graph.add_many("If", len(declared) + len(written), predicate.name, then_branch=branches[0], else_branch=branches[1])
    return _results(lowering, shown, declared, written)


def while_loop(lowering: BlockLowering, operation: Any, arguments: dict[str, list[Binding]], declared: tuple[TensorType, ...]) -> list[str]:
    """Return the loop's variables once the first block gives false for them; the second block gives their next values."""
    graph = lowering.graph
    condition, step = operation.blocks
    variables = [lowering.tensor(value) for value in arguments["loop_vars"]]
    # What a loop changes in a state is carried from round to round like a variable.
    written = lowering.written_states(operation.blocks)
    (before,) = lowering.block(condition, graph, variables, lowering.states)
    body = graph.subgraph()
    body.add_input(body.name("iteration"), np.int64, [])
    body.add_input(body.name("condition"), np.bool_, [])
    inside = []
    for given in step.inputs:
        kind = declared_type(given.type)
        assert kind.shape is not None
        name = body.add_input(body.name("variable"), STORAGE[kind.dtype], kind.shape)
        inside.append(Tensor(name, kind.dtype, kind.shape))
    states = dict(lowering.states)
    for name in written:
        held = lowering.states[name]
        states[name] = replace(held, name=body.add_input(body.name("state"), STORAGE[held.dtype], held.shape))
    following = lowering.block(step, body, inside, states)
    # The condition is evaluated again inside, on the values that the next round would start with.
    (again,) = lowering.block(condition, body, following, states)
    _show(body, [again, *following, *(states[name] for name in written)])
    carried = [*variables, *(lowering.states[name] for name in written)]
    shown = graph.add_many("Loop", len(carried), None, before.name, *(value.name for value in carried), body=body)
    return _results(lowering, shown, declared, written)


def _show(graph: Graph, values: list[Tensor]) -> None:
    for value in values:
        graph.outputs[graph.name("result")] = value.name


def _results(lowering: BlockLowering, shown: list[str], declared: tuple[TensorType, ...], written: list[str]) -> list[str]:
    """Return the operation's own results; what comes after them is what the states hold from here on."""
    for name, result in zip(written, shown[len(declared) :], strict=True):
        held = lowering.states[name]
        lowering.states[name] = replace(held, name=lowering.graph.set_type(result, STORAGE[held.dtype], held.shape))
    return [lowering.graph.set_type(name, STORAGE[kind.dtype], kind.shape) for name, kind in zip(shown, declared, strict=False)]


WITH_BLOCKS: dict[str, Callable[[BlockLowering, Any, dict[str, list[Binding]], tuple[TensorType, ...]], list[str]]] = {
    "cond": cond,
    "while_loop": while_loop,
}
"""Operations -> what lowers them. Their results need no rounding: the operations inside have rounded theirs."""
