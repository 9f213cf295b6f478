"""Functions of single elements: activations, unary functions, comparisons and logic."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

X = np.linspace(-4, 4, 48, dtype=np.float32).reshape(2, 4, 3, 2)
ERF = np.vectorize(math.erf)
CHANNELS = np.asarray([0.1, -0.5, 2, 1], np.float32)
PER_CHANNEL = CHANNELS[:, None, None]


def sigmoid(x: Any) -> Any:
    return 1 / (1 + np.exp(-x))


ACTIVATIONS: list[tuple[dict[str, Any], Callable[[Any], Any]]] = [
    ({"linear": {"alpha": 2, "beta": -1}}, lambda x: 2 * x - 1),
    ({"ReLU": {}}, lambda x: np.maximum(0, x)),
    ({"leakyReLU": {"alpha": 0.3}}, lambda x: np.where(x >= 0, x, 0.3 * x)),
    ({"thresholdedReLU": {"alpha": 1.25}}, lambda x: np.where(x >= 1.25, x, 0)),
    ({"PReLU": {"alpha": {"floatValue": CHANNELS.tolist()}}}, lambda x: np.where(x >= 0, x, PER_CHANNEL * x)),
    ({"PReLU": {"alpha": {"floatValue": [0.25]}}}, lambda x: np.where(x >= 0, x, 0.25 * x)),
    ({"tanh": {}}, np.tanh),
    ({"scaledTanh": {"alpha": 1.7, "beta": 0.6}}, lambda x: 1.7 * np.tanh(0.6 * x)),
    ({"sigmoid": {}}, sigmoid),
    ({"sigmoidHard": {"alpha": 0.2, "beta": 0.5}}, lambda x: np.minimum(np.maximum(0.2 * x + 0.5, 0), 1)),
    ({"ELU": {"alpha": 1.5}}, lambda x: np.where(x >= 0, x, 1.5 * (np.exp(x) - 1))),
    ({"softsign": {}}, lambda x: x / (1 + np.abs(x))),
    ({"softplus": {}}, lambda x: np.log(1 + np.exp(x))),
    (
        {"parametricSoftplus": {"alpha": {"floatValue": CHANNELS.tolist()}, "beta": {"floatValue": [1.5, -1, 0.5, 2]}}},
        lambda x: PER_CHANNEL * np.log(1 + np.exp(np.asarray([1.5, -1, 0.5, 2])[:, None, None] * x)),
    ),
]


@pytest.mark.parametrize(("params", "function"), ACTIVATIONS, ids=lambda value: next(iter(value)) if isinstance(value, dict) else "")
def test_activation(nn: Any, params: dict[str, Any], function: Callable[[Any], Any]) -> None:
    x = np.concatenate([X.reshape(-1)[:-3], [0, 1.25, -0.0]]).astype(np.float32).reshape(X.shape)
    nn.close(nn.run("activation", params, x), function(x.astype(np.float64)))


def test_every_activation_of_the_specification_is_there() -> None:
    from mlpipe.model_files.protobuf import neural_network_pb2
    from mlpipe.runtime.neuralnetwork.layers.activation import ACTIVATIONS as IMPLEMENTED

    declared = {field.name for field in neural_network_pb2().ActivationParams.DESCRIPTOR.oneofs_by_name["NonlinearityType"].fields}
    assert set(IMPLEMENTED) == declared
    assert {next(iter(params)) for params, _ in ACTIVATIONS} == declared


PLAIN: list[tuple[str, dict[str, Any], Callable[[Any], Any], Any]] = [
    ("sin", {}, np.sin, X),
    ("cos", {}, np.cos, X),
    ("tan", {}, np.tan, X / 3),
    ("asin", {}, np.arcsin, X / 4),
    ("acos", {}, np.arccos, X / 4),
    ("atan", {}, np.arctan, X),
    ("sinh", {}, np.sinh, X),
    ("cosh", {}, np.cosh, X),
    ("tanh", {}, np.tanh, X),
    ("asinh", {}, np.arcsinh, X),
    ("acosh", {}, np.arccosh, X + 5.5),
    ("atanh", {}, np.arctanh, X / 4.5),
    ("erf", {}, ERF, X),
    ("ceil", {}, np.ceil, X),
    ("floor", {}, np.floor, X),
    ("sign", {}, np.sign, np.asarray([-2.5, 0, 3])),
    ("round", {}, np.rint, np.asarray([-2.5, -1.5, 0.5, 0.49, 1.5, 2.51])),
    ("exp2", {}, np.exp2, X),
    ("clip", {"minVal": -1.5, "maxVal": 2}, lambda x: np.clip(x, -1.5, 2), X),
    ("clampedReLU", {"alpha": 0.3, "beta": 2}, lambda x: np.minimum(2, np.where(x >= 0, x, 0.3 * x)), X),
    ("clampedReLU", {"alpha": -2, "beta": 1}, lambda x: np.minimum(1, np.where(x >= 0, x, -2 * x)), X),
    ("gelu", {"mode": "EXACT"}, lambda x: 0.5 * x * (1 + ERF(x / np.sqrt(2))), X),
    ("gelu", {"mode": "TANH_APPROXIMATION"}, lambda x: 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))), X),
    ("gelu", {"mode": "SIGMOID_APPROXIMATION"}, lambda x: x * sigmoid(1.702 * x), X),
    ("unary", {"type": "SQRT"}, np.sqrt, X + 5),
    ("unary", {"type": "SQRT", "scale": 2, "shift": 9}, lambda x: np.sqrt(2 * x + 9), X),
    ("unary", {"type": "RSQRT", "epsilon": 0.5}, lambda x: 1 / np.sqrt(x + 0.5), X + 5),
    ("unary", {"type": "RSQRT"}, lambda x: 1 / np.sqrt(x + 1e-6), np.asarray([1e-6, 1])),
    ("unary", {"type": "INVERSE", "epsilon": 0.25}, lambda x: 1 / (x + 0.25), X + 5),
    ("unary", {"type": "INVERSE"}, lambda x: 1 / (x + 1e-6), np.asarray([1e-6, 1])),
    ("unary", {"type": "POWER", "alpha": 3}, lambda x: x**3, X),
    ("unary", {"type": "POWER", "alpha": 0.3, "shift": 5}, lambda x: (x + 5) ** 0.3, X),
    ("unary", {"type": "EXP", "scale": -0.5}, lambda x: np.exp(-0.5 * x), X),
    ("unary", {"type": "LOG"}, np.log, X + 5),
    ("unary", {"type": "LOG", "epsilon": 1}, np.log1p, X + 5),
    ("unary", {"type": "ABS"}, np.abs, X),
    ("unary", {"type": "THRESHOLD", "alpha": 0.75}, lambda x: np.maximum(x, 0.75), X),
]


@pytest.mark.parametrize(("kind", "params", "function", "x"), PLAIN)
def test_functions(nn: Any, kind: str, params: dict[str, Any], function: Callable[[Any], Any], x: Any) -> None:
    x = np.asarray(x, np.float32)
    nn.close(nn.run(kind, params, x), function(x.astype(np.float64)))


A = np.asarray([[0, 1, 2], [-1, 3, 0]], np.float32)
B = np.asarray([0, 2, 2], np.float32)
COMPARISONS = {
    "equal": np.equal,
    "notEqual": np.not_equal,
    "lessThan": np.less,
    "lessEqual": np.less_equal,
    "greaterThan": np.greater,
    "greaterEqual": np.greater_equal,
}
LOGIC = {"logicalAnd": np.logical_and, "logicalOr": np.logical_or, "logicalXor": np.logical_xor}


@pytest.mark.parametrize("kind", COMPARISONS)
def test_comparisons(nn: Any, kind: str) -> None:
    nn.close(nn.run(kind, {}, A, B), COMPARISONS[kind](A, B).astype(np.float32))
    nn.close(nn.run(kind, {"alpha": 2}, A), COMPARISONS[kind](A, 2).astype(np.float32))


@pytest.mark.parametrize("kind", LOGIC)
def test_logic(nn: Any, kind: str) -> None:
    nn.close(nn.run(kind, {}, A, B), LOGIC[kind](A, B).astype(np.float32))


def test_negation_and_selection(nn: Any) -> None:
    nn.close(nn.run("logicalNot", {}, A), np.logical_not(A).astype(np.float32))
    x, y = nn.random(4, 1, 3), nn.random(1, 3, seed=1)
    nn.close(nn.run("whereBroadcastable", {}, A, x, y), np.where(A != 0, x, y))
    nn.close(nn.run("whereNonZero", {}, A), np.argwhere(A).astype(np.float32))


def test_a_wrong_number_of_inputs_is_refused(nn: Any) -> None:
    assert "1 inputs" in nn.refusal("logicalAnd", {}, (2,))
    assert "2 inputs" in nn.refusal("sin", {}, (2,), (2,))
