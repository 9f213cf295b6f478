"""Reductions against coremltools' own value inference."""

from __future__ import annotations

import numpy as np
import pytest

X = np.random.default_rng(4).uniform(0.1, 2, (2, 3, 4)).astype(np.float32)
SIGNED = (X - 1).astype(np.float32)
WHOLE = np.arange(-12, 12, dtype=np.int32).reshape(2, 3, 4)
TIES = np.asarray([[3, 7, 7], [1, 0, 0]], np.float32)

FLOAT = ["reduce_l1_norm", "reduce_l2_norm", "reduce_mean", "reduce_prod", "reduce_sum", "reduce_sum_square", "reduce_max", "reduce_min"]
CASES = [
    *[(op, SIGNED, {"axes": [1], "keep_dims": False}) for op in FLOAT],
    *[(op, SIGNED, {"axes": [-1, 0], "keep_dims": True}) for op in FLOAT],
    *[(op, X, {"axes": [0, 2]}) for op in ("reduce_log_sum", "reduce_log_sum_exp", "reduce_mean")],
    *[(op, WHOLE, {"axes": [1]}) for op in ("reduce_sum", "reduce_prod", "reduce_max", "reduce_min", "reduce_l1_norm", "reduce_sum_square")],
    *[(op, SIGNED, {"axis": axis, "keep_dims": keep}) for op in ("reduce_argmax", "reduce_argmin") for axis, keep in ((1, True), (-1, False))],
    *[(op, TIES, {"axis": 1}) for op in ("reduce_argmax", "reduce_argmin")],
]


@pytest.mark.parametrize(("op", "x", "parameters"), CASES, ids=lambda value: value if isinstance(value, str) else "")
def test_against_value_inference(mil, run, op, x, parameters) -> None:
    def body(mb, x):
        return getattr(mb, op)(x=x, **parameters)

    (expected,) = mil.infer(body, {"x": x})
    (result,) = run(body, {"x": x})
    assert result.shape == expected.shape
    np.testing.assert_allclose(result, expected, rtol=2e-6)


WITH_FRACTIONS = {
    "reduce_mean": np.mean,
    "reduce_l2_norm": lambda x, axis: np.sqrt((x**2).sum(axis=axis)),
    "reduce_log_sum": lambda x, axis: np.log(x.sum(axis=axis)),
    "reduce_log_sum_exp": np.logaddexp.reduce,
}


@pytest.mark.parametrize("op", WITH_FRACTIONS)
def test_integers_lose_the_fraction_of_the_result(run, op) -> None:
    x = np.asarray([[-7, 2, 40], [20_000_001, 3, 9]], np.int32)
    (result,) = run(lambda mb, x: getattr(mb, op)(x=x, axes=[1]), {"x": x})
    np.testing.assert_array_equal(result, np.trunc(WITH_FRACTIONS[op](x.astype(np.float64), axis=1)))


WITHOUT_AXES = {
    "reduce_l1_norm": np.abs,
    "reduce_l2_norm": np.abs,
    "reduce_max": lambda x: x,
    "reduce_log_sum_exp": lambda x: x,
    "reduce_mean": lambda x: x,
    "reduce_sum_square": np.square,
}


@pytest.mark.parametrize("op", WITHOUT_AXES)
@pytest.mark.parametrize("keep_dims", [True, False])
def test_over_no_axes_each_element_is_reduced_alone(run, op, keep_dims) -> None:
    (result,) = run(lambda mb, x: getattr(mb, op)(x=x, axes=np.zeros(0, np.int32), keep_dims=keep_dims), {"x": SIGNED})
    np.testing.assert_allclose(result, WITHOUT_AXES[op](SIGNED), rtol=1e-6, atol=1e-7)


def test_log_sum_exp_of_extremes(run) -> None:
    x = np.asarray([[1000, 999, -1000], [-1000, -999, -1001], [-np.inf, 5, -np.inf], [88, 89, 90]], np.float32)
    (result,) = run(lambda mb, x: mb.reduce_log_sum_exp(x=x, axes=[1]), {"x": x})
    np.testing.assert_allclose(result, np.logaddexp.reduce(x.astype(np.float64), axis=1), rtol=1e-6)


@pytest.mark.parametrize(("op", "reference"), [("reduce_sum", np.sum), ("reduce_max", np.max), ("reduce_mean", np.mean)])
def test_without_axes_everything_is_reduced(run, op, reference) -> None:
    (result,) = run(lambda mb, x: getattr(mb, op)(x=x), {"x": X})
    np.testing.assert_allclose(result, [reference(X)], rtol=1e-6)
