"""Types of ONNX nodes' outputs, node by node as a graph is built, through onnx's own inference (10 microseconds a node)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from mlpipe.runtime.onnx_graph import INFERENCE_VALUES, OPSET, Dim, Graph, Node, ValueType

if TYPE_CHECKING:
    import onnx

IR_VERSION = 10


def infer_types(graph: Graph, node: Node) -> dict[str, ValueType]:
    """Return the types of a node's outputs, as far as onnx can tell: a node with subgraphs or of another domain gets none.

    Errors: onnx's InferenceError where the inputs do not fit the op, which is a defect of the lowering or a damaged model.
    """
    from onnx import defs, helper, shape_inference

    if node.domain or any(isinstance(value, Graph) for value in node.attributes.values()):
        return {}
    types: dict[str, Any] = {}
    data: dict[str, Any] = {}
    for name in filter(None, node.inputs):
        known = graph.type_of(name)
        if known is None:
            return {}
        types[name] = helper.make_tensor_type_proto(int(helper.np_dtype_to_tensor_dtype(known.dtype)), known.shape)
        value = graph.value_of(name)
        if value is not None and value.size <= INFERENCE_VALUES and value.dtype.kind in "iuf":
            data[name] = tensor_proto(name, value)
    schema = defs.get_schema(node.op, OPSET, node.domain)
    proto = helper.make_node(node.op, node.inputs, node.outputs, **node.attributes)
    opsets = [helper.make_opsetid("", OPSET)]
    inferred = shape_inference.infer_node_outputs(schema, proto, types, data, opset_imports=opsets, ir_version=IR_VERSION)
    return {name: _value_type(proto) for name, proto in inferred.items() if proto.HasField("tensor_type") and proto.tensor_type.elem_type}


def _value_type(proto: Any) -> ValueType:
    from onnx import helper

    tensor = proto.tensor_type
    shape = tuple(_dim(dim) for dim in tensor.shape.dim) if tensor.HasField("shape") else None
    return ValueType(np.dtype(helper.tensor_dtype_to_np_dtype(tensor.elem_type)), shape)


def _dim(dim: Any) -> Dim:
    if dim.HasField("dim_value"):
        return int(dim.dim_value)
    return str(dim.dim_param) if dim.HasField("dim_param") and dim.dim_param else None


def tensor_proto(name: str, value: np.ndarray) -> onnx.TensorProto:
    """Return a constant with its values inside the protobuf."""
    from onnx import numpy_helper

    return numpy_helper.from_array(np.ascontiguousarray(value).reshape(value.shape), name)
