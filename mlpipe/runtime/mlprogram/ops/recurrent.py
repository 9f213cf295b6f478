"""Recurrent layers, on ONNX's own where it has the words, else written out as a Scan.

A `reverse` layer gives its steps in the order in which it takes them, the last element first; ONNX would turn them round again.
The backward half of a bidirectional layer is in the order of the input, as ONNX has it.
Source: coremltools' tests of these operations, which run on Core ML itself.
"""

from __future__ import annotations

import numpy as np

from mlpipe.runtime.lowered import UnsupportedLayerError
from mlpipe.runtime.mlprogram.op import Build, op
from mlpipe.runtime.mlprogram.ops.recurrent_lstm import clipped_lstm, plain_lstm
from mlpipe.runtime.mlprogram.ops.recurrent_parts import Weights, activations, join_state, ordered, split_state, stacked, steps, unless_empty
from mlpipe.runtime.mlprogram.values import Tensor

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
    """Return every step or the last, the last hidden state, and the last cell state. `clip` limits the cell state, before the output gate sees it."""
    weights = [Weights(weight_ih, weight_hh, bias, peephole)]
    if direction == "bidirectional":
        if weight_ih_back is None or weight_hh_back is None:
            raise UnsupportedLayerError("it is bidirectional and has no weights for its way back")
        weights.append(Weights(weight_ih_back, weight_hh_back, bias_back, peephole_back))
    else:
        _check_direction(direction)
    names = [recurrent_activation, cell_activation, activation]

    def compute(inside: Build) -> list[str]:
        if clip is None:
            return plain_lstm(inside, x, initial_h, initial_c, weights, names, direction)
        return clipped_lstm(inside, x, initial_h, initial_c, weights, names, direction, clip)

    return _shown(build, unless_empty(build, x, [initial_h, initial_c], compute), output_sequence=output_sequence)


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
    names = [recurrent_activation, activation]
    return _recurrent(build, "GRU", x, initial_h, Weights(weight_ih, weight_hh, bias), names, direction, output_sequence=output_sequence)


@op("gru", since="iOS18")
def gru_with_input_bias(
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
    reset_after: bool = False,
    input_bias: np.ndarray | None = None,
) -> list[str]:
    """Return every step or the last, and the last hidden state; with `reset_after` the reset gate works on the hidden state's product and its bias."""
    weights = Weights(weight_ih, weight_hh, input_bias, recurrent_bias=bias)
    names = [recurrent_activation, activation]
    more = {"linear_before_reset": int(reset_after)}
    return _recurrent(build, "GRU", x, initial_h, weights, names, direction, output_sequence=output_sequence, **more)


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
    return _recurrent(build, "RNN", x, initial_h, Weights(weight_ih, weight_hh, bias), [activation], direction, output_sequence=output_sequence)


def _recurrent(
    build: Build, kind: str, x: Tensor, state: Tensor, weights: Weights, names: list[str], direction: str, *, output_sequence: bool, **more: int
) -> list[str]:
    _check_direction(direction)

    def compute(inside: Build) -> list[str]:
        sequence, last = inside.add_many(
            kind,
            2,
            ordered(inside, x, direction),
            *stacked(inside, [weights], GRU_GATES if kind == "GRU" else (0,)),
            None,
            split_state(inside, state, 1),
            hidden_size=weights.hidden,
            **activations(names),
            **more,
        )
        return [steps(inside, sequence, [weights]), join_state(inside, last, [weights])]

    return _shown(build, unless_empty(build, x, [state], compute), output_sequence=output_sequence)


def _shown(build: Build, results: list[str], *, output_sequence: bool) -> list[str]:
    """Return the layer's outputs: the last hidden state stands in place of all steps where these are not wanted."""
    sequence, last, *others = results
    return [sequence if output_sequence else build.add("Unsqueeze", last, build.int64(0)), last, *others]


def _check_direction(direction: str) -> None:
    if direction not in ("forward", "reverse"):
        raise UnsupportedLayerError(f"direction {direction!r} is not known")
