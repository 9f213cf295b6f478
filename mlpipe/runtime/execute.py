"""One ONNX Runtime session: a lowered graph that runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mlpipe.errors import InvalidInput
from mlpipe.runtime.late_rounding import optimised_before_rounding
from mlpipe.runtime.onnx_graph import Graph
from mlpipe.runtime.ort import import_onnxruntime
from mlpipe.runtime.simplify import simplified
from mlpipe.runtime.to_onnx import to_onnx

ERRORS_ONLY = 3


class Executable:
    """A graph in an ONNX Runtime session."""

    def __init__(self, graph: Graph, *, threads: int = 1, optimized_model: Path | None = None) -> None:
        """Build the session. `optimized_model` receives what ONNX Runtime made of the graph, for those who want to look."""
        graph = simplified(graph)
        rounded = optimised_before_rounding(graph, lambda model, external, path: _session(model, external, threads, path))
        if rounded is None:
            self._session: Any = _session(*to_onnx(graph), threads, optimized_model)
        else:
            self._session = _session(rounded, {}, threads, optimized_model, optimised=True)
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


def _session(model: Any, external: Mapping[str, np.ndarray], threads: int, optimized_model: Path | None, *, optimised: bool = False) -> Any:
    """Return an inference session of an onnx model and the constants beside it."""
    onnxruntime = import_onnxruntime()

    options = onnxruntime.SessionOptions()
    options.log_severity_level = ERRORS_ONLY
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.use_deterministic_compute = True
    levels = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = levels.ORT_DISABLE_ALL if optimised else levels.ORT_ENABLE_ALL
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
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
