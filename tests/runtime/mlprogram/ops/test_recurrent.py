"""Recurrent layers against their formulas, one step at a time.

Source: the references in coremltools' own tests of these operations, which it holds against Core ML, and the formulas of the operations' documentation.
"""

from __future__ import annotations

import numpy as np
import pytest

from mlpipe.errors import NotExecutable
from mlpipe.model_files.read import read_model
from mlpipe.runtime import Precision
from mlpipe.runtime.model import lower

RANDOM = np.random.default_rng(12)
STEPS, BATCH, INPUTS, HIDDEN = 5, 2, 3, 4
CLIP = 0.3


def normal(*shape):
    # Small enough that layers without bounded activations stay finite.
    return (0.6 * RANDOM.standard_normal(shape)).astype(np.float32)


ACTIVATIONS = {
    "tanh": np.tanh,
    "scaled_tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "hard_sigmoid": lambda x: np.clip(0.2 * x + 0.5, 0, 1),
    "relu": lambda x: np.maximum(x, 0),
    "linear": lambda x: x,
}
ALL = list(ACTIVATIONS)
# Each activation stands once in each place.
THREE = [(name, ALL[(place + 1) % 6], ALL[(place + 3) % 6]) for place, name in enumerate(ALL)]
TWO = [names[:2] for names in THREE]


def lstm(x, h, c, w, r, b, p, names, clip):
    gate, cell, out = (ACTIVATIONS[name] for name in names)
    steps = []
    for step in x:
        i, f, o, z = np.split(step @ w.T + h @ r.T + b, 4, axis=1)
        i, f = gate(i + p[0] * c), gate(f + p[1] * c)
        c = np.clip(f * c + i * cell(z), -clip, clip)
        h = gate(o + p[2] * c) * out(c)
        steps.append(h)
    return np.stack(steps), h, c


def gru(x, h, w, r, b, names, reset_after=False, b_in=0.0):
    gate, out = (ACTIVATIONS[name] for name in names)
    steps = []
    rr, ro, rz = np.split(r, 3)
    br, bo, bz = np.split(b, 3)
    for step in x:
        xr, xo, xz = np.split(step @ w.T + b_in, 3, axis=1)
        reset, update = gate(xr + h @ rr.T + br), gate(xz + h @ rz.T + bz)
        new = out(xo + (reset * (h @ ro.T + bo) if reset_after else (h * reset) @ ro.T + bo))
        h = (1 - update) * new + update * h
        steps.append(h)
    return np.stack(steps), h


def rnn(x, h, w, r, b, name):
    steps = []
    for step in x:
        h = ACTIVATIONS[name](step @ w.T + h @ r.T + b)
        steps.append(h)
    return np.stack(steps), h


def check(results, expected):
    for result, value in zip(results, expected, strict=True):
        np.testing.assert_allclose(result, value, rtol=1e-4, atol=1e-5)


def turned(x, direction):
    return x[::-1] if direction == "reverse" else x


X = normal(STEPS, BATCH, INPUTS)
PLAIN = ("sigmoid", "tanh", "tanh")
ROWS = [
    *(("forward", names, True, clip) for names in THREE for clip in (None, CLIP)),
    *((direction, PLAIN, full, clip) for direction in ("forward", "reverse") for full in (True, False) for clip in (None, CLIP)),
]


@pytest.mark.parametrize(("direction", "names", "full", "clip"), ROWS)
def test_lstm(run, direction, names, full, clip) -> None:
    w, r, b, p = normal(4 * HIDDEN, INPUTS), normal(4 * HIDDEN, HIDDEN), normal(4 * HIDDEN), normal(3, HIDDEN)
    feed = {"x": X, "h": normal(BATCH, HIDDEN), "c": normal(BATCH, HIDDEN)}
    more = {"bias": b, "peephole": p.reshape(-1)} if full else {}
    more |= {} if clip is None else {"clip": np.float32(clip)}

    def body(mb, x, h, c):
        gate, cell, out = names
        activations = {"recurrent_activation": gate, "cell_activation": cell, "activation": out}
        return mb.lstm(x=x, initial_h=h, initial_c=c, weight_ih=w, weight_hh=r, direction=direction, output_sequence=full, **activations, **more)

    b, p = (b, p) if full else (np.zeros(4 * HIDDEN), np.zeros((3, HIDDEN)))
    steps, h, c = lstm(turned(X, direction), feed["h"], feed["c"], w, r, b, p, names, np.inf if clip is None else clip)
    check(run(body, feed), (steps if full else steps[-1:], h, c))


@pytest.mark.parametrize("sequence", [True, False])
@pytest.mark.parametrize("clip", [None, CLIP])
@pytest.mark.parametrize("peepholes", [(), (0,), (0, 1)])
def test_bidirectional_lstm(run, sequence, clip, peepholes) -> None:
    w, r, b, p = normal(2, 4 * HIDDEN, INPUTS), normal(2, 4 * HIDDEN, HIDDEN), normal(2, 4 * HIDDEN), normal(2, 3, HIDDEN)
    p[[side not in peepholes for side in (0, 1)]] = 0
    feed = {"x": X, "h": normal(BATCH, 2 * HIDDEN), "c": normal(BATCH, 2 * HIDDEN)}
    more = {} if clip is None else {"clip": np.float32(clip)}
    more |= {("peephole", "peephole_back")[side]: p[side].reshape(-1) for side in peepholes}

    def body(mb, x, h, c):
        back = {"weight_ih_back": w[1], "weight_hh_back": r[1], "bias_back": b[1]}
        forward = {"weight_ih": w[0], "weight_hh": r[0], "bias": b[0]}
        return mb.lstm(x=x, initial_h=h, initial_c=c, direction="bidirectional", output_sequence=sequence, **forward, **back, **more)

    states = [np.split(feed[name], 2, axis=1) for name in ("h", "c")]
    limit = np.inf if clip is None else clip
    ahead = lstm(X, states[0][0], states[1][0], w[0], r[0], b[0], p[0], PLAIN, limit)
    back = lstm(X[::-1], states[0][1], states[1][1], w[1], r[1], b[1], p[1], PLAIN, limit)
    steps = np.concatenate([ahead[0], back[0][::-1]], axis=2)
    last = [np.concatenate([one, other], axis=1) for one, other in zip(ahead[1:], back[1:], strict=True)]
    check(run(body, feed), (steps if sequence else last[0][None], *last))


@pytest.mark.parametrize("direction", ["forward", "reverse"])
@pytest.mark.parametrize("names", TWO, ids="-".join)
@pytest.mark.parametrize("full", [True, False], ids=["bias, sequence", "plain"])
def test_gru(run, direction, names, full) -> None:
    w, r, b = normal(3 * HIDDEN, INPUTS), normal(3 * HIDDEN, HIDDEN), normal(3 * HIDDEN)
    feed = {"x": X, "h": normal(BATCH, HIDDEN)}
    more = {"bias": b} if full else {}

    def body(mb, x, h):
        activations = dict(zip(("recurrent_activation", "activation"), names, strict=True))
        return mb.gru(x=x, initial_h=h, weight_ih=w, weight_hh=r, direction=direction, output_sequence=full, **activations, **more)

    steps, h = gru(turned(X, direction), feed["h"], w, r, b if full else np.zeros(3 * HIDDEN), names)
    check(run(body, feed), (steps if full else steps[-1:], h))


@pytest.mark.parametrize("direction", ["forward", "reverse"])
@pytest.mark.parametrize("given", [("bias",), ("input_bias",), ("bias", "input_bias"), ()], ids=str)
@pytest.mark.parametrize("reset_after", [True, False])
def test_gru_with_two_biases(run, direction, given, reset_after) -> None:
    w, r = normal(3 * HIDDEN, INPUTS), normal(3 * HIDDEN, HIDDEN)
    biases = {name: normal(3 * HIDDEN) for name in given}
    feed = {"x": X, "h": normal(BATCH, HIDDEN)}

    def body(mb, x, h):
        return mb.gru(x=x, initial_h=h, weight_ih=w, weight_hh=r, direction=direction, output_sequence=True, reset_after=reset_after, **biases)

    none = np.zeros(3 * HIDDEN)
    expected = gru(turned(X, direction), feed["h"], w, r, biases.get("bias", none), ("sigmoid", "tanh"), reset_after, biases.get("input_bias", none))
    check(run(body, feed, opset="iOS18"), expected)


@pytest.mark.parametrize("direction", ["forward", "reverse"])
@pytest.mark.parametrize("name", [*ALL, "sigmoid_hard", "TANH"])
@pytest.mark.parametrize("full", [True, False], ids=["bias, sequence", "plain"])
def test_rnn(run, direction, name, full) -> None:
    w, r, b = normal(HIDDEN, INPUTS), normal(HIDDEN, HIDDEN), normal(HIDDEN)
    feed = {"x": X, "h": normal(BATCH, HIDDEN)}
    more = {"bias": b} if full else {}

    def body(mb, x, h):
        return mb.rnn(x=x, initial_h=h, weight_ih=w, weight_hh=r, direction=direction, output_sequence=full, activation=name, **more)

    plain = {"sigmoid_hard": "hard_sigmoid"}.get(name, name.lower())
    steps, h = rnn(turned(X, direction), feed["h"], w, r, b if full else np.zeros(HIDDEN), plain)
    check(run(body, feed), (steps if full else steps[-1:], h))


@pytest.mark.parametrize("clip", [None, CLIP])
@pytest.mark.parametrize("direction", ["reverse", "bidirectional"])
def test_steps_and_batch_that_vary(mil, run, direction, clip) -> None:
    sides = 2 if direction == "bidirectional" else 1
    w, r = normal(sides, 4 * HIDDEN, INPUTS), normal(sides, 4 * HIDDEN, HIDDEN)
    feed = {"x": X, "h": normal(BATCH, sides * HIDDEN), "c": normal(BATCH, sides * HIDDEN)}
    batch, sizes = mil.symbol(), mil.ct.RangeDim(1, 10)
    shapes = {"x": (mil.symbol(), batch, INPUTS), "h": (batch, sides * HIDDEN), "c": (batch, sides * HIDDEN)}
    ranges = {"x": (sizes, sizes, INPUTS), "h": (sizes, sides * HIDDEN), "c": (sizes, sides * HIDDEN)}
    inputs = [mil.ct.TensorType(name, shape=mil.ct.Shape(shape)) for name, shape in ranges.items()]
    more = {} if clip is None else {"clip": np.float32(clip)}
    more |= {"weight_ih_back": w[1], "weight_hh_back": r[1]} if sides == 2 else {}

    def body(mb, x, h, c):
        return mb.lstm(x=x, initial_h=h, initial_c=c, weight_ih=w[0], weight_hh=r[0], direction=direction, output_sequence=True, **more)

    results = []
    for side in range(sides):
        state = [np.split(feed[name], sides, axis=1)[side] for name in ("h", "c")]
        taken = X[::-1] if direction == "reverse" or side == 1 else X
        steps, h, c = lstm(taken, *state, w[side], r[side], 0, np.zeros((3, HIDDEN)), PLAIN, np.inf if clip is None else clip)
        results.append((steps[::-1] if side == 1 else steps, h, c))
    expected = [np.concatenate(parts, axis=-1) for parts in zip(*results, strict=True)]
    check(run(body, feed, shapes=shapes, inputs=inputs), expected)


@pytest.mark.parametrize("clip", [None, CLIP])
@pytest.mark.parametrize("size", [(0, 2), (3, 0)], ids=["no steps", "no batch"])
@pytest.mark.parametrize("kind", ["lstm", "gru", "rnn"])
def test_nothing_to_do_leaves_the_states_as_they_are(mil, run, kind, size, clip) -> None:
    gates = {"lstm": 4, "gru": 3, "rnn": 1}[kind]
    w, r = normal(gates * HIDDEN, INPUTS), normal(gates * HIDDEN, HIDDEN)
    steps, batch = size
    feed = {"x": normal(*size, INPUTS), "h": normal(batch, HIDDEN)}
    any_size = mil.ct.RangeDim(0, 4)
    number = mil.symbol()
    shapes = {"x": (mil.symbol(), number, INPUTS), "h": (number, HIDDEN)}
    inputs = [mil.ct.TensorType("x", shape=(any_size, any_size, INPUTS)), mil.ct.TensorType("h", shape=(any_size, HIDDEN))]

    def body(mb, x, h):
        more = {"initial_c": h, "clip": None if clip is None else np.float32(clip)} if kind == "lstm" else {}
        return getattr(mb, kind)(x=x, initial_h=h, weight_ih=w, weight_hh=r, output_sequence=True, **more)

    sequence, *states = run(body, feed, shapes=shapes, inputs=inputs)
    assert sequence.shape == (steps, batch, HIDDEN)
    for state in states:
        np.testing.assert_array_equal(state, feed["h"])


@pytest.mark.parametrize("clip", [None, CLIP])
def test_float16_layers_round_their_results(run, clip) -> None:
    w, r = normal(4 * HIDDEN, INPUTS).astype(np.float16), normal(4 * HIDDEN, HIDDEN).astype(np.float16)
    more = {} if clip is None else {"clip": np.float16(clip)}
    zeros = np.zeros((BATCH, HIDDEN), np.float16)

    def body(mb, x):
        return mb.lstm(x=x, initial_h=zeros, initial_c=zeros, weight_ih=w, weight_hh=r, output_sequence=True, **more)

    x, limit = X.astype(np.float16), np.inf if clip is None else np.float32(np.float16(clip))
    wide = [value.astype(np.float32) for value in (x, zeros, zeros, w, r)]
    expected = lstm(*wide, 0, np.zeros((3, HIDDEN)), PLAIN, limit)
    results = run(body, {"x": x}, precision="float16")
    for result, value in zip(results, expected, strict=True):
        np.testing.assert_array_equal(result, result.astype(np.float16))
        np.testing.assert_allclose(result, value, rtol=2e-3, atol=1e-6)


def program(mil, path, kind, **edits):
    """Return the package of one layer, whose text parameters are edited to what coremltools would not write."""
    w, r = normal(4 * HIDDEN, INPUTS), normal(4 * HIDDEN, HIDDEN)
    zeros = np.zeros((BATCH, HIDDEN), np.float32)

    def body(mb, x):
        if kind == "lstm":
            return mb.lstm(x=x, initial_h=zeros, initial_c=zeros, weight_ih=w, weight_hh=r, direction="forward", activation="tanh")[0]
        return mb.gru(x=x, initial_h=zeros, weight_ih=w[HIDDEN:], weight_hh=r[HIDDEN:], direction="forward", activation="tanh")[0]

    def edit(spec):
        (function,) = spec.mlProgram.functions.values()
        for operation in function.block_specializations[function.opset].operations:
            for name, value in edits.items():
                if operation.type == "const" and operation.outputs[0].name.endswith(f"_{name}_0"):
                    operation.attributes["val"].immediateValue.tensor.strings.values[0] = value

    return mil.save(body, {"x": X}, path / "model.mlpackage", edit=edit)


@pytest.mark.parametrize(
    ("kind", "edits", "why"),
    [
        ("lstm", {"activation": "gelu"}, "the activation 'gelu' is not known"),
        ("lstm", {"direction": "backward"}, "direction 'backward' is not known"),
        ("lstm", {"direction": "bidirectional"}, "no weights for its way back"),
        ("gru", {"direction": "bidirectional"}, "direction 'bidirectional' is not known"),
    ],
)
def test_what_no_layer_can_be_is_refused(mil, tmp_path, kind, edits, why) -> None:
    from mlpipe.runtime import load_model

    with pytest.raises(NotExecutable, match=why):
        load_model(program(mil, tmp_path, kind, **edits))


def test_a_plain_layer_is_one_node_of_onnx(mil, tmp_path) -> None:
    lowered, _ = lower(read_model(program(mil, tmp_path, "lstm")), Precision.FLOAT32)
    kinds = [node.op for node in lowered.graph.nodes]
    assert kinds.count("LSTM") == 1
    assert not {"Scan", "Loop", "Transpose"} & set(kinds)
