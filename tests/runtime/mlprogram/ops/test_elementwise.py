"""Elementwise operations against coremltools' own value inference, and against numpy where it has none."""

from __future__ import annotations

import numpy as np
import pytest

RANDOM = np.random.default_rng(3)
REAL = (RANDOM.standard_normal((2, 3, 4)) * 2).astype(np.float32)
HALVES = np.asarray([-2.5, -1.5, -0.5, -0.0, 0.5, 1.5, 2.5, 3.49], np.float32)
UNIT = RANDOM.uniform(-0.95, 0.95, (2, 3)).astype(np.float32)
POSITIVE = RANDOM.uniform(0.01, 5, (2, 3)).astype(np.float32)
WHOLE = np.asarray([[-7, -1, 0], [1, 3, 2**30]], np.int32)
TRUTH = np.asarray([True, False, True])

UNARY = [
    ("abs", REAL, {}, None),
    ("abs", WHOLE, {}, None),
    ("acos", UNIT, {}, None),
    ("asin", UNIT, {}, None),
    ("atan", REAL, {}, None),
    ("atanh", UNIT, {}, None),
    ("ceil", REAL, {}, None),
    ("clip", REAL, {"alpha": -0.5, "beta": 1.25}, None),
    ("cos", REAL, {}, None),
    ("cosh", REAL, {}, None),
    ("erf", REAL, {}, None),
    ("exp", REAL, {}, None),
    ("exp2", REAL, {}, None),
    ("floor", REAL, {}, None),
    ("inverse", POSITIVE, {}, lambda x: 1 / (x + 1e-4)),
    ("inverse", POSITIVE, {"epsilon": 0.5}, lambda x: 1 / (x + 0.5)),
    ("log", POSITIVE, {}, None),
    ("log", POSITIVE, {"epsilon": 0.5}, lambda x: np.log(x + 0.5)),
    ("log", np.zeros(2, np.float32), {}, lambda x: np.log(x.astype(np.float64) + np.float32(1e-45))),
    ("round", HALVES, {}, None),
    ("rsqrt", POSITIVE, {}, None),
    ("rsqrt", POSITIVE, {"epsilon": 0.5}, lambda x: 1 / np.sqrt(x + 0.5)),
    ("sign", HALVES, {}, None),
    ("sign", WHOLE, {}, None),
    ("sin", REAL, {}, None),
    ("sinh", REAL, {}, None),
    ("sqrt", POSITIVE, {}, None),
    ("square", REAL, {}, None),
    ("tan", UNIT, {}, None),
    ("tanh", REAL, {}, None),
    ("threshold", REAL, {"alpha": 0.3}, None),
    ("identity", REAL, {}, lambda x: x),
    ("logical_not", TRUTH, {}, None),
    ("cast", REAL, {"dtype": "int32"}, None),
    ("cast", WHOLE, {"dtype": "fp32"}, None),
    ("cast", HALVES, {"dtype": "bool"}, lambda x: x != 0),
    ("cast", TRUTH, {"dtype": "fp32"}, lambda x: x.astype(np.float32)),
    ("relu", REAL, {}, None),
    ("relu6", REAL * 4, {}, None),
    ("sigmoid", REAL, {}, None),
    ("softsign", REAL, {}, None),
    ("softplus", REAL * 8, {}, None),
    ("silu", REAL, {}, lambda x: x / (1 + np.exp(-x))),
    ("leaky_relu", REAL, {"alpha": 0.2}, None),
    ("elu", REAL, {"alpha": 1.7}, None),
    ("clamped_relu", REAL, {"alpha": 0.3, "beta": 1.1}, None),
    ("clamped_relu", REAL, {"alpha": -2.0, "beta": 1.1}, None),
    ("thresholded_relu", HALVES, {"alpha": 0.5}, lambda x: np.where(x >= 0.5, x, 0)),
    ("linear_activation", REAL, {"alpha": 1.5, "beta": -0.5}, None),
    ("scaled_tanh", REAL, {"alpha": 1.5, "beta": 0.7}, None),
    ("sigmoid_hard", REAL, {"alpha": 0.3, "beta": 0.4}, None),
    ("prelu", REAL[:, :, :, None], {"alpha": np.asarray([0.1, 0.2, -0.3], np.float32)}, None),
    ("softplus_parametric", REAL, {"alpha": np.asarray([0.1, 2, 3], np.float32), "beta": np.asarray([1, 0.5, -1], np.float32)}, None),
    ("gelu", REAL, {"mode": "EXACT"}, None),
    ("gelu", REAL, {"mode": "TANH_APPROXIMATION"}, None),
    ("gelu", REAL, {"mode": "SIGMOID_APPROXIMATION"}, None),
    ("softmax", REAL * 10, {"axis": 1}, None),
    ("softmax", REAL, {}, None),
    ("softmax", REAL * 100, {"axis": 0}, lambda x: np.exp(x - x.max(axis=0)) / np.exp(x - x.max(axis=0)).sum(axis=0)),
    ("softmax", REAL[None], {"axis": -3}, lambda x: np.exp(x) / np.exp(x).sum(axis=1)),
    ("softplus", np.asarray([-200, -20, 20, 200], np.float32), {}, lambda x: np.logaddexp(0, x.astype(np.float64))),
    (
        "softplus_parametric",
        REAL[..., None],
        {"alpha": np.asarray([1, 2, 3], np.float32), "beta": np.asarray([9, -50, 0], np.float32)},
        lambda x: np.asarray([1, 2, 3]).reshape(3, 1, 1) * np.logaddexp(0, x.astype(np.float64) * np.asarray([9, -50, 0]).reshape(3, 1, 1)),
    ),
    ("prelu", REAL, {"alpha": np.full(3, -0.5, np.float32)}, None),
    ("prelu", REAL[..., None, None], {"alpha": np.full(3, 2.0, np.float32)}, None),
    ("sigmoid", REAL * 100, {}, lambda x: 1 / (1 + np.exp(-x.astype(np.float64)))),
    ("erf", np.asarray([-9, -3, -1e-4, 0, 1e-4, 3, 9], np.float32), {}, None),
    ("gelu", np.asarray([-50, -9, 9, 50], np.float32), {"mode": "EXACT"}, None),
    ("gelu", np.asarray([-50, -9, 9, 50], np.float32), {"mode": "TANH_APPROXIMATION"}, None),
    ("rsqrt", np.zeros(1, np.float32), {}, lambda x: 1 / np.sqrt(x.astype(np.float64) + np.float32(1e-12))),
    ("inverse", np.zeros(1, np.float32), {}, lambda x: 1 / (x + np.float32(1e-4))),
    ("clip", REAL, {"alpha": -np.inf, "beta": 0.0}, lambda x: np.minimum(x, 0)),
]


@pytest.mark.parametrize(("op", "x", "parameters", "reference"), UNARY, ids=lambda value: value if isinstance(value, str) else "")
def test_unary(mil, run, op, x, parameters, reference) -> None:
    def body(mb, x):
        return getattr(mb, op)(x=x, **parameters)

    (result,) = run(body, {"x": x})
    expected = mil.infer(body, {"x": x})[0] if reference is None else reference(x)
    np.testing.assert_allclose(result, np.asarray(expected, result.dtype), rtol=2e-6, atol=2e-7)


LEFT = np.asarray([[-7.5, -6, -0.25], [5.5, 6, 0]], np.float32)
RIGHT = np.asarray([2, -4, 2.5], np.float32)
INT_LEFT = np.asarray([[-7, -6, 2_000_000_011], [5, 6, -2_000_000_011]], np.int32)
INT_RIGHT = np.asarray([2, -4, 7], np.int32)

BINARY = [
    *[(op, LEFT, RIGHT) for op in ("add", "sub", "mul", "real_div", "floor_div", "mod", "maximum", "minimum")],
    *[(op, INT_LEFT // 2, INT_RIGHT) for op in ("add", "sub", "mul", "maximum", "minimum")],
    *[(op, INT_LEFT, INT_RIGHT) for op in ("floor_div", "mod")],
    *[(op, LEFT, np.asarray([-6, 6, 0], np.float32)) for op in ("equal", "not_equal", "greater", "greater_equal", "less", "less_equal")],
    *[(op, INT_LEFT, np.asarray([-6, 6, 2_000_000_012], np.int32)) for op in ("equal", "not_equal", "greater", "greater_equal", "less", "less_equal")],
    *[(op, np.asarray([[True], [False]]), np.asarray([True, False])) for op in ("logical_and", "logical_or", "logical_xor")],
    ("pow", POSITIVE, np.asarray([2, -0.5, 3], np.float32)),
    ("pow", np.asarray([-3, 3, 10], np.int32), np.asarray([3, 4, 9], np.int32)),
]


@pytest.mark.parametrize(("op", "x", "y"), BINARY, ids=lambda value: value if isinstance(value, str) else str(value.dtype))
def test_binary(mil, run, op, x, y) -> None:
    def body(mb, x, y):
        return getattr(mb, op)(x=x, y=y)

    with np.errstate(over="ignore"):
        (expected,) = mil.infer(body, {"x": x, "y": y})
    (result,) = run(body, {"x": x, "y": y})
    np.testing.assert_allclose(result, expected.astype(result.dtype), rtol=1e-6)


@pytest.mark.parametrize("y", [INT_RIGHT, np.asarray([[-2], [3]], np.int32)], ids=["row", "column"])
def test_division_of_integers_cuts_the_fraction_off(run, y) -> None:
    (result,) = run(lambda mb, x, y: mb.real_div(x=x, y=y), {"x": INT_LEFT, "y": y})
    np.testing.assert_array_equal(result, np.trunc(INT_LEFT.astype(np.float64) / y))


def test_division_of_integers_by_zero_ends_in_some_number(run) -> None:
    """The result is not defined; the process must live on, and the other elements must be right."""
    x, y = np.asarray([7, -7, 0], np.int32), np.asarray([0, 2, 0], np.int32)
    results = run(lambda mb, x, y: [getattr(mb, op)(x=x, y=y) for op in ("real_div", "floor_div", "mod")], {"x": x, "y": y})
    assert [result[1] for result in results] == [-3, -4, 1]


def test_division_by_zero_and_remainders_of_infinity(run) -> None:
    x = np.asarray([1, -1, 0, np.inf, 5, -5, 5], np.float32)
    y = np.asarray([0, 0, 0, 2, np.inf, np.inf, -np.inf], np.float32)
    with np.errstate(divide="ignore", invalid="ignore"):
        expected = [x / y, np.floor(x / y), np.mod(x, y)]
    results = run(lambda mb, x, y: [getattr(mb, op)(x=x, y=y) for op in ("real_div", "floor_div", "mod")], {"x": x, "y": y})
    for result, value in zip(results, expected, strict=True):
        np.testing.assert_array_equal(result, value)


def test_select(run) -> None:
    condition = np.asarray([[True], [False]])
    a, b = np.asarray([1.0, 2.0], np.float32), np.asarray([[3.0, 4.0], [5.0, 6.0]], np.float32)
    (result,) = run(lambda mb, cond, b: mb.select(cond=cond, a=np.broadcast_to(a, (2, 2)), b=b), {"cond": condition, "b": b})
    np.testing.assert_array_equal(result, np.where(condition, a, b))


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16"])
def test_cast_to_narrow_integers(run, dtype) -> None:
    x = np.asarray([0.0, 1.9, 100.2, -0.0], np.float32)
    (result,) = run(lambda mb, x: mb.cast(x=mb.cast(x=x, dtype=dtype), dtype="fp32"), {"x": x})
    np.testing.assert_array_equal(result, np.trunc(x))
