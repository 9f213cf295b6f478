"""Recurrent layers, on ONNX's own: gates are put into its order, and what it has no word for is refused.

A `reverse` layer gives its steps in the order in which it takes them, the last element first; ONNX would turn them round again.
The backward half of a bidirectional layer is in the order of the input, as ONNX has it.
Source: coremltools' tests of these operations, which run on Core ML itself.
"""

from __future__ import annotations

import numpy as np

from mlpipe.runtime.lowered import UnsupportedLayerError
from mlpipe.runtime.mlprogram.op import Build, op
from mlpipe.runtime.mlprogram.values import Tensor

ACTIVATIONS = {"tanh": "Tanh", "scaled_tanh": "Tanh", "sigmoid": "Sigmoid", "hard_sigmoid": "HardSigmoid", "relu": "Relu", "linear": "Affine"}
"""Core ML's activations with the parameters that they have in recurrent layers: scaled_tanh is scaled by 1."""

PARAMETERS = {"HardSigmoid": (0.2, 0.5), "Affine": (1.0, 0.0)}
"""Alpha and beta of those that take any."""

LSTM_GATES = (0, 2, 1, 3)
"""ONNX's input, output, forget, cell out of Core ML's input, forget, output, cell."""

GRU_GATES = (2, 0, 1)
"""ONNX's update, reset, hidden out of Core ML's reset, hidden (called output), update."""


@op("lstm")
def lstm(
    build: Build,
    x: Tensor,
    initial_h: Tensor,
    initial_c: Tensor,
    weight_ih: np.ndarray,
    weight_hh: np.ndarray,
    bias: np.ndarray | None = None,
    peephole: np.ndarray | None = None,
    weight_ih_back: np.ndarray | None = None,
    weight_hh_back: np.ndarray | None = None,
    bias_back: np.ndarray | None = None,
    peephole_back: np.ndarray | None = None,
    direction: str = "forward",
    output_sequence: bool = False,
    recurrent_activation: str = "sigmoid",
    cell_activation: str = "tanh",
    activation: str = "tanh",
    clip: float | None = None,
) -> list[str]:
    """Return every step or the last, the last hidden state, and the last cell state."""
    if clip is not None:
        raise UnsupportedLayerError("clip is not supported: it limits the cell state, and ONNX's limits the gates")
    weights = [(weight_ih, weight_hh, bias)]
    peepholes = [peephole]
    if direction == "bidirectional":
        assert weight_ih_back is not None
        assert weight_hh_back is not None
        weights.append((weight_ih_back, weight_hh_back, bias_back))
        peepholes.append(peephole_back)
    elif direction not in ("forward", "reverse"):
        raise UnsupportedLayerError(f"direction {direction!r} is not known")
    inputs, recurrent, biases = _stacked(weights, LSTM_GATES)
    states = [_split_state(build, state, len(weights)) for state in (initial_h, initial_c)]
    names = [recurrent_activation, cell_activation, activation] * len(weights)
    hidden = weight_hh.shape[1]
    peeps = [np.zeros(3 * hidden) if each is None else each.reshape(3, hidden)[[0, 2, 1]].reshape(-1) for each in peepholes]
    sequence, last_h, last_c = build.add_many(
        "LSTM",
        3,
        _ordered(build, x, direction),
        build.floats(inputs),
        build.floats(recurrent),
        build.floats(biases),
        None,
        *states,
        build.floats(np.stack(peeps)) if any(each is not None for each in peepholes) else None,
        hidden_size=hidden,
        direction="bidirectional" if len(weights) == 2 else "forward",
        **_activations(names),
    )
    joined = [_join_state(build, state, hidden * len(weights)) for state in (last_h, last_c)]
    return [_steps(build, sequence, joined[0], hidden * len(weights), output_sequence=output_sequence), *joined]


@op("gru")
def gru(
    build: Build,
    x: Tensor,
    initial_h: Tensor,
    weight_ih: np.ndarray,
    weight_hh: np.ndarray,
    bias: np.ndarray | None = None,
    direction: str = "forward",
    output_sequence: bool = False,
    recurrent_activation: str = "sigmoid",
    activation: str = "tanh",
) -> list[str]:
    """Return every step or the last, and the last hidden state; the reset gate works on the hidden state before its product with the weight."""
    inputs, recurrent, biases = _stacked([(weight_ih, weight_hh, bias)], GRU_GATES)
    hidden = weight_hh.shape[1]
    sequence, last = build.add_many(
        "GRU",
        2,
        _ordered(build, x, direction),
        build.floats(inputs),
        build.floats(recurrent),
        build.floats(biases),
        None,
        _split_state(build, initial_h, 1),
        hidden_size=hidden,
        linear_before_reset=0,
        **_activations([recurrent_activation, activation]),
    )
    state = _join_state(build, last, hidden)
    return [_steps(build, sequence, state, hidden, output_sequence=output_sequence), state]


@op("rnn")
def rnn(
    build: Build,
    x: Tensor,
    initial_h: Tensor,
    weight_ih: np.ndarray,
    weight_hh: np.ndarray,
    bias: np.ndarray | None = None,
    direction: str = "forward",
    output_sequence: bool = False,
    activation: str = "tanh",
) -> list[str]:
    """Return every step or the last, and the last hidden state."""
    inputs, recurrent, biases = _stacked([(weight_ih, weight_hh, bias)], (0,))
    hidden = weight_hh.shape[1]
    sequence, last = build.add_many(
        "RNN",
        2,
        _ordered(build, x, direction),
        build.floats(inputs),
        build.floats(recurrent),
        build.floats(biases),
        None,
        _split_state(build, initial_h, 1),
        hidden_size=hidden,
        **_activations([activation]),
    )
    state = _join_state(build, last, hidden)
    return [_steps(build, sequence, state, hidden, output_sequence=output_sequence), state]


Weights = tuple[np.ndarray, np.ndarray, np.ndarray | None]


def _stacked(directions: list[Weights], order: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return weights and bias with their gates in ONNX's order, the directions in front; the second half of the bias is zero."""

    def ordered(values: np.ndarray) -> np.ndarray:
        gates = np.split(values, len(order))
        return np.concatenate([gates[gate] for gate in order])

    rows = directions[0][0].shape[0]
    biases = [np.zeros(rows) if bias is None else ordered(bias) for _, _, bias in directions]
    inputs = np.stack([ordered(weight) for weight, _, _ in directions])
    recurrent = np.stack([ordered(weight) for _, weight, _ in directions])
    return inputs, recurrent, np.stack([np.concatenate([bias, np.zeros(rows)]) for bias in biases])


def _activations(names: list[str]) -> dict[str, list[str] | list[float]]:
    for name in names:
        if name not in ACTIVATIONS:
            raise UnsupportedLayerError(f"the activation {name!r} is not supported")
    activations = [ACTIVATIONS[name] for name in names]
    # ONNX hands the parameters out in order, one to each activation that takes any.
    parameters = [PARAMETERS[activation] for activation in activations if activation in PARAMETERS]
    given: dict[str, list[str] | list[float]] = {"activations": activations}
    if parameters:
        given["activation_alpha"] = [alpha for alpha, _ in parameters]
        given["activation_beta"] = [beta for _, beta in parameters]
    return given


def _ordered(build: Build, x: Tensor, direction: str) -> str:
    """Return the steps in the order in which the layer takes them."""
    if direction != "reverse":
        return x.name
    limits = np.iinfo(np.int64)
    return build.add("Slice", x, build.int64(limits.max), build.int64(limits.min), build.int64(0), build.int64(-1))


def _split_state(build: Build, state: Tensor, directions: int) -> str:
    """Return a state as ONNX has it, (directions, batch, hidden), from (batch, directions * hidden)."""
    return build.add("Transpose", build.add("Reshape", state, build.int64(0, directions, -1)), perm=[1, 0, 2])


def _join_state(build: Build, state: str, width: int) -> str:
    return build.add("Reshape", build.add("Transpose", state, perm=[1, 0, 2]), build.int64(0, width))


def _steps(build: Build, sequence: str, last: str, width: int, *, output_sequence: bool) -> str:
    if not output_sequence:
        return build.add("Unsqueeze", last, build.int64(0))
    return build.add("Reshape", build.add("Transpose", sequence, perm=[0, 2, 1, 3]), build.int64(0, 0, width))
