"""Recurrent layers against the specification's equations, step by step in numpy."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest

INPUTS, SIZE, STEPS, BATCH = 3, 4, 5, 2
Function = Callable[[np.ndarray], np.ndarray]


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


ACTIVATIONS: dict[str, tuple[dict[str, Any], Function]] = {
    "linear": ({"linear": {"alpha": 1}}, lambda x: x),
    "sigmoid": ({"sigmoid": {}}, sigmoid),
    "tanh": ({"tanh": {}}, np.tanh),
    "relu": ({"ReLU": {}}, lambda x: np.maximum(x, 0)),
    "scaled": ({"scaledTanh": {"alpha": 1.7159, "beta": 2 / 3}}, lambda x: np.float32(1.7159) * np.tanh(np.float32(2 / 3) * x)),
    "hard": ({"sigmoidHard": {"alpha": 0.2, "beta": 0.5}}, lambda x: np.clip(np.float32(0.2) * x + 0.5, 0, 1)),
    # As coremltools' builder writes them: without alpha and beta.
    "linear, bare": ({"linear": {}}, lambda x: x),
    "scaled, bare": ({"scaledTanh": {}}, np.tanh),
    "hard, bare": ({"sigmoidHard": {}}, lambda x: np.clip(np.float32(0.2) * x + 0.5, 0, 1)),
}


def clip(x: np.ndarray, limit: float = 50.0) -> np.ndarray:
    return np.clip(x, -limit, limit)


class Parameters:
    """Random weights by name, and as the specification's fields."""

    def __init__(self, nn: Any, scale: float = 1.0) -> None:
        self.nn, self.scale, self.count = nn, scale, 0

    def __call__(self, *shape: int) -> np.ndarray:
        self.count += 1
        return (self.nn.random(*shape, seed=self.count) * self.scale).astype(np.float32)


def rolled(step: Callable[..., list[np.ndarray]], x: np.ndarray, states: list[np.ndarray], *, reverse: bool) -> tuple[np.ndarray, list[np.ndarray]]:
    """All outputs in the order in which they are computed, and the last states."""
    outputs = []
    for vector in x[::-1] if reverse else x:
        states = step(vector, *states)
        outputs.append(states[0])
    return np.stack(outputs), states


def five(value: np.ndarray) -> np.ndarray:
    return value.reshape(*value.shape, 1, 1) if value.ndim == 3 else value.reshape(1, *value.shape, 1, 1)


def check(nn: Any, kind: str, params: Any, x: np.ndarray, states: list[np.ndarray], expected: list[np.ndarray], *, feeds_states: bool) -> None:
    arrays = [five(x), *([five(state) for state in states] if feeds_states else [])]
    count = len(expected) if feeds_states else 1
    found = nn.run(kind, params, *arrays, outputs=count)
    for actual, wanted in zip(found if count > 1 else [found], expected, strict=False):
        nn.close(actual, five(wanted), 1e-5)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize(
    ("reverse", "all_steps", "bias", "feeds"), [(False, True, True, True), (True, True, False, False), (False, False, True, False), (True, False, True, True)]
)
def test_simple_recurrent(nn: Any, activation: str, reverse: bool, all_steps: bool, bias: bool, feeds: bool) -> None:
    make, (fields, f) = Parameters(nn), ACTIVATIONS[activation]
    w, r, b = make(SIZE, INPUTS), make(SIZE, SIZE), make(SIZE)
    params = {"inputVectorSize": INPUTS, "outputVectorSize": SIZE, "activation": fields, "sequenceOutput": all_steps, "reverseInput": reverse}
    params |= {"weightMatrix": nn.weights(w), "recursionMatrix": nn.weights(r), "hasBiasVector": bias} | ({"biasVector": nn.weights(b)} if bias else {})
    x, state = make(STEPS, BATCH, INPUTS), make(BATCH, SIZE) if feeds else np.zeros((BATCH, SIZE))

    def step(vector: np.ndarray, y: np.ndarray) -> list[np.ndarray]:
        return [f(clip(vector @ w.T + y @ r.T + (b if bias else 0)))]

    outputs, last = rolled(step, x.astype(np.float64), [state], reverse=reverse)
    check(nn, "simpleRecurrent", params, x, [state], [outputs if all_steps else last[0], *last], feeds_states=feeds)


@pytest.mark.parametrize(("f_name", "g_name"), [("sigmoid", "tanh"), ("hard", "relu"), ("tanh", "linear"), ("scaled", "scaled")])
@pytest.mark.parametrize(("reverse", "all_steps", "bias", "feeds"), [(False, True, True, True), (True, True, False, False), (False, False, True, False)])
def test_gru(nn: Any, f_name: str, g_name: str, reverse: bool, all_steps: bool, bias: bool, feeds: bool) -> None:
    make = Parameters(nn, 0.5)
    gates = ("update", "reset", "output")
    w, r, b = ({gate: make(*shape) for gate in gates} for shape in ((SIZE, INPUTS), (SIZE, SIZE), (SIZE,)))
    f, g = ACTIVATIONS[f_name][1], ACTIVATIONS[g_name][1]
    params: dict[str, Any] = {"inputVectorSize": INPUTS, "outputVectorSize": SIZE, "sequenceOutput": all_steps, "reverseInput": reverse}
    params |= {"activations": [ACTIVATIONS[f_name][0], ACTIVATIONS[g_name][0]], "hasBiasVectors": bias}
    for gate in gates:
        params |= {f"{gate}GateWeightMatrix": nn.weights(w[gate]), f"{gate}GateRecursionMatrix": nn.weights(r[gate])}
        params |= {f"{gate}GateBiasVector": nn.weights(b[gate])} if bias else {}
    x, state = make(STEPS, BATCH, INPUTS), make(BATCH, SIZE) if feeds else np.zeros((BATCH, SIZE))

    def step(vector: np.ndarray, y: np.ndarray) -> list[np.ndarray]:
        added = {gate: b[gate] if bias else 0 for gate in gates}
        z = f(clip(vector @ w["update"].T + y @ r["update"].T + added["update"]))
        reset = f(clip(vector @ w["reset"].T + y @ r["reset"].T + added["reset"]))
        o = g(clip(vector @ w["output"].T + (y * reset) @ r["output"].T + added["output"]))
        return [(1 - z) * o + z * y]

    outputs, last = rolled(step, x.astype(np.float64), [state], reverse=reverse)
    check(nn, "gru", params, x, [state], [outputs if all_steps else last[0], *last], feeds_states=feeds)


GATES = ("inputGate", "forgetGate", "blockInput", "outputGate")


class Lstm:
    """One direction of an LSTM: its weights, their fields, and its step."""

    def __init__(self, nn: Any, make: Parameters, how: dict[str, Any], names: tuple[str, str, str]) -> None:
        self.how = how
        self.f, self.g, self.h = (ACTIVATIONS[name][1] for name in names)
        self.w, self.r, self.b, self.p = ({gate: make(*shape) for gate in GATES} for shape in ((SIZE, INPUTS), (SIZE, SIZE), (SIZE,), (SIZE,)))
        self.fields = {}
        for gate in GATES:
            self.fields |= {f"{gate}WeightMatrix": nn.weights(self.w[gate]), f"{gate}RecursionMatrix": nn.weights(self.r[gate])}
            self.fields |= {f"{gate}BiasVector": nn.weights(self.b[gate])} if how.get("hasBiasVectors") else {}
            self.fields |= {f"{gate}PeepholeVector": nn.weights(self.p[gate])} if how.get("hasPeepholeVectors") and gate != "blockInput" else {}

    def step(self, vector: np.ndarray, y: np.ndarray, c: np.ndarray) -> list[np.ndarray]:
        how = self.how
        sums = {gate: vector @ self.w[gate].T + y @ self.r[gate].T + (self.b[gate] if how.get("hasBiasVectors") else 0) for gate in GATES}
        sums["forgetGate"] = sums["forgetGate"] + (1 if how.get("forgetBias") else 0)
        peep = {gate: self.p[gate] if how.get("hasPeepholeVectors") else 0 for gate in GATES}
        i = self.f(clip(sums["inputGate"] + peep["inputGate"] * c))
        forget = 1 - i if how.get("coupledInputAndForgetGate") else self.f(clip(sums["forgetGate"] + peep["forgetGate"] * c))
        c = clip(c * forget + i * self.g(clip(sums["blockInput"])), how.get("cellClipThreshold") or 50.0)
        return [self.h(c) * self.f(clip(sums["outputGate"] + peep["outputGate"] * c)), c]


HOWS: list[dict[str, Any]] = [
    {},
    {"hasBiasVectors": True},
    {"hasBiasVectors": True, "forgetBias": True},
    {"hasPeepholeVectors": True, "hasBiasVectors": True},
    {"coupledInputAndForgetGate": True, "hasPeepholeVectors": True},
    {"cellClipThreshold": 0.25, "hasBiasVectors": True},
]
NAMES = [("sigmoid", "tanh", "tanh"), ("hard", "relu", "linear"), ("sigmoid", "scaled", "scaled")]


@pytest.mark.parametrize("how", HOWS)
@pytest.mark.parametrize("names", NAMES)
@pytest.mark.parametrize(("reverse", "all_steps", "feeds"), [(False, True, True), (True, True, False), (True, False, True)])
def test_unidirectional_lstm(nn: Any, how: dict[str, Any], names: Any, reverse: bool, all_steps: bool, feeds: bool) -> None:
    make = Parameters(nn)
    lstm = Lstm(nn, make, how, names)
    params = {"inputVectorSize": INPUTS, "outputVectorSize": SIZE, "activations": [ACTIVATIONS[name][0] for name in names], "reverseInput": reverse}
    params |= {"params": {**how, "sequenceOutput": all_steps}, "weightParams": lstm.fields}
    x, states = make(STEPS, BATCH, INPUTS), [make(BATCH, SIZE) if feeds else np.zeros((BATCH, SIZE)) for _ in range(2)]
    outputs, last = rolled(lstm.step, x.astype(np.float64), states, reverse=reverse)
    check(nn, "uniDirectionalLSTM", params, x, states, [outputs if all_steps else last[0], *last], feeds_states=feeds)


@pytest.mark.parametrize(("how", "all_steps", "feeds"), list(product([HOWS[2], HOWS[3]], [False, True], [False, True])))
def test_bidirectional_lstm(nn: Any, how: dict[str, Any], all_steps: bool, feeds: bool) -> None:
    make, names = Parameters(nn), NAMES[0]
    forth, back = Lstm(nn, make, how, names), Lstm(nn, make, how, names)
    fields = [ACTIVATIONS[name][0] for name in names]
    params = {"inputVectorSize": INPUTS, "outputVectorSize": SIZE, "activationsForwardLSTM": fields, "activationsBackwardLSTM": fields}
    params |= {"params": {**how, "sequenceOutput": all_steps}, "weightParams": [forth.fields, back.fields]}
    x, states = make(STEPS, BATCH, INPUTS), [make(BATCH, SIZE) if feeds else np.zeros((BATCH, SIZE)) for _ in range(4)]
    first, last = rolled(forth.step, x.astype(np.float64), states[:2], reverse=False)
    second, last_back = rolled(back.step, x.astype(np.float64), states[2:], reverse=True)
    # The steps of the way back stand in the order of the input.
    shown = np.concatenate([first, second[::-1]] if all_steps else [last[0], last_back[0]], axis=-1)
    check(nn, "biDirectionalLSTM", params, x, states, [shown, *last, *last_back], feeds_states=feeds)


def test_sums_and_cells_end_at_fifty(nn: Any) -> None:
    """A linear layer that doubles its state at every step; a cell that grows by 20."""
    params = {"inputVectorSize": 1, "outputVectorSize": 1, "activation": {"linear": {"alpha": 1}}, "sequenceOutput": True}
    params |= {"weightMatrix": nn.weights([1]), "recursionMatrix": nn.weights([2])}
    found = nn.run("simpleRecurrent", params, np.full((4, 1, 1, 1, 1), 9.0))
    assert found.reshape(-1).tolist() == [9, 27, 50, 50]
    one, zero = nn.weights([1]), nn.weights([0])
    fields = {f"{gate}{kind}": zero for gate in GATES for kind in ("WeightMatrix", "RecursionMatrix")} | {"blockInputWeightMatrix": one}
    linear = {"linear": {"alpha": 0, "beta": 1}}
    lstm = {"inputVectorSize": 1, "outputVectorSize": 1, "activations": [linear, {"linear": {"alpha": 1}}, {"linear": {"alpha": 1}}], "weightParams": fields}
    lstm["params"] = {"sequenceOutput": True}
    assert nn.run("uniDirectionalLSTM", lstm, np.full((4, 1, 1, 1, 1), 20.0)).reshape(-1).tolist() == [20, 40, 50, 50]


def test_what_does_not_fit_is_refused(nn: Any) -> None:
    size = {"inputVectorSize": 3, "outputVectorSize": 4}
    assert "0 activations where there should be two" in nn.refusal("gru", size, (5, 2, 3, 1, 1))
    assert "should be three" in nn.refusal("uniDirectionalLSTM", size, (5, 2, 3, 1, 1))
    assert "0 sets of weights where there should be two" in nn.refusal("biDirectionalLSTM", size, (5, 2, 3, 1, 1))
    matrix = {"recursionMatrix": nn.weights(np.zeros(16)), "weightMatrix": nn.weights(np.zeros(12))}
    assert "no sequence of vectors" in nn.refusal("simpleRecurrent", {**size, **matrix}, (5, 2, 7, 1, 1))
