"""TensorFlow's loops and branches as coremltools 9.0 reads them without mistake.

Every result has a node of its own: where one operation takes several results of a loop or a branch, coremltools takes the first of them for each, where
that operation is another loop, it fails, and inside functions it does not find results that are written with the number 0. (TensorFlow puts an Identity
behind every result; its optimizer, which coremltools runs, removes it.)

The limit of a loop's iterations stays. The first two variables of a loop count its rounds and hold its limit; coremltools drops them, which is right
where the condition does not ask for them. Where it does, as in recurrent layers of a SavedModel, they are preceded by two that may be dropped.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mlpipe.sources.conversion.growing_lists import mark_growing_lists

LOOPS = ("While", "StatelessWhile")
BRANCHES = ("If", "StatelessIf")


@contextmanager
def convertible_loops() -> Iterator[None]:
    """Let coremltools see such loops, in its own form of the graph, which the optimizer has left."""
    from coremltools.converters.mil.frontend.tensorflow2 import load

    rewrite = load.rewrite_control_flow_functions

    def rewrite_prepared(ensemble: Any) -> None:
        mark_growing_lists(ensemble)
        for function in ensemble.functions.values():
            separate_results(function.graph)
            for node in list(function.graph.values()):
                if node.op in LOOPS:
                    condition, body = (ensemble.functions[node.attr[role]] for role in ("cond", "body"))
                    if any(condition.graph[name].outputs for name in condition.inputs[:2]):
                        _keep_limit(function.graph, node, (condition, body))
        rewrite(ensemble)

    load.rewrite_control_flow_functions = rewrite_prepared
    try:
        yield
    finally:
        load.rewrite_control_flow_functions = rewrite


def separate_results(graph: dict[str, Any]) -> None:
    """Put an Identity behind every result of a loop or a branch that something uses, in coremltools' graph of one function."""
    for node in list(graph.values()):
        if node.original_node is None:
            continue
        # `loop` or `loop:0` is its first result and `loop:1` the next; the names in `inputs` have lost the number.
        given = [name for name in node.original_node.input if not name.startswith("^")]
        for place, result in enumerate(given):
            name, _, number = result.partition(":")
            source = graph.get(name)
            if source is not None and source.op in LOOPS + BRANCHES and node.inputs[place] == name:
                identity = _identity(graph, source, int(number or 0))
                node.inputs[place] = identity.name
                identity.outputs.append(node.name)
                source.outputs.remove(node.name)


def _identity(graph: dict[str, Any], source: Any, number: int) -> Any:
    name = f"{source.name}/result_{number}"
    if name not in graph:
        identity = _node(graph, name, "Identity", [f"{source.name}:{number}" if number else source.name])
        identity.inputs = [source.name]
        source.outputs.append(name)
    return graph[name]


def _keep_limit(graph: dict[str, Any], loop: Any, functions: tuple[Any, ...]) -> None:
    """Let the loop have two more variables in front."""
    count, limit, *others = loop.inputs
    if limit in others:
        # Recurrent layers hand in their number of steps twice. coremltools' passes lose one of two variables that start as one value.
        own = _node(graph, f"{loop.name}/own_limit", "Maximum", [limit, limit])
        graph[limit].outputs += [own.name, own.name]
        graph[limit].outputs.remove(loop.name)
        own.outputs = [loop.name]
        limit = own.name
    loop.inputs = [count, limit, count, limit, *others]
    for function in functions:
        dropped = [_node(function.graph, f"{loop.name}/dropped_{number}", "Placeholder", []).name for number in (0, 1)]
        function.inputs = [*dropped, *function.inputs]


def _node(graph: dict[str, Any], name: str, operation: str, inputs: list[str]) -> Any:
    from coremltools.converters.mil.frontend.tensorflow.parsed_tf_node import ParsedTFNode
    from tensorflow.core.framework.node_def_pb2 import NodeDef

    graph[name] = ParsedTFNode(NodeDef(name=name, op=operation, input=inputs))
    return graph[name]
