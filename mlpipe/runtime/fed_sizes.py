"""Whether what is fed is large enough for the windows that slide over it: where sizes vary, only the feed says.

ONNX Runtime's pools divide by the number of their results: where not one window fits, the whole process ends.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mlpipe.errors import InvalidInput
from mlpipe.runtime.onnx_graph import INFERENCE_VALUES, Graph, ValueType

POOLS = ("AveragePool", "LpPool", "MaxPool")


class FedSizes:
    """The pools of a graph whose windows have to be counted for every shape that is fed."""

    def __init__(self, graph: Graph) -> None:
        """Keep the nodes; of the constants only those that are sizes."""
        self._inputs = {name: graph.types[name].dtype for name in graph.inputs}
        self._constants = {name: value for name, value in graph.constants.items() if value.size <= INFERENCE_VALUES}
        self._types = {name: graph.types[name] for name in graph.constants}
        last = max((number for number, node in enumerate(graph.nodes, start=1) if node.op in POOLS and _varies(graph, node.outputs[0])), default=0)
        self._nodes = graph.nodes[:last]
        self._known: set[tuple[tuple[int, ...], ...]] = set()

    def check(self, feeds: Mapping[str, np.ndarray]) -> None:
        """Return nothing where every window fits. Errors: InvalidInput."""
        shapes = tuple(np.shape(feeds[name]) for name in self._inputs)
        if self._nodes and shapes not in self._known:
            self._infer(shapes)
            self._known.add(shapes)

    def _infer(self, shapes: tuple[tuple[int, ...], ...]) -> None:
        from onnx.shape_inference import InferenceError

        from mlpipe.runtime.onnx_types import infer_types

        given = {name: ValueType(dtype, shape) for (name, dtype), shape in zip(self._inputs.items(), shapes, strict=True)}
        graph = Graph(constants=self._constants, types=self._types | given)
        for node in self._nodes:
            try:
                graph.types.update(infer_types(graph, node))
            except InferenceError:
                continue  # it says so itself when it runs
            known = graph.type_of(node.outputs[0]) if node.op in POOLS else None
            if known is not None and any(isinstance(size, int) and size < 1 for size in known.shape or ()):
                where = f" {node.layer.name!r}" if node.layer else ""
                raise InvalidInput("what is fed is too small for the model", why=f"not one window of the pooling{where} fits")


def _varies(graph: Graph, name: str) -> bool:
    known = graph.type_of(name)
    return known is None or known.shape is None or not all(isinstance(size, int) for size in known.shape)
