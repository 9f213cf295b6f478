"""Operations with blocks: cond as ONNX's If, while_loop as its Loop. Blocks see the values around them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from mlpipe.runtime.mlprogram.op import Binding
from mlpipe.runtime.mlprogram.values import STORAGE, Tensor, TensorType, declared_type
from mlpipe.runtime.onnx_graph import Graph


class BlockLowering(Protocol):
    """What lowering a program offers to operations that contain blocks of their own."""

    graph: Graph

    def tensor(self, value: Binding) -> Tensor:
        """Return a value as a tensor of the graph."""

    def block(self, block: Any, graph: Graph, inputs: list[Tensor]) -> list[Tensor]:
        """Lower a block into a graph and return its results."""


def cond(lowering: BlockLowering, operation: Any, arguments: dict[str, list[Binding]], declared: tuple[TensorType, ...]) -> list[str]:
    """Return the results of the first block where the predicate holds, else those of the second."""
    graph = lowering.graph
    branches = []
    for block in operation.blocks:
        branch = graph.subgraph()
        _show(branch, [result.name for result in lowering.block(block, branch, [])])
        branches.append(branch)
    predicate = lowering.tensor(arguments["pred"][0])
    results = graph.add_many("If", len(declared), predicate.name, then_branch=branches[0], else_branch=branches[1])
    return _typed(graph, results, declared)


def while_loop(lowering: BlockLowering, operation: Any, arguments: dict[str, list[Binding]], declared: tuple[TensorType, ...]) -> list[str]:
    """Return the loop's variables once the first block gives false for them; the second block gives their next values."""
    graph = lowering.graph
    condition, step = operation.blocks
    variables = [lowering.tensor(value) for value in arguments["loop_vars"]]
    (before,) = lowering.block(condition, graph, variables)
    body = graph.subgraph()
    body.add_input(body.name("iteration"), np.int64, [])
    body.add_input(body.name("condition"), np.bool_, [])
    inside = []
    for given in step.inputs:
        kind = declared_type(given.type)
        assert kind.shape is not None
        name = body.add_input(body.name("variable"), STORAGE[kind.dtype], kind.shape)
        inside.append(Tensor(name, kind.dtype, kind.shape))
    following = lowering.block(step, body, inside)
    # The condition is evaluated again inside, on the values that the next round would start with.
    (again,) = lowering.block(condition, body, following)
    _show(body, [again.name, *(value.name for value in following)])
    results = graph.add_many("Loop", len(declared), None, before.name, *(value.name for value in variables), body=body)
    return _typed(graph, results, declared)


def _show(graph: Graph, values: list[str]) -> None:
    for value in values:
        graph.outputs[graph.name("result")] = value


def _typed(graph: Graph, results: list[str], declared: tuple[TensorType, ...]) -> list[str]:
    return [graph.set_type(name, STORAGE[kind.dtype], kind.shape) for name, kind in zip(results, declared, strict=True)]


WITH_BLOCKS: dict[str, Callable[[BlockLowering, Any, dict[str, list[Binding]], tuple[TensorType, ...]], list[str]]] = {
    "cond": cond,
    "while_loop": while_loop,
}
"""Operations -> what lowers them. Their results need no rounding: the operations inside have rounded theirs."""
