"""Operations with blocks: cond as ONNX's If, while_loop as its Loop. Blocks see the values around them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from mlpipe.runtime.lowered import UnsupportedLayerError
from mlpipe.runtime.mlprogram.op import Binding
from mlpipe.runtime.mlprogram.values import STORAGE, Tensor, agree, declared_type
from mlpipe.runtime.onnx_graph import Dim, Graph
from mlpipe.runtime.rounds import within_limit

Shape = tuple[Dim, ...]


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


def cond(lowering: BlockLowering, operation: Any, arguments: dict[str, list[Binding]]) -> list[Tensor]:
    """Return the results of the first block where the predicate holds, else those of the second."""
    graph = lowering.graph
    predicate = lowering.tensor(arguments["pred"][0])
    if predicate.value is not None:
        return lowering.block(operation.blocks[0 if predicate.value.all() else 1], graph, [], lowering.states)
    written = lowering.written_states(operation.blocks)
    branches, ends = [], []
    for block in operation.blocks:
        branch, states = graph.subgraph(), dict(lowering.states)
        ends.append([*lowering.block(block, branch, [], states), *(states[name] for name in written)])
        _show(branch, ends[-1])
        branches.append(branch)
    kinds = [_either(*pair) for pair in zip(*ends, strict=True)]
    shown = graph.add_many("If", len(kinds), _flag(graph, predicate), then_branch=branches[0], else_branch=branches[1])
    return _results(lowering, shown, kinds, written)


def while_loop(lowering: BlockLowering, operation: Any, arguments: dict[str, list[Binding]]) -> list[Tensor]:
    """Return the loop's variables once the first block gives false for them; the second block gives their next values."""
    graph = lowering.graph
    condition, step = operation.blocks
    variables = [lowering.tensor(value) for value in arguments["loop_vars"]]
    # What a loop changes in a state is carried from round to round like a variable.
    written = lowering.written_states(operation.blocks)
    (before,) = lowering.block(condition, graph, variables, lowering.states)
    body = graph.subgraph()
    iteration = body.add_input(body.name("iteration"), np.int64, [])
    body.add_input(body.name("condition"), np.bool_, [])
    # A variable that no round changes need not be carried: the body sees it as it stands outside.
    carried = [place for place, given in enumerate(step.inputs) if step.outputs[place] != given.name]
    inside = list(variables)
    for place in carried:
        inside[place] = _carry(body, variables[place], _round_shape(step.inputs[place].type, variables[place]))
    states = dict(lowering.states)
    for name in written:
        states[name] = _carry(body, lowering.states[name], lowering.states[name].shape)
    following = lowering.block(step, body, inside, states)
    for place in carried:
        _check_round(step.inputs[place].type, inside[place], following[place])
    # The condition is evaluated again inside, on the values that the next round would start with.
    (again,) = lowering.block(condition, body, following, states)
    before_all = [*(variables[place] for place in carried), *(lowering.states[name] for name in written)]
    after_each = [*(following[place] for place in carried), *(states[name] for name in written)]
    body.outputs[body.name("result")] = within_limit(body, iteration, _flag(body, again))
    _show(body, after_each)
    kinds = [*(inside[place] for place in carried), *(lowering.states[name] for name in written)]
    shown = graph.add_many("Loop", len(kinds), None, _flag(graph, before), *(value.name for value in before_all), body=body)
    changed = dict(zip(carried, _results(lowering, shown, kinds, written), strict=True))
    return [changed.get(place, variable) for place, variable in enumerate(variables)]


def _carry(body: Graph, value: Tensor, shape: Shape) -> Tensor:
    """Return a value of the enclosing graph as what a round starts with."""
    return Tensor(body.add_input(body.name("carried"), STORAGE[value.dtype], shape), value.dtype, shape)


def _round_shape(value_type: Any, first: Tensor) -> Shape:
    """Return the shape that a variable has at the start of every round. Of a list that is declared without its length, that of the first."""
    declared = declared_type(value_type)
    if declared.shape is None or declared.dtype != first.dtype or not agree(first.shape, declared.shape):
        raise UnsupportedLayerError(f"a variable that is declared as {declared.dtype} {declared.shape} starts as {first.dtype} {list(first.shape)}")
    is_list = value_type.WhichOneof("type") == "listType"
    return (first.shape[0], *declared.shape[1:]) if is_list else declared.shape


def _check_round(value_type: Any, start: Tensor, end: Tensor) -> None:
    """Hold what a round makes of a variable against what it starts with."""
    if end.dtype != start.dtype or not agree(end.shape, start.shape):
        raise UnsupportedLayerError(f"a round makes {end.dtype} {list(end.shape)} of a variable that is {start.dtype} {list(start.shape)}")
    if value_type.WhichOneof("type") == "listType" and start.shape[0] not in (None, end.shape[0]):
        raise UnsupportedLayerError("a round puts another list in the place of one of fixed length")


def _either(one: Tensor, other: Tensor) -> Tensor:
    """Return the kind of a value that is one of two."""
    if one.dtype != other.dtype or one.rank != other.rank:
        raise UnsupportedLayerError(f"its blocks give {one.dtype} {list(one.shape)} and {other.dtype} {list(other.shape)}")
    return Tensor("", one.dtype, tuple(left if left == right else None for left, right in zip(one.shape, other.shape, strict=True)))


def _flag(graph: Graph, value: Tensor) -> str:
    """Return a truth value as ONNX wants it, without dimensions."""
    return value.name if value.rank == 0 else graph.add("Reshape", value.name, graph.int64())


def _show(graph: Graph, values: list[Tensor]) -> None:
    for value in values:
        graph.outputs[graph.name("result")] = value.name


def _results(lowering: BlockLowering, shown: list[str], kinds: list[Tensor], written: list[str]) -> list[Tensor]:
    """Return the operation's own results; what comes after them is what the states hold from here on."""
    results = [replace(kind, name=lowering.graph.set_type(name, STORAGE[kind.dtype], kind.shape)) for name, kind in zip(shown, kinds, strict=True)]
    own = len(results) - len(written)
    lowering.states.update(zip(written, results[own:], strict=True))
    return results[:own]


WITH_BLOCKS: dict[str, Callable[[BlockLowering, Any, dict[str, list[Binding]]], list[Tensor]]] = {
    "cond": cond,
    "while_loop": while_loop,
}
"""Operations -> what lowers them. Their results need no rounding: the operations inside have rounded theirs."""
