"""Matrix products against numpy."""

from __future__ import annotations

import numpy as np
import pytest

from mlpipe.runtime import load_model

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


def test_linear_over_sizes_that_vary(mil, tmp_path) -> None:
    ct, weight = mil.ct, normal(7, 5)
    inputs = [ct.TensorType("x", shape=ct.Shape((ct.RangeDim(1, 4), 2, ct.RangeDim(1, 9), 5)))]
    shapes = {"x": (mil.symbol(), 2, mil.symbol(), 5)}
    model = load_model(mil.save(lambda mb, x: mb.linear(x=x, weight=weight), {"x": normal(1, 2, 3, 5)}, tmp_path / "m.mlpackage", shapes=shapes, inputs=inputs))
    for sizes in ((1, 2, 1, 5), (4, 2, 9, 5)):
        x = normal(*sizes)
        np.testing.assert_allclose(model.predict({"x": x})["out0"], x @ weight.T, rtol=1e-4, atol=1e-5)


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


@pytest.mark.parametrize("shape", [(2, 4), (3, 2, 4)], ids=str)
@pytest.mark.parametrize("flags", [{}, {"transpose_y": True}, {"transpose_x": True}, {"transpose_x": True, "transpose_y": True}], ids=str)
def test_matmul_with_a_stored_side(run, shape, flags) -> None:
    x, stored = normal(*shape), normal(5, 4)
    if flags.get("transpose_x"):
        x = x.swapaxes(-1, -2)
    (result,) = run(lambda mb, x: mb.matmul(x=x, y=stored if flags.get("transpose_y") else stored.T, **flags), {"x": np.ascontiguousarray(x)})
    left = x.swapaxes(-1, -2) if flags.get("transpose_x") else x
    np.testing.assert_allclose(result, left @ stored.T, rtol=1e-4, atol=1e-5)


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


@pytest.mark.parametrize("sizes", [(1, 1), (2, 1), (1, 3), (2, 3)], ids=str)
def test_einsum_repeats_dimensions_of_size_1(run, sizes) -> None:
    batch, height = sizes
    x, y = normal(batch, 3, 3, 4), normal(2 if batch == 1 else 1, 4, 1 if height == 3 else 3, 5)
    (result,) = run(lambda mb, x, y: mb.einsum(values=(x, y), equation="nchw,nwhu->nchu"), {"x": x, "y": y})
    np.testing.assert_allclose(result, (x.transpose(0, 2, 1, 3) @ y.transpose(0, 2, 1, 3)).transpose(0, 2, 1, 3), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("equation", ["cch,hwr->cwr", "chh,whr->cwr", "chw,whr->hcr"])
def test_einsum_with_diagonals_sums_and_swaps(run, equation) -> None:
    """coremltools writes two equations only; a file may have others."""
    x, y = normal(3, 3, 3), normal(3, 3, 3)

    def edit(spec):
        function = spec.mlProgram.functions["main"]
        for operation in function.block_specializations[function.opset].operations:
            for value in [*operation.attributes.values(), *(each.value for argument in operation.inputs.values() for each in argument.arguments)]:
                if "chw,whr->chr" in value.immediateValue.tensor.strings.values:
                    value.immediateValue.tensor.strings.values[0] = equation

    (result,) = run(lambda mb, x, y: mb.einsum(values=(x, y), equation="chw,whr->chr"), {"x": x, "y": y}, edit=edit)
    np.testing.assert_allclose(result, np.einsum(equation, x, y), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("transpose", [True, False])
def test_matmul_of_a_vector(run, transpose) -> None:
    x, y = normal(4), normal(5, 4)
    (result,) = run(lambda mb, x: mb.matmul(x=x, y=y if transpose else y.T, transpose_y=transpose), {"x": x})
    np.testing.assert_allclose(result, y @ x, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("with_bias", [True, False])
def test_linear_of_integers(run, with_bias) -> None:
    x, weight, bias = (np.asarray(value, np.int32) for value in ([[100_000, 3], [-7, 2]], [[167, -5], [1, 1], [0, -9]], [1, -2, 3]))
    parameters = {"bias": bias} if with_bias else {}
    (result,) = run(lambda mb, x: mb.linear(x=x, weight=weight, **parameters), {"x": x})
    np.testing.assert_array_equal(result, x @ weight.T + (bias if with_bias else 0))


def test_constants_of_another_type_than_the_result(run) -> None:
    x, weight = normal(3, 4), RANDOM.integers(-9, 9, (5, 4)).astype(np.int32)

    def body(mb, x):
        whole = mb.cast(x=mb.mul(x=x, y=8.0), dtype="int32")
        return (
            mb.linear(x=x, weight=weight, bias=np.arange(5, dtype=np.int32)),
            mb.matmul(x=x, y=weight, transpose_y=True),
            mb.matmul(x=whole, y=(weight / 4).astype(np.float16), transpose_y=True),
        )

    expected = [x @ weight.T + np.arange(5), x @ weight.T, np.trunc(np.trunc(x * 8) @ (weight / 4).T)]
    for result, value in zip(run(body, {"x": x}), expected, strict=True):
        np.testing.assert_allclose(result, value, rtol=1e-4, atol=1e-5)
