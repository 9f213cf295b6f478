"""Recurrent layers against their formulas, one step at a time.

Source: the references in coremltools' own tests of these operations, which it holds against Core ML.
"""

from __future__ import annotations

import numpy as np
import pytest

RANDOM = np.random.default_rng(12)
STEPS, BATCH, INPUTS, HIDDEN = 5, 2, 3, 4


def normal(*shape):
    return RANDOM.standard_normal(shape).astype(np.float32)


ACTIVATIONS = {
    "tanh": np.tanh,
    "scaled_tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "hard_sigmoid": lambda x: np.clip(0.2 * x + 0.5, 0, 1),
    "relu": lambda x: np.maximum(x, 0),
    "linear": lambda x: x,
}


def lstm(x, h, c, w, r, b, p, names):
    gate, cell, out = (ACTIVATIONS[name] for name in names)
    steps = []
    for step in x:
        i, f, o, z = np.split(step @ w.T + h @ r.T + b, 4, axis=1)
        i, f = gate(i + p[0] * c), gate(f + p[1] * c)
        c = f * c + i * cell(z)
        h = gate(o + p[2] * c) * out(c)
        steps.append(h)
    return np.stack(steps), h, c


def gru(x, h, w, r, b, names):
    gate, out = (ACTIVATIONS[name] for name in names)
    steps = []
    wr, wo, wz = np.split(w, 3)
    rr, ro, rz = np.split(r, 3)
    br, bo, bz = np.split(b, 3)
    for step in x:
        reset = gate(step @ wr.T + h @ rr.T + br)
        update = gate(step @ wz.T + h @ rz.T + bz)
        new = out(step @ wo.T + (h * reset) @ ro.T + bo)
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


X = normal(STEPS, BATCH, INPUTS)
LSTM_NAMES = [("sigmoid", "tanh", "tanh"), ("hard_sigmoid", "relu", "linear"), ("sigmoid", "linear", "scaled_tanh"), ("tanh", "hard_sigmoid", "sigmoid")]


@pytest.mark.parametrize("direction", ["forward", "reverse"])
@pytest.mark.parametrize("names", LSTM_NAMES, ids="-".join)
@pytest.mark.parametrize("full", [True, False], ids=["peephole, bias, sequence", "plain"])
def test_lstm(run, direction, names, full) -> None:
    w, r, b, p = normal(4 * HIDDEN, INPUTS), normal(4 * HIDDEN, HIDDEN), normal(4 * HIDDEN), normal(3, HIDDEN)
    feed = {"x": X, "h": normal(BATCH, HIDDEN), "c": normal(BATCH, HIDDEN)}
    more = {"bias": b, "peephole": p.reshape(-1)} if full else {}

    def body(mb, x, h, c):
        gate, cell, out = names
        activations = {"recurrent_activation": gate, "cell_activation": cell, "activation": out}
        return mb.lstm(x=x, initial_h=h, initial_c=c, weight_ih=w, weight_hh=r, direction=direction, output_sequence=full, **activations, **more)

    taken = X if direction == "forward" else X[::-1]
    steps, h, c = lstm(taken, feed["h"], feed["c"], w, r, b if full else 0, p if full else np.zeros((3, HIDDEN)), names)
    check(run(body, feed), (steps if full else steps[-1:], h, c))


@pytest.mark.parametrize("sequence", [True, False])
def test_bidirectional_lstm(run, sequence) -> None:
    w, r, b, p = normal(2, 4 * HIDDEN, INPUTS), normal(2, 4 * HIDDEN, HIDDEN), normal(2, 4 * HIDDEN), normal(2, 3, HIDDEN)
    feed = {"x": X, "h": normal(BATCH, 2 * HIDDEN), "c": normal(BATCH, 2 * HIDDEN)}
    names = ("sigmoid", "tanh", "tanh")

    def body(mb, x, h, c):
        back = {"weight_ih_back": w[1], "weight_hh_back": r[1], "bias_back": b[1], "peephole_back": p[1].reshape(-1)}
        forward = {"weight_ih": w[0], "weight_hh": r[0], "bias": b[0], "peephole": p[0].reshape(-1)}
        return mb.lstm(x=x, initial_h=h, initial_c=c, direction="bidirectional", output_sequence=sequence, **forward, **back)

    states = [np.split(feed[name], 2, axis=1) for name in ("h", "c")]
    ahead = lstm(X, states[0][0], states[1][0], w[0], r[0], b[0], p[0], names)
    back = lstm(X[::-1], states[0][1], states[1][1], w[1], r[1], b[1], p[1], names)
    steps = np.concatenate([ahead[0], back[0][::-1]], axis=2)
    last = [np.concatenate([one, other], axis=1) for one, other in zip(ahead[1:], back[1:], strict=True)]
    check(run(body, feed), (steps if sequence else last[0][None], *last))


@pytest.mark.parametrize("direction", ["forward", "reverse"])
@pytest.mark.parametrize("names", [("sigmoid", "tanh"), ("tanh", "sigmoid")], ids="-".join)
@pytest.mark.parametrize("full", [True, False], ids=["bias, sequence", "plain"])
def test_gru(run, direction, names, full) -> None:
    w, r, b = normal(3 * HIDDEN, INPUTS), normal(3 * HIDDEN, HIDDEN), normal(3 * HIDDEN)
    feed = {"x": X, "h": normal(BATCH, HIDDEN)}
    more = {"bias": b} if full else {}

    def body(mb, x, h):
        activations = dict(zip(("recurrent_activation", "activation"), names, strict=True))
        return mb.gru(x=x, initial_h=h, weight_ih=w, weight_hh=r, direction=direction, output_sequence=full, **activations, **more)

    steps, h = gru(X if direction == "forward" else X[::-1], feed["h"], w, r, b if full else np.zeros(3 * HIDDEN), names)
    check(run(body, feed), (steps if full else steps[-1:], h))


@pytest.mark.parametrize("direction", ["forward", "reverse"])
@pytest.mark.parametrize("name", ["tanh", "relu"])
def test_rnn(run, direction, name) -> None:
    w, r, b = normal(HIDDEN, INPUTS), normal(HIDDEN, HIDDEN), normal(HIDDEN)
    feed = {"x": X, "h": normal(BATCH, HIDDEN)}

    def body(mb, x, h):
        return mb.rnn(x=x, initial_h=h, weight_ih=w, weight_hh=r, bias=b, direction=direction, output_sequence=True, activation=name)

    check(run(body, feed), rnn(X if direction == "forward" else X[::-1], feed["h"], w, r, b, name))
