"""Normalizations against their formulas in float64."""

from __future__ import annotations

import numpy as np
import pytest

RANDOM = np.random.default_rng(8)
X = RANDOM.standard_normal((2, 3, 4, 5)).astype(np.float32)
MEAN, VARIANCE, GAMMA, BETA = (RANDOM.uniform(0.5, 2, 3).astype(np.float32) for _ in range(4))


def channels(values, rank):
    return values.astype(np.float64).reshape(-1, *[1] * (rank - 2))


@pytest.mark.parametrize("shape", [(2, 3, 4), (2, 3, 4, 5), (1, 3, 2, 2, 2)], ids=["3d", "4d", "5d"])
@pytest.mark.parametrize("parameters", [{}, {"gamma": GAMMA, "beta": BETA}, {"gamma": GAMMA, "epsilon": 0.25}], ids=["plain", "scale and shift", "epsilon"])
def test_batch_norm(run, shape, parameters) -> None:
    x = RANDOM.standard_normal(shape).astype(np.float32)
    (result,) = run(lambda mb, x: mb.batch_norm(x=x, mean=MEAN, variance=VARIANCE, **parameters), {"x": x})
    expected = (x - channels(MEAN, x.ndim)) / np.sqrt(channels(VARIANCE, x.ndim) + parameters.get("epsilon", 1e-5))
    expected = expected * channels(parameters.get("gamma", np.ones(3)), x.ndim) + channels(parameters.get("beta", np.zeros(3)), x.ndim)
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("x", [X, X[:, :, 0]], ids=["4d", "3d"])
@pytest.mark.parametrize("parameters", [{}, {"gamma": GAMMA, "beta": BETA, "epsilon": 0.25}], ids=["plain", "all"])
def test_instance_norm(run, x, parameters) -> None:
    (result,) = run(lambda mb, x: mb.instance_norm(x=x, **parameters), {"x": x})
    axes = tuple(range(2, x.ndim))
    expected = (x - x.mean(axis=axes, keepdims=True)) / np.sqrt(x.var(axis=axes, keepdims=True) + parameters.get("epsilon", 1e-5))
    expected = expected * channels(parameters.get("gamma", np.ones(3)), x.ndim) + channels(parameters.get("beta", np.zeros(3)), x.ndim)
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("axes", [[-1], [2, 3], [1, 3], [0], [-1, -3]], ids=str)
def test_layer_norm(mil, run, axes) -> None:
    shape = [X.shape[axis] for axis in sorted(axis % 4 for axis in axes)]
    gamma, beta = (RANDOM.standard_normal(shape).astype(np.float32) for _ in range(2))

    def body(mb, x):
        return mb.layer_norm(x=x, axes=axes, gamma=gamma, beta=beta, epsilon=0.01), mb.layer_norm(x=x, axes=axes, epsilon=0.5)

    for result, expected in zip(run(body, {"x": X}), mil.infer(body, {"x": X}), strict=True):
        np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-5)


def test_layer_norm_over_everything(run) -> None:
    """coremltools cannot leave the axes out, as its definition allows."""

    def edit(spec):
        function = spec.mlProgram.functions["main"]
        (operation,) = [each for each in function.block_specializations[function.opset].operations if each.type == "layer_norm"]
        del operation.inputs["axes"]

    (result,) = run(lambda mb, x: mb.layer_norm(x=x, axes=[1]), {"x": X}, edit=edit)
    np.testing.assert_allclose(result, (X - X.mean()) / np.sqrt(X.var() + 1e-5), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("x", [X, X[0], X[None]], ids=["4d", "3d", "5d"])
def test_l2_norm(mil, run, x) -> None:
    def body(mb, x):
        return mb.l2_norm(x=x), mb.l2_norm(x=x, epsilon=2.0)

    for result, expected in zip(run(body, {"x": x}), mil.infer(body, {"x": x}), strict=True):
        np.testing.assert_allclose(result, expected, rtol=1e-5)


@pytest.mark.parametrize("shape", [(6, 2, 4), (2, 6, 3, 3), (1, 3, 6, 2, 4)], ids=["3d", "4d", "5d"])
@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 13])
def test_local_response_norm(run, size, shape) -> None:
    """Of an even number of neighbours the odd one lies before the channel, as in PyTorch."""
    x = RANDOM.standard_normal(shape).astype(np.float32)
    (result,) = run(lambda mb, x: mb.local_response_norm(x=x, size=size, alpha=0.4, beta=0.6, k=1.5), {"x": x})
    padded = np.pad(x.astype(np.float64) ** 2, [*[(0, 0)] * (x.ndim - 3), (size // 2, (size - 1) // 2), (0, 0), (0, 0)])
    total = sum(padded[..., offset : offset + 6, :, :] for offset in range(size))
    np.testing.assert_allclose(result, x / (1.5 + 0.4 / size * total) ** 0.6, rtol=1e-5)


def test_local_response_norm_of_rank_3_in_coremltools_own_words(run) -> None:
    """The values of its test: the first of three dimensions holds the channels, here a single one."""
    x = np.array([[[1.0, -7.0], [5.0, -6.0], [-3.0, -5.0]]], np.float32)
    (result,) = run(lambda mb, x: mb.local_response_norm(x=x, size=2), {"x": x})
    expected = [[[0.99996257, -6.98716545], [4.99531746, -5.99191284], [-2.99898791, -4.99531746]]]
    np.testing.assert_allclose(result, np.array(expected), rtol=1e-6)
