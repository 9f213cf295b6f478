"""What a graph's values are made from: the part of a graph that some of them need, and what a stretch of nodes reads."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from dataclasses import replace

from mlpipe.runtime.onnx_graph import Graph, Node


def reads(node: Node) -> Iterator[str]:
    """Yield the names of the values that a node reads, those that its subgraphs take from around them included."""
    yield from filter(None, node.inputs)
    for attribute in node.attributes.values():
        if isinstance(attribute, Graph):
            made = {*attribute.inputs, *(output for inner in attribute.nodes for output in inner.outputs)}
            wanted = (name for inner in attribute.nodes for name in reads(inner))
            yield from (name for name in (*wanted, *attribute.outputs.values()) if name not in made)


def part_for(graph: Graph, outputs: Mapping[str, str]) -> Graph:
    """Return the part of a graph that these outputs need; inputs stay, so that the part is fed as the whole is."""
    wanted = set(outputs.values())
    nodes = []
    for node in reversed(graph.nodes):
        if not wanted.isdisjoint(node.outputs):
            nodes.append(node)
            wanted.update(reads(node))
    constants = {name: value for name, value in graph.constants.items() if name in wanted}
    return replace(graph, nodes=nodes[::-1], constants=constants, inputs=list(graph.inputs), outputs=dict(outputs), types=dict(graph.types))


def origins(makers: Mapping[str, Node], value: str, stops: Container[str]) -> set[str]:
    """Return what a value is computed from: the nearest of `stops` among its ancestors, and constants and graph inputs on the way.

    `makers` are a graph's nodes by their outputs. The value itself is no stop.
    """
    found: set[str] = set()
    pending, seen = [value], {value}
    while pending:
        node = makers.get(pending.pop())
        for name in () if node is None else reads(node):
            if name in stops or name not in makers:
                found.add(name)
            elif name not in seen:
                seen.add(name)
                pending.append(name)
    return found
