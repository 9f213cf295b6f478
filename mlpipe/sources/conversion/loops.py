"""TensorFlow loops as coremltools 9.0 reads them without mistake.

Every result of a loop has a node of its own: where one operation takes several results of a loop, coremltools takes the first of them for each, and
where that operation is another loop, it fails. (TensorFlow puts an Identity behind every result; its optimizer, which coremltools runs, removes it.)

The limit of a loop's iterations stays. The first two variables of a loop count its rounds and hold its limit; coremltools drops them, which is right
where the condition does not ask for them. Where it does, as in recurrent layers of a SavedModel, they are preceded by two that may be dropped.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

LOOPS = ("While", "StatelessWhile")


@contextmanager
def convertible_loops() -> Iterator[None]:
    """Let coremltools see such loops, in its own form of the graph, which the optimizer has left."""
    from coremltools.converters.mil.frontend.tensorflow2 import load

    rewrite = load.rewrite_control_flow_functions

    def rewrite_prepared(ensemble: Any) -> None:
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
    """Put an Identity behind every result of a loop that something uses, in coremltools' graph of one function."""
    for node in list(graph.values()):
        if node.original_node is None:
            continue
        # `loop` is its first result and `loop:1` the next; the names in `inputs` have lost the number.
        given = [name for name in node.original_node.input if not name.startswith("^")]
        for place, result in enumerate(given):
            loop = graph.get(result.partition(":")[0])
            if loop is not None and loop.op in LOOPS and node.inputs[place] == loop.name:
                identity = _identity(graph, loop, result)
                node.inputs[place] = identity.name
                identity.outputs.append(node.name)
                loop.outputs.remove(node.name)


def _identity(graph: dict[str, Any], loop: Any, result: str) -> Any:
    name = f"{loop.name}/result_{result.partition(':')[2] or 0}"
    if name not in graph:
        identity = _node(graph, name, "Identity", [result])
        identity.inputs = [loop.name]
        loop.outputs.append(name)
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
