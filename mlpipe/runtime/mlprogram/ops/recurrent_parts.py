"""What recurrent layers have in common: weights and states in ONNX's order, activations, the order of steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlpipe.runtime.lowered import UnsupportedLayerError
from mlpipe.runtime.mlprogram.op import Build
from mlpipe.runtime.mlprogram.values import Tensor

ACTIVATIONS: dict[str, tuple[str, dict[str, float]]] = {
    "tanh": ("Tanh", {}),
    "scaled_tanh": ("Tanh", {}),
    "sigmoid": ("Sigmoid", {}),
    "hard_sigmoid": ("HardSigmoid", {"alpha": 0.2, "beta": 0.5}),
    "sigmoid_hard": ("HardSigmoid", {"alpha": 0.2, "beta": 0.5}),
    "relu": ("Relu", {}),
    "linear": ("Affine", {"alpha": 1.0, "beta": 0.0}),
}
"""Core ML's activations with the parameters that they have in recurrent layers: scaled_tanh is scaled by 1. `sigmoid_hard` is rnn's name of hard_sigmoid."""


@dataclass(frozen=True)
class Weights:
    """What one direction of a layer has learned. Its gates are stacked, in Core ML's order."""

    inputs: np.ndarray
    hidden_state: np.ndarray
    bias: np.ndarray | None
    peephole: np.ndarray | None = None
    recurrent_bias: np.ndarray | None = None
    """A second bias, of the hidden state's product."""

    @property
    def hidden(self) -> int:
        """Length of the hidden state."""
        return int(self.hidden_state.shape[1])


def stacked(build: Build, directions: list[Weights], order: tuple[int, ...]) -> list[str]:
    """Return input weights, recurrent weights and biases as ONNX has them: the gates in its order, the directions in front."""

    def gates(values: np.ndarray | None, weights: Weights) -> np.ndarray:
        if values is None:
            return np.zeros(len(order) * weights.hidden)
        split = np.split(values, len(order))
        return np.concatenate([split[gate] for gate in order])

    inputs = np.stack([gates(weights.inputs, weights) for weights in directions])
    recurrent = np.stack([gates(weights.hidden_state, weights) for weights in directions])
    biases = [np.concatenate([gates(weights.bias, weights), gates(weights.recurrent_bias, weights)]) for weights in directions]
    return [build.floats(inputs), build.floats(recurrent), build.floats(np.stack(biases))]


def activation(name: str) -> tuple[str, dict[str, float]]:
    """Return an activation as ONNX's name and parameters."""
    known = ACTIVATIONS.get(name.lower())
    if known is None:
        raise UnsupportedLayerError(f"the activation {name!r} is not known")
    return known


def activations(names: list[str]) -> dict[str, Any]:
    """Return the attributes that tell a recurrent node of ONNX its activations."""
    known = [activation(name) for name in names]
    # ONNX hands the parameters out in order, one to each activation that takes any.
    parameters = [values for _, values in known if values]
    given: dict[str, Any] = {"activations": [name for name, _ in known]}
    if parameters:
        given |= {f"activation_{key}": [values[key] for values in parameters] for key in ("alpha", "beta")}
    return given


def ordered(build: Build, x: Tensor, direction: str) -> str:
    """Return the steps in the order in which the layer takes them."""
    if direction != "reverse":
        return x.name
    limits = np.iinfo(np.int64)
    return build.add("Slice", x, build.int64(limits.max), build.int64(limits.min), build.int64(0), build.int64(-1))


def split_state(build: Build, state: Tensor, directions: int) -> str:
    """Return a state as ONNX has it, (directions, batch, hidden), from (batch, directions * hidden)."""
    if directions == 1:
        return build.add("Unsqueeze", state, build.int64(0))
    return build.add("Transpose", build.add("Reshape", state, build.int64(0, directions, -1)), perm=[1, 0, 2])


def join_state(build: Build, state: str, directions: list[Weights]) -> str:
    """Return a state as Core ML has it, (batch, directions * hidden)."""
    if len(directions) == 1:
        return build.add("Squeeze", state, build.int64(0))
    return build.add("Reshape", build.add("Transpose", state, perm=[1, 0, 2]), build.int64(0, _width(directions)))


def steps(build: Build, sequence: str, directions: list[Weights]) -> str:
    """Return the steps as Core ML has them, (steps, batch, directions * hidden), from (steps, directions, batch, hidden)."""
    if len(directions) == 1:
        return build.add("Squeeze", sequence, build.int64(1))
    return build.add("Reshape", build.add("Transpose", sequence, perm=[0, 2, 1, 3]), build.int64(0, 0, _width(directions)))


def unless_empty(build: Build, x: Tensor, states: list[Tensor], compute: Callable[[Build], list[str]]) -> list[str]:
    """Return what `compute` does, all steps and the last states, but no steps and the initial states where x turns out to be empty.

    ONNX Runtime forgets the initial states of no steps, and its process ends at a batch of none.
    """
    sizes = x.shape[:2]
    if all(isinstance(size, int) and size > 0 for size in sizes):
        return compute(build)
    full, empty = build.graph.subgraph(), build.graph.subgraph()
    full.outputs = {full.name("result"): value for value in compute(Build(full, ()))}
    width = states[0].shape[-1:]
    inside = Build(empty, ())
    shape = inside.add("Concat", inside.add("Shape", x, end=2), inside.add("Shape", states[0], start=1), axis=0)
    none = inside.add("Expand", inside.floats(0.0), shape)
    empty.outputs = {empty.name("result"): value for value in (none, *(state.name for state in states))}
    any_step = build.graph.cast(build.add("Size", x), np.bool_)
    results = build.add_many("If", 1 + len(states), any_step, then_branch=full, else_branch=empty)
    for name, dims in zip(results, (sizes, *[sizes[1:]] * len(states)), strict=True):
        build.graph.set_type(name, np.float32, (*dims, *width))
    return results


def _width(directions: list[Weights]) -> int:
    return sum(weights.hidden for weights in directions)
