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


@pytest.mark.parametrize(("op", "reference"), [("reduce_sum", np.sum), ("reduce_max", np.max), ("reduce_mean", np.mean)])
def test_without_axes_everything_is_reduced(run, op, reference) -> None:
    (result,) = run(lambda mb, x: getattr(mb, op)(x=x), {"x": X})
    np.testing.assert_allclose(result, [reference(X)], rtol=1e-6)
