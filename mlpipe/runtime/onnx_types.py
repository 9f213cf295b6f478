"""Types of ONNX nodes' outputs, node by node as a graph is built, through onnx's own inference (100 microseconds a node)."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from mlpipe.runtime.onnx_graph import INFERENCE_VALUES, OPSET, Dim, Graph, Node, ValueType

if TYPE_CHECKING:
    import onnx

IR_VERSION = 10


Given = tuple[ValueType, bytes | None] | None
"""An input of a node: its type, and its numbers where inference may see them; None where it is absent."""


def infer_types(graph: Graph, node: Node) -> dict[str, ValueType]:
    """Return the types of a node's outputs, as far as onnx can tell: a node with subgraphs or of another domain gets none.

    Errors: onnx's InferenceError where the inputs do not fit the op, which is a defect of the lowering or a damaged model.
    """
    if node.domain or any(isinstance(value, Graph) for value in node.attributes.values()):
        return {}
    given: list[Given] = []
    for name in node.inputs:
        known = graph.type_of(name) if name else None
        if name and known is None:
            return {}
        value = graph.value_of(name) if name else None
        shown = value is not None and value.size <= INFERENCE_VALUES and value.dtype.kind in "iuf"
        given.append(None if known is None else (known, value.tobytes() if shown and value is not None else None))
    attributes = tuple((key, tuple(value) if isinstance(value, list) else value) for key, value in node.attributes.items())
    found = _infer(node.op, tuple(given), attributes, len(node.outputs))
    return {name: kind for name, kind in zip(node.outputs, found, strict=True) if kind is not None}


@lru_cache(maxsize=4096)
def _infer(op: str, given: tuple[Given, ...], attributes: tuple[tuple[str, Any], ...], count: int) -> tuple[ValueType | None, ...]:
    """Return the types of the outputs. Models repeat their layers: most nodes of a large one are asked about again."""
    from onnx import defs, helper, shape_inference

    types: dict[str, Any] = {}
    data: dict[str, Any] = {}
    names = [f"in{number}" if known else "" for number, known in enumerate(given)]
    for name, known in zip(names, given, strict=True):
        if known is not None:
            (kind, numbers) = known
            types[name] = helper.make_tensor_type_proto(int(helper.np_dtype_to_tensor_dtype(kind.dtype)), kind.shape)
            if numbers is not None:
                data[name] = tensor_proto(name, np.frombuffer(numbers, kind.dtype).reshape(kind.shape))  # type: ignore[arg-type] # a constant's
    outputs = [f"out{number}" for number in range(count)]
    proto = helper.make_node(op, names, outputs, **dict(attributes))
    opsets = [helper.make_opsetid("", OPSET)]
    inferred = shape_inference.infer_node_outputs(defs.get_schema(op, OPSET, ""), proto, types, data, opset_imports=opsets, ir_version=IR_VERSION)
    return tuple(_value_type(inferred[name]) if name in inferred else None for name in outputs)


def _value_type(proto: Any) -> ValueType | None:
    from onnx import helper

    tensor = proto.tensor_type
    if not proto.HasField("tensor_type") or not tensor.elem_type:
        return None
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
