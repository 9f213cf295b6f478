"""Rounding put into a graph after ONNX Runtime has optimised it.

ONNX Runtime computes convolutions on blocks of channels and takes the blocks apart again before every operation that it does not know in this
layout. A cast is one: half of a rounded network's time would go into that. A sum of one value is none, though nothing fuses with it: such sums
stand for the rounding while the graph is optimised, and are replaced in what comes out. Where any was lost, nothing is gained and nothing wrong:
the graph is run as it is.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mlpipe.runtime.graph_walk import reads
from mlpipe.runtime.onnx_graph import Graph, Node
from mlpipe.runtime.simplify import casts_to
from mlpipe.runtime.to_onnx import to_onnx

if TYPE_CHECKING:
    import onnx

LARGEST_BYTES = 128 << 20
"""Weights up to this size: they are held several times while this goes on."""

ALIGNMENT = 64
"""Units: bytes. The width of the widest registers, and what ONNX Runtime allocates by."""

Build = Callable[["onnx.ModelProto", dict[str, Any], Path], object]
"""Builds a session of a model and its external constants, and writes what it optimised."""


def optimised_before_rounding(graph: Graph, build: Build) -> tuple[onnx.ModelProto, dict[str, np.ndarray]] | None:
    """Return the optimised model with rounding in it, and the file of its constants by name, to be run without further optimisation.

    None where the graph is better run as it is.
    """
    import onnx

    marked = _marked(graph)
    if marked is None:
        return None
    graph, count = marked
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "optimised.onnx")
        build(*to_onnx(graph), path)
        model = onnx.load(path, load_external_data=False)
        external = {file.name: _read(file) for file in path.parent.glob(f"{path.name}.*")}
    nodes = []
    for node in model.graph.node:
        if node.op_type == "Sum" and len(node.input) == 1:
            nodes += _casts(node.input[0], node.output[0])
            count -= 1
        else:
            nodes.append(node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return (model, external) if count == 0 else None


def _read(file: Path) -> np.ndarray:
    """Return a file's bytes, at an address that kernels like: blocks of convolutions are multiplied a tenth slower from others."""
    size = file.stat().st_size
    room = np.empty(size + ALIGNMENT, np.uint8)
    data = room[-room.ctypes.data % ALIGNMENT :][:size]
    with file.open("rb") as stream:
        stream.readinto(data.data)
    return data


def _marked(graph: Graph) -> tuple[Graph, int] | None:
    """Return the graph with sums where it rounds, and how many; None where there are no convolutions, nothing is rounded, or too much would be held."""
    large = sum(value.nbytes for value in graph.constants.values()) > LARGEST_BYTES
    if large or not any(node.op == "Conv" for node in graph.nodes) or any(node.op == "Sum" for node in graph.nodes):
        return None
    pairs = _pairs(graph)
    halves = {there.outputs[0] for there, _ in pairs.values()}
    nodes = []
    for node in graph.nodes:
        pair = pairs.get(node.outputs[0])
        if pair is not None:
            nodes.append(replace(node, op="Sum", inputs=pair[0].inputs, attributes={}))
        elif node.outputs[0] not in halves:
            nodes.append(node)
    return (replace(graph, nodes=nodes), len(pairs)) if pairs else None


def _pairs(graph: Graph) -> dict[str, tuple[Node, Node]]:
    """Return the casts to float16 and back by what they give; only those whose float16 value nobody else reads."""
    reading = Counter(name for node in graph.nodes for name in reads(node))
    reading.update(graph.outputs.values())
    there = {node.outputs[0]: node for node in graph.nodes if casts_to(node, np.float16) and reading[node.outputs[0]] == 1}
    return {node.outputs[0]: (there[node.inputs[0]], node) for node in graph.nodes if casts_to(node, np.float32) and node.inputs[0] in there}


def _casts(source: str, target: str) -> list[onnx.NodeProto]:
    from onnx import TensorProto, helper

    half = f"{target} as float16"
    return [helper.make_node("Cast", [source], [half], to=TensorProto.FLOAT16), helper.make_node("Cast", [half], [target], to=TensorProto.FLOAT)]
