"""A Graph as an onnx ModelProto, with large constants kept beside it: protobuf ends at 2 GB, models do not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mlpipe.runtime.onnx_graph import OPSET, Graph, Node, ValueType
from mlpipe.runtime.onnx_types import IR_VERSION, tensor_proto

if TYPE_CHECKING:
    import onnx

INLINE_BYTES = 1024
"""Constants up to this size stand inside the protobuf."""


def to_onnx(graph: Graph) -> tuple[onnx.ModelProto, dict[str, np.ndarray]]:
    """Return the model and the constants that it names as external, each a file of its own, contiguous, which the session is handed as arrays."""
    from onnx import helper

    external: dict[str, np.ndarray] = {}
    opsets = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(_graph_proto(graph, "main", external), opset_imports=opsets, ir_version=IR_VERSION, producer_name="mlpipe")
    return model, external


def _graph_proto(graph: Graph, name: str, external: dict[str, np.ndarray]) -> onnx.GraphProto:
    from onnx import helper

    nodes = [_node_proto(node, external) for node in graph.nodes]
    # An output may show an input, a constant, a value of the enclosing graph or the same value twice: a node of its own makes each legal.
    shown = {_unused(output, graph): value for output, value in graph.outputs.items()}
    nodes += [helper.make_node("Identity", [value], [output]) for output, value in shown.items()]
    outputs = [_value_info(output, graph.type_of(value)) for output, value in shown.items()]
    inputs = [_value_info(name, graph.types[name]) for name in graph.inputs]
    initializers = [_initializer(name, value, external) for name, value in graph.constants.items()]
    return helper.make_graph(nodes, name, inputs, outputs, initializers)


def _unused(output: str, graph: Graph) -> str:
    """Return the name that an output has in ONNX, where it may not be that of an input or another value: those stand in the graph's order."""
    return output if graph.type_of(output) is None else _unused(f"{output} out", graph)


def _node_proto(node: Node, external: dict[str, np.ndarray]) -> onnx.NodeProto:
    from onnx import helper

    attributes = {key: _graph_proto(value, key, external) if isinstance(value, Graph) else value for key, value in node.attributes.items()}
    # ONNX Runtime names the node in its errors.
    name = None if node.layer is None else f"{node.layer.type}/{node.layer.name}/{node.outputs[0]}"
    return helper.make_node(node.op, node.inputs, node.outputs, name=name, domain=node.domain, **attributes)


def _value_info(name: str, known: ValueType | None) -> onnx.ValueInfoProto:
    from onnx import helper

    if known is None:
        return helper.make_empty_tensor_value_info(name)
    return helper.make_tensor_value_info(name, int(helper.np_dtype_to_tensor_dtype(known.dtype)), known.shape)


def _initializer(name: str, value: np.ndarray, external: dict[str, np.ndarray]) -> onnx.TensorProto:
    from onnx import TensorProto, helper

    if value.nbytes <= INLINE_BYTES:
        return tensor_proto(name, value)
    external[name] = np.ascontiguousarray(value)
    tensor = TensorProto(name=name, data_type=helper.np_dtype_to_tensor_dtype(value.dtype), dims=value.shape, data_location=TensorProto.EXTERNAL)
    fields: dict[str, Any] = {"location": name, "offset": 0, "length": value.nbytes}
    for key, entry in fields.items():
        tensor.external_data.add(key=key, value=str(entry))
    return tensor
