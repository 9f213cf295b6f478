"""Matrix products against numpy."""

from __future__ import annotations

import numpy as np
import pytest

RANDOM = np.random.default_rng(9)


def normal(*shape):
    return RANDOM.standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("shape", [(4, 5), (2, 3, 5), (5,)], ids=str)
@pytest.mark.parametrize("with_bias", [True, False])
def test_linear(run, shape, with_bias) -> None:
    x, weight, bias = normal(*shape), normal(7, 5), normal(7)
    parameters = {"bias": bias} if with_bias else {}
    (result,) = run(lambda mb, x: mb.linear(x=x, weight=weight, **parameters), {"x": x})
    np.testing.assert_allclose(result, x @ weight.T + (bias if with_bias else 0), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("x", "y", "flags"),
    [
        (normal(3, 4), normal(4, 5), {}),
        (normal(2, 4, 3), normal(4, 5), {"transpose_x": True}),
        (normal(2, 1, 3, 4), normal(6, 5, 4), {"transpose_y": True}),
        (normal(4, 3), normal(5, 4), {"transpose_x": True, "transpose_y": True}),
    ],
    ids=["plain", "transpose_x", "transpose_y", "both"],
)
def test_matmul(run, x, y, flags) -> None:
    (result,) = run(lambda mb, x, y: mb.matmul(x=x, y=y, **flags), {"x": x, "y": y})
    left = x.swapaxes(-1, -2) if flags.get("transpose_x") else x
    right = y.swapaxes(-1, -2) if flags.get("transpose_y") else y
    np.testing.assert_allclose(result, left @ right, rtol=1e-4, atol=1e-5)


def test_matmul_of_integers(run) -> None:
    x, y = np.asarray([[100_000, 3]], np.int32), np.asarray([[167], [-5]], np.int32)
    (result,) = run(lambda mb, x, y: mb.matmul(x=x, y=y), {"x": x, "y": y})
    np.testing.assert_array_equal(result, x @ y)


@pytest.mark.parametrize(
    ("equation", "x", "y"),
    [("bcd,dce->bce", normal(2, 3, 4), normal(4, 3, 5)), ("bchw,bwhu->bchu", normal(2, 3, 4, 5), normal(2, 5, 4, 6))],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_einsum(run, equation, x, y) -> None:
    (result,) = run(lambda mb, x, y: mb.einsum(values=(x, y), equation=equation), {"x": x, "y": y})
    np.testing.assert_allclose(result, np.einsum(equation, x, y), rtol=1e-4, atol=1e-5)


def test_a_diagonal_is_refused() -> None:
    from mlpipe.runtime.lowered import UnsupportedLayerError
    from mlpipe.runtime.mlprogram.ops.linear import einsum

    with pytest.raises(UnsupportedLayerError, match="diagonal"):
        einsum(None, (), "aab,bc->ac")
