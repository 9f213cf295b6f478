"""The same models as ONNX, written from the Keras layers with ONNX's standard operations, as an exporter would write them."""

from __future__ import annotations

from typing import Any

import numpy as np

OPSET = 21


class Writer:
    """An ONNX model under construction."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.weights: list[Any] = []

    def add(self, op: str, *inputs: str | np.ndarray, outputs: int = 1, **attributes: Any) -> Any:
        """Add a node; arrays become initializers. Return the name of its output, a list where it has several."""
        from onnx import helper

        names = [self._weight(value) if isinstance(value, np.ndarray) else value for value in inputs]
        made = [f"{op}_{len(self.nodes)}_{number}" for number in range(outputs)]
        self.nodes.append(helper.make_node(op, names, made, **attributes))
        return made[0] if outputs == 1 else made

    def _weight(self, value: np.ndarray) -> str:
        from onnx import numpy_helper

        name = f"weight_{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def finish(self, name: str, shape: tuple[int, ...], output: str) -> bytes:
        """Return the model with one float32 input and one output."""
        from onnx import TensorProto, helper

        given = helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        made = helper.make_tensor_value_info(output, TensorProto.FLOAT, None)
        graph = helper.make_graph(self.nodes, "main", [given], [made], self.weights)
        return bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=10).SerializeToString())


def mobilenet_v2(model: Any, batch: int) -> bytes:
    """Return MobileNetV2, its layers read one by one: the input as Keras has it, all else channels first, every padding part of its convolution."""
    writer = Writer()
    values: dict[str, str] = {}
    pads: dict[str, Any] = {}
    for layer in model.layers:
        kind = type(layer).__name__
        names = [] if kind == "InputLayer" else [tensor._keras_history.operation.name for tensor in layer._inbound_nodes[0].input_tensors]  # noqa: SLF001
        sources = [values[name] for name in names]
        if kind == "ZeroPadding2D":
            values[layer.name], pads[layer.name] = sources[0], layer.padding
        elif kind in ("Conv2D", "DepthwiseConv2D"):
            values[layer.name] = _convolution(writer, layer, sources[0], pads.get(names[0]))
        else:
            values[layer.name] = _image_layer(writer, kind, layer, sources)
    return writer.finish("x", (batch, 224, 224, 3), values[model.layers[-1].name])


def _image_layer(writer: Writer, kind: str, layer: Any, sources: list[str]) -> str:
    weights = [np.asarray(weight) for weight in layer.get_weights()]
    if kind == "InputLayer":
        return str(writer.add("Transpose", "x", perm=[0, 3, 1, 2]))
    if kind == "BatchNormalization":
        return str(writer.add("BatchNormalization", sources[0], *weights, epsilon=float(layer.epsilon)))
    if kind == "ReLU":
        return str(writer.add("Clip", sources[0], np.asarray(0, np.float32), np.asarray(6, np.float32)))
    if kind == "Add":
        return str(writer.add("Add", *sources))
    if kind == "GlobalAveragePooling2D":
        return str(writer.add("Flatten", writer.add("GlobalAveragePool", sources[0])))
    if kind == "Dense":
        return str(writer.add("Softmax", writer.add("Gemm", sources[0], *weights)))
    raise ValueError(f"no ONNX for {kind}")


def _convolution(writer: Writer, layer: Any, source: str, padding: Any) -> str:
    (kernel,) = (np.asarray(weight) for weight in layer.get_weights())
    size = kernel.shape[0]
    if layer.padding == "same":
        # With a step of 2 Keras pads unevenly; only the first layer has it, and an even input.
        total = max(size - layer.strides[0], 0)
        padding = ((total // 2, total - total // 2),) * 2
    attributes: dict[str, Any] = {"strides": list(layer.strides)}
    if padding is not None:
        attributes["pads"] = [before for before, _ in padding] + [after for _, after in padding]
    if type(layer).__name__ == "DepthwiseConv2D":
        channels = kernel.shape[2]
        return str(writer.add("Conv", source, kernel.transpose(2, 3, 0, 1).reshape(channels, 1, size, size), group=channels, **attributes))
    return str(writer.add("Conv", source, kernel.transpose(3, 2, 0, 1), **attributes))


def sequence_model(model: Any, shape: tuple[int, int]) -> bytes:
    """Return the sequence model with ONNX's LSTM; its gates are in the order input, output, forget, cell, those of Keras input, forget, cell, output."""
    writer = Writer()
    first, second, dense = (layer for layer in model.layers if layer.get_weights())
    steps = writer.add("Transpose", "x", perm=[1, 0, 2])
    sequence, _, _ = _lstm(writer, first, steps)
    _, last, _ = _lstm(writer, second, writer.add("Squeeze", sequence, np.asarray([1])))
    scores = writer.add("Softmax", writer.add("Gemm", writer.add("Squeeze", last, np.asarray([0])), *dense.get_weights()))
    return writer.finish("x", (1, *shape), scores)


def _lstm(writer: Writer, layer: Any, steps: str) -> list[str]:
    inputs, recurrent, bias = (_gates(np.asarray(weight)) for weight in layer.get_weights())
    biases = np.concatenate([bias, np.zeros_like(bias)])
    made: list[str] = writer.add("LSTM", steps, inputs.T[None], recurrent.T[None], biases[None], outputs=3, hidden_size=layer.units)
    return made


def _gates(values: np.ndarray) -> np.ndarray:
    given, forget, cell, output = np.split(values, 4, axis=-1)
    return np.concatenate([given, output, forget, cell], axis=-1)


def transformer_block(model: Any, shape: tuple[int, int], heads: int) -> bytes:
    """Return the block with LayerNormalization, MatMul, Softmax and Gelu."""
    writer = Writer()
    tokens, width = shape
    before, attention, after, inner, outer = (layer for layer in model.layers if layer.get_weights())
    weights = [np.asarray(weight) for weight in attention.get_weights()]
    normal = _layer_norm(writer, "x", before)
    query, key, value = (_split(writer, normal, weights[2 * part], weights[2 * part + 1], tokens, heads) for part in range(3))
    scores = writer.add("MatMul", query, writer.add("Transpose", key, perm=[0, 1, 3, 2]))
    scaled = writer.add("Div", scores, np.asarray(np.sqrt(width // heads), np.float32))
    mixed = writer.add("MatMul", writer.add("Softmax", scaled, axis=-1), value)
    joined = writer.add("Reshape", writer.add("Transpose", mixed, perm=[0, 2, 1, 3]), np.asarray([1, tokens, width]))
    attended = writer.add("Add", "x", _dense(writer, joined, weights[6].reshape(width, width), weights[7]))
    hidden = writer.add("Gelu", _dense(writer, _layer_norm(writer, attended, after), *inner.get_weights()))
    return writer.finish("x", (1, tokens, width), writer.add("Add", attended, _dense(writer, hidden, *outer.get_weights())))


def _layer_norm(writer: Writer, x: str, layer: Any) -> str:
    return str(writer.add("LayerNormalization", x, *layer.get_weights(), axis=-1, epsilon=float(layer.epsilon)))


def _dense(writer: Writer, x: str, weight: np.ndarray, bias: np.ndarray) -> str:
    return str(writer.add("Add", writer.add("MatMul", x, weight), bias))


def _split(writer: Writer, x: str, weight: np.ndarray, bias: np.ndarray, tokens: int, heads: int) -> str:
    """Return a projection with its heads in a dimension of their own, before the tokens."""
    flat = _dense(writer, x, weight.reshape(weight.shape[0], -1), bias.reshape(-1))
    return str(writer.add("Transpose", writer.add("Reshape", flat, np.asarray([1, tokens, heads, -1])), perm=[0, 2, 1, 3]))
