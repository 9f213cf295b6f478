"""Graphs with nodes that ONNX Runtime does not execute: cut at each, with Python in between."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np

from mlpipe.runtime.custom_layers import CustomLayer
from mlpipe.runtime.execute import Executable
from mlpipe.runtime.graph_walk import reads
from mlpipe.runtime.onnx_graph import Graph, Node

DOMAIN = "mlpipe.host"
"""The domain of nodes that Python computes; their attribute `layer` says how."""

CUT = "cut "
"""What stands before the names of values where a stretch hands them on: a graph's outputs must not have the names of its values."""


class HostParts:
    """A graph with nodes for Python. It is used as an `Executable` is."""

    def __init__(self, graph: Graph, session: Callable[[Graph], Executable]) -> None:
        """Cut the graph and build the sessions."""
        self.inputs = tuple(graph.inputs)
        self.outputs = tuple(graph.outputs)
        self._shown = dict(graph.outputs)
        self._ranks = {name: len(known.shape) for name, known in graph.types.items() if known.shape is not None}
        self._steps = [step if isinstance(step, Node) else session(step) for step in _cut(graph)]
        by_python = {name for step in self._steps if isinstance(step, Node) for name in step.inputs}
        wanted = by_python.union(self._shown.values())
        self._constants = {name: value for name, value in graph.constants.items() if name in wanted}

    def run(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return every output by name, for arrays in the graph's own types.

        Errors: InvalidInput where a kernel refuses the values; UserCodeFailed where a reference fails.
        """
        values = {**self._constants, **feeds}
        for step in self._steps:
            if isinstance(step, Node):
                layer: CustomLayer = step.attributes["layer"]
                results = layer.run([values[name] for name in step.inputs], [self._ranks.get(name) for name in step.outputs])
                values |= zip(step.outputs, results, strict=True)
            else:
                found = step.run({name: values[name] for name in step.inputs})
                values |= {name.removeprefix(CUT): value for name, value in found.items()}
        return {name: values[value] for name, value in self._shown.items()}


def _cut(graph: Graph) -> list[Graph | Node]:
    """Return the graph's nodes for Python, and between them the stretches of others, each a graph of its own."""
    stretches: list[list[Node] | Node] = []
    for node in graph.nodes:
        if node.domain == DOMAIN:
            stretches.append(node)
        elif stretches and isinstance(stretches[-1], list):
            stretches[-1].append(node)
        else:
            stretches.append([node])
    steps: list[Graph | Node] = []
    wanted = set(graph.outputs.values())
    for stretch in reversed(stretches):
        if isinstance(stretch, Node):
            steps.append(stretch)
            wanted.update(stretch.inputs)
            continue
        made = {name for node in stretch for name in node.outputs}
        if made.isdisjoint(wanted):
            continue  # nothing asks for what it computes, and a session needs outputs
        read = {name: None for node in stretch for name in reads(node) if name not in made}
        steps.append(
            replace(
                graph,
                nodes=stretch,
                constants={name: graph.constants[name] for name in read if name in graph.constants},
                inputs=[name for name in read if name not in graph.constants],
                outputs={f"{CUT}{name}": name for name in sorted(made & wanted)},
                types=dict(graph.types),
            )
        )
        wanted.update(read)
    return steps[::-1]


def executable(graph: Graph, session: Callable[[Graph], Executable]) -> Executable | HostParts:
    """Return what runs a graph: one session, or several with Python between them."""
    return HostParts(graph, session) if any(node.domain == DOMAIN for node in graph.nodes) else session(graph)
