"""The sequence model and the transformer block as ML Programs of Core ML's own operations, as converters of other frameworks write them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

LSTM_GATES = (0, 1, 3, 2)
"""Core ML's input, forget, output, cell out of Keras' input, forget, cell, output."""


def sequence_model(model: Any, path: Path) -> Path:
    """Write the Keras model with `lstm`; return the package."""
    first, second, dense = (layer for layer in model.layers if layer.get_weights())

    def body(mb: Any, x: Any) -> Any:
        steps = mb.transpose(x=x, perm=[1, 0, 2])
        steps, _, _ = _lstm(mb, first, steps, output_sequence=True)
        _, last, _ = _lstm(mb, second, steps, output_sequence=False)
        return mb.softmax(x=_linear(mb, last, *dense.get_weights()))

    return _save(body, (1, *model.input_shape[1:]), path)


def _lstm(mb: Any, layer: Any, steps: Any, *, output_sequence: bool) -> Any:
    kernel, recurrent, bias = (_gates(np.asarray(weight)) for weight in layer.get_weights())
    state = np.zeros((1, layer.units), np.float32)
    weights = {"weight_ih": kernel.T, "weight_hh": recurrent.T, "bias": bias}
    return mb.lstm(x=steps, initial_h=state, initial_c=state, output_sequence=output_sequence, **weights)


def _gates(values: np.ndarray) -> np.ndarray:
    gates = np.split(values, 4, axis=-1)
    return np.concatenate([gates[gate] for gate in LSTM_GATES], axis=-1)


def transformer_block(model: Any, heads: int, path: Path) -> Path:
    """Write the Keras model with `layer_norm`, `linear`, `matmul`, `softmax` and `gelu`; return the package."""
    before, attention, after, inner, outer = (layer for layer in model.layers if layer.get_weights())
    weights = [np.asarray(weight) for weight in attention.get_weights()]
    tokens, width = model.input_shape[1:]

    def split(mb: Any, x: Any, part: int) -> Any:
        flat = _linear(mb, x, weights[2 * part].reshape(width, width), weights[2 * part + 1].reshape(-1))
        return mb.transpose(x=mb.reshape(x=flat, shape=[1, tokens, heads, width // heads]), perm=[0, 2, 1, 3])

    def body(mb: Any, x: Any) -> Any:
        normal = _layer_norm(mb, x, before)
        query, key, value = (split(mb, normal, part) for part in range(3))
        scores = mb.mul(x=mb.matmul(x=query, y=key, transpose_y=True), y=np.float32((width // heads) ** -0.5))
        mixed = mb.transpose(x=mb.matmul(x=mb.softmax(x=scores), y=value), perm=[0, 2, 1, 3])
        joined = _linear(mb, mb.reshape(x=mixed, shape=[1, tokens, width]), weights[6].reshape(width, width), weights[7])
        attended = mb.add(x=x, y=joined)
        hidden = mb.gelu(x=_linear(mb, _layer_norm(mb, attended, after), *inner.get_weights()), mode="EXACT")
        return mb.add(x=attended, y=_linear(mb, hidden, *outer.get_weights()))

    return _save(body, (1, tokens, width), path)


def _layer_norm(mb: Any, x: Any, layer: Any) -> Any:
    gamma, beta = layer.get_weights()
    return mb.layer_norm(x=x, axes=[-1], gamma=gamma, beta=beta, epsilon=np.float32(layer.epsilon))


def _linear(mb: Any, x: Any, weight: np.ndarray, bias: np.ndarray) -> Any:
    return mb.linear(x=x, weight=np.ascontiguousarray(weight.T), bias=bias)


def _save(body: Any, shape: tuple[int, ...], path: Path) -> Path:
    import coremltools
    from coremltools.converters.mil import Builder
    from coremltools.converters.mil.mil import Function, Program

    program = Program()
    with Function({"x": Builder.placeholder(shape)}, opset_version=coremltools.target.iOS16) as function:
        function.set_outputs([Builder.identity(x=body(Builder, function.inputs["x"]), name="y")])
    program.add_function("main", function)
    options = {"compute_precision": coremltools.precision.FLOAT32, "minimum_deployment_target": coremltools.target.iOS16, "skip_model_load": True}
    coremltools.convert(program, convert_to="mlprogram", **options).save(str(path))
    return path
