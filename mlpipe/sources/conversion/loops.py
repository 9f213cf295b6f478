"""TensorFlow loops as coremltools 9.0 reads them without mistake: every result of a loop has a node of its own.

Where one operation takes several results of a loop, coremltools takes the first of them for each; where that operation is another loop, it fails.
TensorFlow puts an Identity behind every result, and its optimizer, which coremltools runs, removes it again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

LOOPS = ("While", "StatelessWhile")


@contextmanager
def loops_with_nodes_behind() -> Iterator[None]:
    """Let coremltools see an Identity behind every result of a loop, in its own form of the graph, which the optimizer has left."""
    from coremltools.converters.mil.frontend.tensorflow2 import load

    rewrite = load.rewrite_control_flow_functions

    def rewrite_separated(ensemble: Any) -> None:
        for function in ensemble.functions.values():
            separate_results(function.graph)
        rewrite(ensemble)

    load.rewrite_control_flow_functions = rewrite_separated
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
    from coremltools.converters.mil.frontend.tensorflow.parsed_tf_node import ParsedTFNode
    from tensorflow.core.framework.node_def_pb2 import NodeDef

    name = f"{loop.name}/result_{result.partition(':')[2] or 0}"
    if name not in graph:
        identity = ParsedTFNode(NodeDef(name=name, op="Identity", input=[result]))
        identity.inputs = [loop.name]
        loop.outputs.append(name)
        graph[name] = identity
    return graph[name]
