"""Elementwise operations in float16: bit-equal to rounding the exact result, for every finite float16 number there is."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mlpipe.runtime import load_model

HALF = np.float16
BITS = np.arange(1 << 16, dtype=np.uint16).view(HALF)
EVERY = BITS[np.isfinite(BITS)]
"""All 63,488 of them, subnormal ones and both zeros too."""

TIES = 8
"""How many of these an operation may round the other way whose exact result is no float32 number: those within a float32 step of a tie."""


def h(value):
    """Return a parameter as the program holds it."""
    return np.float64(HALF(value))


EXACT = {
    "abs": ({}, np.abs),
    "ceil": ({}, np.ceil),
    "clamped_relu": ({"alpha": HALF(0.3), "beta": HALF(1.1)}, lambda x: np.minimum(h(1.1), np.where(x >= 0, x, h(0.3) * x))),
    "clip": ({"alpha": HALF(-0.3), "beta": HALF(1.7)}, lambda x: np.clip(x, h(-0.3), h(1.7))),
    "floor": ({}, np.floor),
    "identity": ({}, lambda x: x),
    "leaky_relu": ({"alpha": HALF(0.2)}, lambda x: np.where(x >= 0, x, h(0.2) * x)),
    "linear_activation": ({"alpha": HALF(1.5), "beta": HALF(-0.3)}, lambda x: 1.5 * x + h(-0.3)),
    "relu": ({}, lambda x: np.maximum(x, 0)),
    "relu6": ({}, lambda x: np.clip(x, 0, 6)),
    "round": ({}, np.rint),
    "sign": ({}, np.sign),
    "sqrt": ({}, np.sqrt),
    "square": ({}, np.square),
    "threshold": ({"alpha": HALF(0.3)}, lambda x: np.maximum(x, h(0.3))),
    "thresholded_relu": ({"alpha": HALF(0.5)}, lambda x: np.where(x >= 0.5, x, 0)),
}
"""Operations -> parameters and the result without any rounding. Float32 holds enough of it that rounding it once more changes nothing."""

NEARLY = {
    "acos": ({}, np.arccos),
    "asin": ({}, np.arcsin),
    "atan": ({}, np.arctan),
    "atanh": ({}, np.arctanh),
    "cos": ({}, np.cos),
    "cosh": ({}, np.cosh),
    "erf": ({}, np.vectorize(math.erf)),
    "exp": ({}, np.exp),
    "exp2": ({}, np.exp2),
    "inverse": ({"epsilon": HALF(1e-4)}, lambda x: 1 / (x + h(1e-4))),
    "log": ({"epsilon": HALF(1e-4)}, lambda x: np.log(x + h(1e-4))),
    "rsqrt": ({"epsilon": HALF(1e-4)}, lambda x: 1 / np.sqrt(x + h(1e-4))),
    "scaled_tanh": ({"alpha": HALF(1.7), "beta": HALF(0.7)}, lambda x: h(1.7) * np.tanh(h(0.7) * x)),
    "sigmoid": ({}, lambda x: 1 / (1 + np.exp(-x))),
    "sigmoid_hard": ({"alpha": HALF(0.3), "beta": HALF(0.4)}, lambda x: np.clip(h(0.3) * x + h(0.4), 0, 1)),
    "silu": ({}, lambda x: x / (1 + np.exp(-x))),
    "sin": ({}, np.sin),
    "sinh": ({}, np.sinh),
    "softplus": ({}, lambda x: np.logaddexp(0, x)),
    "softsign": ({}, lambda x: x / (1 + np.abs(x))),
    "tan": ({}, np.tan),
    "tanh": ({}, np.tanh),
}
"""The same, where float32 cannot hold the result."""


def from_bits(values):
    """Return float16 numbers as integers in the order of the numbers: neighbours differ by one."""
    bits = np.asarray(values, HALF).view(np.int16).astype(np.int32)
    return np.where(bits < 0, -(1 << 15) - bits, bits)


def differences(actual, exact):
    """Return by how many float16 steps each element differs from the exact result rounded once."""
    with np.errstate(over="ignore"):
        expected = exact.astype(HALF)
    assert np.array_equal(actual.astype(HALF).astype(np.float32), actual, equal_nan=True), "not rounded at all"
    steps = np.abs(from_bits(actual) - from_bits(expected))
    np.testing.assert_array_equal(np.isnan(actual), np.isnan(expected))
    # Both zeros are the same number.
    return np.where(np.isnan(actual) | (actual.astype(HALF) == expected), 0, steps)


@pytest.fixture(scope="module")
def results(mil, tmp_path_factory):
    """Return what every operation of the tables gives for every number."""
    operations = {**EXACT, **NEARLY}

    def body(mb, x):
        return [getattr(mb, name)(x=x, **parameters) for name, (parameters, _) in operations.items()]

    path = mil.save(body, {"x": EVERY}, tmp_path_factory.mktemp("every") / "model.mlpackage")
    outputs = load_model(path, precision="float16").predict_arrays({"x": EVERY})
    return {name: outputs[f"out{number}"] for number, name in enumerate(operations)}


@pytest.mark.parametrize("name", [*EXACT, *NEARLY])
def test_every_number_is_rounded_once(results, name) -> None:
    _, exact = {**EXACT, **NEARLY}[name]
    with np.errstate(all="ignore"):
        steps = differences(results[name], exact(EVERY.astype(np.float64)))
    assert steps.max() <= (0 if name in EXACT else 1)
    assert np.count_nonzero(steps) <= TIES


PAIRS = np.random.default_rng(5).choice(EVERY, (2, 200_000))
"""Numbers of all magnitudes: differences of equal ones, quotients that overflow, products that vanish."""

ARITHMETIC = {"add": np.add, "sub": np.subtract, "mul": np.multiply, "real_div": np.divide, "maximum": np.maximum, "minimum": np.minimum}
COMPARISONS = {name: getattr(np, name) for name in ("equal", "not_equal", "greater", "greater_equal", "less", "less_equal")}


def test_arithmetic_is_that_of_numpy_float16(mil, tmp_path) -> None:
    x, y = PAIRS
    y[::50] = x[::50]
    operations = {**ARITHMETIC, **COMPARISONS}
    path = mil.save(lambda mb, x, y: [getattr(mb, name)(x=x, y=y) for name in operations], {"x": x, "y": y}, tmp_path / "model.mlpackage")
    outputs = load_model(path, precision="float16").predict_arrays({"x": x, "y": y})
    with np.errstate(all="ignore"):
        for number, function in enumerate(operations.values()):
            np.testing.assert_array_equal(outputs[f"out{number}"], function(x, y).astype(np.float32))


@pytest.mark.parametrize(("name", "exact"), [("mod", np.mod), ("floor_div", lambda x, y: np.floor(x / y)), ("pow", lambda x, y: np.abs(x) ** y)])
def test_other_pairs_are_rounded_once(mil, tmp_path, name, exact) -> None:
    x, y = np.random.default_rng(6).uniform(-9, 9, (2, 20_000)).astype(HALF)

    def body(mb, x, y):
        return getattr(mb, name)(x=mb.abs(x=x) if name == "pow" else x, y=y)

    model = load_model(mil.save(body, {"x": x, "y": y}, tmp_path / "model.mlpackage"), precision="float16")
    steps = differences(model.predict_arrays({"x": x, "y": y})["out0"], exact(x.astype(np.float64), y.astype(np.float64)))
    assert steps.max() <= (1 if name == "pow" else 0)
    assert np.count_nonzero(steps) <= TIES


def test_what_is_not_declared_float16_is_not_rounded(run) -> None:
    x, whole, truth = np.asarray([1.0001, 70000.0, 1e-9], np.float32), np.asarray([2049, 1 << 24 | 1, -70001], np.int32), np.asarray([True, False])

    def body(mb, x, whole, truth):
        return mb.identity(x=x), mb.mul(x=x, y=np.float32(1)), mb.add(x=whole, y=0), mb.gather(x=whole, indices=[2, 0, 1]), mb.logical_not(x=truth)

    results = run(body, {"x": x, "whole": whole, "truth": truth}, precision="float16")
    for result, expected in zip(results, [x, x, whole, whole[[2, 0, 1]], ~truth], strict=True):
        np.testing.assert_array_equal(result, expected)


def test_casts_round_and_integers_of_float16_are_exact(run) -> None:
    x, whole = np.asarray([0.1, 65519.0, 65520.0, -1e9, 2e-8, 4e-8], np.float32), np.asarray([2049, 2051, 70000, -3], np.int32)

    def body(mb, x, whole):
        narrow = mb.cast(x=x, dtype="fp16")
        return mb.cast(x=narrow, dtype="fp32"), mb.cast(x=mb.clip(x=narrow, alpha=HALF(-9), beta=HALF(9)), dtype="int32"), mb.cast(x=whole, dtype="fp16")

    wide, back, of_whole = run(body, {"x": x, "whole": whole}, precision="float16")
    np.testing.assert_array_equal(wide, np.asarray([HALF(0.1), 65504, np.inf, -np.inf, 0, HALF(6e-8)], np.float32))
    np.testing.assert_array_equal(back, [0, 9, 9, -9, 0, 0])
    np.testing.assert_array_equal(of_whole, [2048, 2052, np.inf, -3])
