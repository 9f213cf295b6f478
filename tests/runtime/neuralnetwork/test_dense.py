"""Matrix products and look-ups against numpy, for every rank that the specification lists."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
import pytest


@pytest.mark.parametrize(
    ("shape", "result"),
    [((6,), (4,)), ((5, 6), (5, 4)), ((2, 5, 6), (2, 5, 4)), ((2, 3, 2, 1), (2, 4, 1, 1)), ((2, 3, 1, 2, 3), (2, 3, 4, 1, 1))],
)
@pytest.mark.parametrize("bias", [False, True])
def test_inner_product(nn: Any, shape: tuple[int, ...], result: tuple[int, ...], bias: bool) -> None:
    x, w, b = nn.random(*shape), nn.random(4, 6), nn.random(4)
    params = {"inputChannels": 6, "outputChannels": 4, "weights": nn.weights(w), "hasBias": bias, "bias": nn.weights(b)}
    expected = np.einsum("ri,oi->ro", x.reshape(-1, 6), w) + (b if bias else 0)
    nn.close(nn.run("innerProduct", params, x), expected.reshape(result))


def test_a_legacy_inner_product_takes_the_whole_image(nn: Any) -> None:
    x, w = nn.random(2, 3, 1), nn.random(4, 6)
    params = {"inputChannels": 6, "outputChannels": 4, "weights": nn.weights(w)}
    nn.close(nn.run("innerProduct", params, x, legacy=True), w @ x.reshape(6))


def test_inner_product_refuses(nn: Any) -> None:
    params = {"inputChannels": 6, "outputChannels": 1, "weights": nn.weights(np.ones(6))}
    assert "another number of channels" in nn.refusal("innerProduct", params, (2, 3))


def int8_weights(levels: np.ndarray, scale: float) -> dict[str, Any]:
    """Levels as the raw bytes of a weight, in the form of protobuf's JSON."""
    quantization = {"numberOfBits": 8, "linearQuantization": {"scale": [scale]}}
    return {"int8RawValue": base64.b64encode(levels.astype(np.int8).tobytes()).decode(), "quantization": quantization}


@pytest.mark.parametrize("zero", [False, True])
def test_inputs_quantized_to_int8_as_the_model_runs(nn: Any, zero: bool) -> None:
    rng = np.random.default_rng(0)
    levels, x = rng.integers(-128, 128, size=(4, 6)), np.zeros((5, 6), np.float32) if zero else nn.random(5, 6) * 3
    step = np.abs(x).max() / np.float32(127)
    seen = np.round(x / (step or 1)).astype(np.float64) * step
    params = {"inputChannels": 6, "outputChannels": 4, "int8DynamicQuantize": True, "weights": int8_weights(levels, 0.05)}
    nn.close(nn.run("innerProduct", params, x), seen @ (levels * 0.05).T, 1e-6)
    params = {"weightMatrixFirstDimension": 6, "weightMatrixSecondDimension": 4, "int8DynamicQuantize": True, "weights": int8_weights(levels, 0.05)}
    nn.close(nn.run("batchedMatmul", params, x), seen @ (levels * 0.05).T, 1e-6)
    if not zero:
        assert np.abs(seen - x).max() > step / 4


@pytest.mark.parametrize(
    ("a", "b", "transpose_a", "transpose_b"),
    [
        ((3, 4), (4, 5), False, False),
        ((4, 3), (4, 5), True, False),
        ((2, 3, 4), (5, 4), False, True),
        ((2, 1, 4, 3), (7, 5, 4), True, True),
        ((4,), (4, 5), False, False),
        ((2, 3, 4), (4,), False, False),
        ((4,), (4,), False, False),
    ],
)
def test_matmul_of_two_inputs(nn: Any, a: Any, b: Any, transpose_a: bool, transpose_b: bool) -> None:
    left, right = nn.random(*a), nn.random(*b, seed=1)
    matrices = [left[None] if left.ndim == 1 else left, right[:, None] if right.ndim == 1 else right]
    if transpose_a:
        matrices[0] = matrices[0].swapaxes(-1, -2)
    if transpose_b:
        matrices[1] = matrices[1].swapaxes(-1, -2)
    params = {"transposeA": transpose_a, "transposeB": transpose_b}
    nn.close(nn.run("batchedMatmul", params, left, right), np.matmul(*matrices))


@pytest.mark.parametrize("shape", [(3,), (2, 3), (4, 2, 3), (2, 1, 2, 3)])
def test_matmul_with_weights_stores_its_matrix_column_by_column(nn: Any, shape: tuple[int, ...]) -> None:
    x, matrix, b = nn.random(*shape), nn.random(3, 5), nn.random(5)
    params = {"weightMatrixFirstDimension": 3, "weightMatrixSecondDimension": 5, "hasBias": True, "bias": nn.weights(b)}
    params["weights"] = nn.weights(matrix.ravel(order="F"))
    nn.close(nn.run("batchedMatmul", params, x), x @ matrix + b)


@pytest.mark.parametrize("bias", [False, True])
def test_embeddings(nn: Any, bias: bool) -> None:
    w, b = nn.random(3, 5), nn.random(3)
    indices = np.asarray([[4, 0, 2], [1, 1, 3]])
    expected = w.T[indices] + (b if bias else 0)
    common = {"weights": nn.weights(w), "hasBias": bias, "bias": nn.weights(b)}
    old = {"inputDim": 5, "outputChannels": 3, **common}
    nn.close(nn.run("embedding", old, indices.reshape(2, 3, 1, 1, 1)), expected.reshape(2, 3, 3, 1, 1))
    nn.close(nn.run("embedding", old, indices.reshape(6, 1, 1, 1)), expected.reshape(6, 3, 1, 1))
    new = {"vocabSize": 5, "embeddingSize": 3, **common}
    nn.close(nn.run("embeddingND", new, indices[..., None]), expected)
    assert "not 1" in nn.refusal("embeddingND", new, (2, 3))
