"""One ONNX Runtime session: a lowered graph that runs."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mlpipe.errors import InvalidInput, NotExecutable
from mlpipe.runtime.fed_sizes import FedSizes
from mlpipe.runtime.late_rounding import optimised_before_rounding
from mlpipe.runtime.onnx_graph import Graph
from mlpipe.runtime.ort import import_onnxruntime
from mlpipe.runtime.rounds import LARGEST_ROUNDS, went_on
from mlpipe.runtime.simplify import simplified
from mlpipe.runtime.to_onnx import INLINE_BYTES, to_onnx

ERRORS_ONLY = 3


class Executable:
    """A graph in an ONNX Runtime session."""

    def __init__(self, graph: Graph, *, threads: int = 1, prepack: bool = True, optimized_model: Path | None = None) -> None:
        """Build the session. `prepack` also holds the weights as the kernels want them, which is faster and takes their size once more.

        `optimized_model` receives what ONNX Runtime made of the graph, for those who want to look.
        """
        graph = simplified(graph)
        build = partial(_session, threads=threads, prepack=prepack)
        rounded = optimised_before_rounding(graph, build) if prepack else None
        model, external = to_onnx(graph) if rounded is None else rounded
        # The session reads the constants where they are, so they have to stay.
        self._constants = external
        self._session: Any = build(model, external, optimized_model, optimised=rounded is not None)
        self._sizes = FedSizes(graph)
        self.inputs = tuple(graph.inputs)
        self.outputs = tuple(graph.outputs)

    def run(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return every output by name, for arrays in the graph's own types.

        Errors: InvalidInput where a kernel refuses the values, e.g. an index out of range.
        """
        self._sizes.check(feeds)
        try:
            values = self._session.run(None, dict(feeds))
        except Exception as error:
            if not _is_from_onnxruntime(error):
                raise
            why = f"a loop goes on for more than {LARGEST_ROUNDS:,} rounds" if went_on(str(error)) else str(error)
            raise InvalidInput("the model cannot compute these inputs", why=why) from error
        return dict(zip(self.outputs, values, strict=True))


def _session(model: Any, external: Mapping[str, np.ndarray], optimized_model: Path | None, *, threads: int, prepack: bool, optimised: bool = False) -> Any:
    """Return an inference session of an onnx model and the constants beside it, which must live as long as it does."""
    onnxruntime = import_onnxruntime()

    options = onnxruntime.SessionOptions()
    options.log_severity_level = ERRORS_ONLY
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.use_deterministic_compute = True
    levels = onnxruntime.GraphOptimizationLevel
    # Beyond the extended level, weights of convolutions are laid out anew.
    options.graph_optimization_level = levels.ORT_DISABLE_ALL if optimised else levels.ORT_ENABLE_ALL if prepack else levels.ORT_ENABLE_EXTENDED
    options.add_session_config_entry("session.disable_prepacking", "0" if prepack else "1")
    # Threads that spin while they wait win nothing here and cost a loaded machine dearly.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    # Float16 rounding is made of casts: none of them may go (tests hold this).
    options.add_session_config_entry("optimization.enable_cast_chain_elimination", "0")
    if external:
        # As the contents of files, which are not copied: values handed over as such would be.
        options.add_session_config_entry("session.use_external_initializer_file_buffers_directly", "1")
        buffers = [value.reshape(-1).view(np.uint8) for value in external.values()]
        options.add_external_initializers_from_files_in_memory(list(external), buffers, [len(buffer) for buffer in buffers])
    if optimized_model is not None:
        options.optimized_model_filepath = str(optimized_model)
        # Large constants in a file beside it are written and read in a fraction of the time that a protobuf takes.
        options.add_session_config_entry("session.optimized_model_external_initializers_file_name", f"{optimized_model.name}.data")
        options.add_session_config_entry("session.optimized_model_external_initializers_min_size_in_bytes", str(INLINE_BYTES))
    try:
        return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        if not _is_from_onnxruntime(error):
            raise
        raise NotExecutable("ONNX Runtime refuses what the model was lowered to", why=str(error)) from error


def _is_from_onnxruntime(error: Exception) -> bool:
    """Its exceptions have no public base class."""
    return type(error).__module__.startswith("onnxruntime")
