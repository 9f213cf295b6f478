"""Loops that are LSTMs become one operation, loops that are nearly LSTMs stay loops, and both compute what they say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlpipe.model_files.read import read_model
from mlpipe.runtime import load_model
from mlpipe.runtime.model import lower
from mlpipe.runtime.precision import Precision
from mlpipe.runtime.simplify import simplified

STEPS, FEATURES, HIDDEN = 6, 3, 4
RANDOM = np.random.default_rng(11)
INPUT, RECURRENT = (RANDOM.standard_normal((rows, 4 * HIDDEN)).astype(np.float32) for rows in (FEATURES, HIDDEN))
BIAS = RANDOM.standard_normal(4 * HIDDEN).astype(np.float32)


@dataclass(frozen=True)
class Variant:
    """A loop. The defaults are an LSTM as TensorFlow's Keras layers are converted."""

    gates: str = "ifco"
    batch: int = 2
    rounds: int = STEPS
    start: int = 0
    stride: int = 1
    last_only: bool = False
    bias: bool = True
    squeezed: bool = False
    backwards: bool = False
    squash: str = "tanh"
    gate: str = "sigmoid"
    peeps: bool = False
    forgets_new: bool = False
    counts_sum: bool = False
    two_counters: bool = False
    computed_weight: bool = False


ACTIVATIONS: dict[str, Callable[[np.ndarray], np.ndarray]] = {"tanh": np.tanh, "sigmoid": lambda x: 1 / (1 + np.exp(-x)), "relu": lambda x: np.maximum(x, 0)}


def program(variant: Variant) -> Callable[..., Any]:
    state = np.full((variant.batch, HIDDEN), 0.25, np.float32)

    def body(mb: Any, x: Any) -> Any:
        rows = mb.make_list(init_length=1 if variant.last_only else STEPS, elem_shape=(variant.batch, HIDDEN), dynamic_length=False)
        recurrent = mb.mul(x=mb.reduce_max(x=mb.sign(x=mb.abs(x=x)), keep_dims=False), y=RECURRENT) if variant.computed_weight else RECURRENT

        def step(time: Any, rows: Any, hidden: Any, cell: Any, *others: Any) -> Any:
            index = mb.sub(x=STEPS - 1, y=time) if variant.backwards else time
            element = mb.gather(x=x, indices=index, axis=0)
            product = mb.matmul(x=hidden, y=recurrent)
            product = mb.squeeze(x=product, axes=[0]) if variant.squeezed else product
            total = mb.add(x=mb.matmul(x=element, y=INPUT), y=product)
            total = mb.add(x=total, y=BIAS) if variant.bias else total
            gates = dict(zip(variant.gates, mb.split(x=total, num_splits=4, axis=1), strict=True))
            gate, squash = getattr(mb, variant.gate), getattr(mb, variant.squash)
            forget = mb.add(x=gates["f"], y=cell) if variant.peeps else gates["f"]
            new = mb.mul(x=mb.sigmoid(x=gates["i"]), y=mb.tanh(x=gates["c"]))
            kept = mb.mul(x=gate(x=forget), y=new if variant.forgets_new else cell)
            following = mb.add(x=kept, y=new)
            shown = mb.mul(x=mb.sigmoid(x=gates["o"]), y=squash(x=following))
            place = np.int32(0) if variant.last_only else time
            results = [mb.add(x=time, y=variant.stride), mb.list_write(ls=rows, index=place, value=shown), shown, following]
            if variant.counts_sum:
                results.append(mb.add(x=others[0], y=shown))
            if variant.two_counters:
                results.append(mb.add(x=others[0], y=1))
            return results

        def condition(time: Any, _rows: Any, _hidden: Any, _cell: Any, *others: Any) -> Any:
            goes_on = mb.less(x=time, y=variant.rounds)
            return mb.logical_and(x=mb.less(x=others[0], y=variant.rounds + 3), y=goes_on) if variant.two_counters else goes_on

        start = [np.int32(variant.start), rows, state, state / 2]
        start += [np.zeros_like(state)] if variant.counts_sum else []
        start += [np.int32(0)] if variant.two_counters else []
        time, rows, hidden, cell, *_ = mb.while_loop(_cond=condition, _body=step, loop_vars=tuple(start))
        return mb.list_gather(ls=rows, indices=[0] if variant.last_only else list(range(STEPS))), hidden, cell, time

    return body


def expected(variant: Variant, x: np.ndarray) -> list[np.ndarray]:
    sigmoid, gate, squash = ACTIVATIONS["sigmoid"], ACTIVATIONS[variant.gate], ACTIVATIONS[variant.squash]
    hidden = np.full((variant.batch, HIDDEN), 0.25)
    cell, time = hidden / 2, variant.start
    rows = np.zeros((1 if variant.last_only else STEPS, variant.batch, HIDDEN))
    while time < variant.rounds:
        total = x[STEPS - 1 - time if variant.backwards else time] @ INPUT.astype(np.float64) + hidden @ RECURRENT + (BIAS if variant.bias else 0)
        gates = dict(zip(variant.gates, np.split(total, 4, axis=1), strict=True))
        new = sigmoid(gates["i"]) * np.tanh(gates["c"])
        forget = gate(gates["f"] + (cell if variant.peeps else 0))
        cell = forget * (new if variant.forgets_new else cell) + new
        hidden = sigmoid(gates["o"]) * squash(cell)
        rows[0 if variant.last_only else time] = hidden
        time += variant.stride
    return [rows, hidden, cell, np.asarray([time])]


PLAIN = Variant()
RECURRENT_LOOPS = {
    "plain": PLAIN,
    "another order of gates": replace(PLAIN, gates="ofic"),
    "the last step alone": replace(PLAIN, last_only=True),
    "no bias": replace(PLAIN, bias=False),
    "a batch of one, squeezed": replace(PLAIN, batch=1, squeezed=True),
    "fewer rounds than steps": replace(PLAIN, rounds=4),
    "two counters": replace(PLAIN, two_counters=True),
}
OTHER_LOOPS = {
    "starts late": replace(PLAIN, start=1),
    "leaves steps out": replace(PLAIN, stride=2),
    "from the end": replace(PLAIN, backwards=True),
    "another activation": replace(PLAIN, squash="relu"),
    "another gate": replace(PLAIN, gate="relu"),
    "peephole": replace(PLAIN, peeps=True),
    "forgets something else": replace(PLAIN, forgets_new=True),
    "carries a sum": replace(PLAIN, counts_sum=True),
    "weights that are computed": replace(PLAIN, computed_weight=True),
}


def check(mil: Any, folder: Path, variant: Variant) -> int:
    """Hold the outputs against numbers, and return how many loops are left."""
    x = RANDOM.standard_normal((STEPS, variant.batch, FEATURES)).astype(np.float32)
    path = mil.save(program(variant), {"x": x}, folder / "model.mlpackage")
    found = load_model(path).predict_arrays({"x": x})
    for number, value in enumerate(expected(variant, x)):
        np.testing.assert_allclose(found[f"out{number}"], value, rtol=2e-5, atol=2e-6)
    lowered, _ = lower(read_model(path), Precision.FLOAT32)
    assert lowered is not None
    return sum(node.op == "Loop" for node in simplified(lowered.graph).nodes)


@pytest.mark.parametrize("name", RECURRENT_LOOPS)
def test_an_lstm_is_one_operation(mil: Any, tmp_path: Path, name: str) -> None:
    assert check(mil, tmp_path, RECURRENT_LOOPS[name]) == 0


@pytest.mark.parametrize("name", OTHER_LOOPS)
def test_what_is_no_lstm_stays_a_loop(mil: Any, tmp_path: Path, name: str) -> None:
    assert check(mil, tmp_path, OTHER_LOOPS[name]) == 1


def test_a_loop_that_is_rounded_stays_a_loop(mil: Any, tmp_path: Path) -> None:
    half = np.float16

    def body(mb: Any, x: Any) -> Any:
        state = np.zeros((2, HIDDEN), half)

        def step(time: Any, hidden: Any, cell: Any) -> Any:
            total = mb.add(x=mb.matmul(x=mb.gather(x=x, indices=time, axis=0), y=INPUT.astype(half)), y=mb.matmul(x=hidden, y=RECURRENT.astype(half)))
            given, forget, new, out = mb.split(x=total, num_splits=4, axis=1)
            following = mb.add(x=mb.mul(x=mb.sigmoid(x=forget), y=cell), y=mb.mul(x=mb.sigmoid(x=given), y=mb.tanh(x=new)))
            return mb.add(x=time, y=1), mb.mul(x=mb.sigmoid(x=out), y=mb.tanh(x=following)), following

        loop = mb.while_loop(_cond=lambda time, *_states: mb.less(x=time, y=STEPS), _body=step, loop_vars=(np.int32(0), state, state))
        return loop[1]

    x = RANDOM.standard_normal((STEPS, 2, FEATURES)).astype(half)
    path = mil.save(body, {"x": x}, tmp_path / "model.mlpackage")
    left = {}
    for precision in Precision:
        lowered, _ = lower(read_model(path), precision)
        assert lowered is not None
        left[precision] = sum(node.op == "Loop" for node in simplified(lowered.graph).nodes)
    assert left == {Precision.FLOAT32: 0, Precision.FLOAT16: 1}


def test_a_sequence_that_is_too_short_is_an_error_as_in_the_loop(mil: Any, tmp_path: Path) -> None:
    from mlpipe.errors import InvalidInput

    x = np.zeros((STEPS, 2, FEATURES), np.float32)
    feed = {"x": (mil.symbol(), 2, FEATURES)}
    sizes = [mil.ct.TensorType(name="x", shape=(mil.ct.RangeDim(1, 9, default=STEPS), 2, FEATURES))]
    model = load_model(mil.save(program(PLAIN), {"x": x}, tmp_path / "model.mlpackage", shapes=feed, inputs=sizes))
    assert model.predict({"x": np.zeros((9, 2, FEATURES), np.float32)})["out3"] == STEPS
    with pytest.raises(InvalidInput):
        model.predict({"x": x[:4]})
