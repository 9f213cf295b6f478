"""One ONNX Runtime session: a lowered graph that runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mlpipe.errors import InvalidInput
from mlpipe.runtime.onnx_graph import Graph
from mlpipe.runtime.ort import import_onnxruntime
from mlpipe.runtime.to_onnx import to_onnx

ERRORS_ONLY = 3


class Executable:
    """A graph in an ONNX Runtime session."""

    def __init__(self, graph: Graph, *, threads: int = 1, optimized_model: Path | None = None) -> None:
        """Build the session. `optimized_model` receives what ONNX Runtime made of the graph, for those who want to look."""
        onnxruntime = import_onnxruntime()

        model, external = to_onnx(graph)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = ERRORS_ONLY
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.use_deterministic_compute = True
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        # Threads that spin while they wait win nothing here and cost a loaded machine dearly.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.add_session_config_entry("session.inter_op.allow_spinning", "0")
        # Float16 rounding is made of casts: none of them may go (tests hold this).
        options.add_session_config_entry("optimization.enable_cast_chain_elimination", "0")
        if external:
            values = [onnxruntime.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(value)) for value in external.values()]
            options.add_external_initializers(list(external), values)
        if optimized_model is not None:
            options.optimized_model_filepath = str(optimized_model)
        self._session: Any = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        self.inputs = tuple(graph.inputs)
        self.outputs = tuple(graph.outputs)

    def run(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return every output by name, for arrays in the graph's own types.

        Errors: InvalidInput where a kernel refuses the values, e.g. an index out of range.
        """
        try:
            values = self._session.run(list(self.outputs), dict(feeds))
        except Exception as error:
            # ONNX Runtime's exceptions have no public base class.
            if not type(error).__module__.startswith("onnxruntime"):
                raise
            raise InvalidInput("the model cannot compute these inputs", why=str(error)) from error
        return dict(zip(self.outputs, values, strict=True))
