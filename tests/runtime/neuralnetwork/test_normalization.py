"""Normalizations against their formulas in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest


def standardized(x: np.ndarray, axes: tuple[int, ...], epsilon: float) -> np.ndarray:
    x = x.astype(np.float64)
    centred = x - x.mean(axes, keepdims=True)
    return centred / np.sqrt((centred**2).mean(axes, keepdims=True) + epsilon)


@pytest.mark.parametrize("shape", [(3, 4, 5), (2, 3, 4, 5), (2, 2, 3, 4, 5)])
@pytest.mark.parametrize("epsilon", [0, 0.01])
def test_batchnorm(nn: Any, shape: tuple[int, ...], epsilon: float) -> None:
    x = nn.random(*shape)
    gamma, beta, mean = (nn.random(3, seed=seed) for seed in (1, 2, 3))
    variance = np.asarray([0.5, 1e-5, 2], np.float32)
    values = {name: nn.weights(value) for name, value in (("gamma", gamma), ("beta", beta), ("mean", mean), ("variance", variance))}
    eps = epsilon or 1e-5
    column = (3, 1, 1)
    expected = gamma.reshape(column) * (x - mean.reshape(column)) / np.sqrt(variance.reshape(column) + np.float64(eps)) + beta.reshape(column)
    nn.close(nn.run("batchnorm", {"channels": 3, "epsilon": epsilon, **values}, x), expected)


@pytest.mark.parametrize(("instance", "axes"), [(True, (-2, -1)), (False, (0, 1, 3, 4))])
def test_batchnorm_that_computes_its_statistics(nn: Any, instance: bool, axes: tuple[int, ...]) -> None:
    x, gamma, beta = nn.random(2, 2, 3, 4, 5) * 3 + 1, nn.random(3, seed=1), nn.random(3, seed=2)
    params = {"channels": 3, "computeMeanVar": True, "instanceNormalization": instance, "epsilon": 0.1, "gamma": nn.weights(gamma), "beta": nn.weights(beta)}
    expected = standardized(x, axes, 0.1) * gamma.reshape(3, 1, 1) + beta.reshape(3, 1, 1)
    nn.close(nn.run("batchnorm", params, x), expected)


def test_instance_normalization_by_given_statistics_is_refused(nn: Any) -> None:
    values = {name: nn.weights([1]) for name in ("gamma", "beta", "mean", "variance")}
    assert "given statistics" in nn.refusal("batchnorm", {"channels": 1, "instanceNormalization": True, **values}, (1, 2, 2))


@pytest.mark.parametrize(("across", "axes"), [(True, (-3, -2, -1)), (False, (-2, -1))])
@pytest.mark.parametrize("epsilon", [0, 0.1])
def test_mvn(nn: Any, across: bool, axes: tuple[int, ...], epsilon: float) -> None:
    x = nn.random(2, 3, 4, 5) * 1e-3
    params = {"acrossChannels": across, "epsilon": epsilon}
    nn.close(nn.run("mvn", params, x), x - x.astype(np.float64).mean(axes, keepdims=True))
    nn.close(nn.run("mvn", params | {"normalizeVariance": True}, x), standardized(x, axes, epsilon or 1e-6))


@pytest.mark.parametrize("epsilon", [0, 0.5])
def test_l2_normalize(nn: Any, epsilon: float) -> None:
    x = nn.random(2, 3, 2, 4) * 1e-3
    expected = x / np.sqrt((x.astype(np.float64) ** 2).sum((-3, -2, -1), keepdims=True) + (epsilon or 1e-6))
    nn.close(nn.run("l2normalize", {"epsilon": epsilon}, x), expected)


@pytest.mark.parametrize("shape", [(7, 2, 3), (2, 7, 2, 3), (2, 2, 7, 2, 3)])
@pytest.mark.parametrize(("size", "k"), [(1, 8), (2, 1), (3, 0), (4, 2), (5, 2)])
def test_lrn(nn: Any, shape: tuple[int, ...], size: int, k: float) -> None:
    x = nn.random(*shape)
    expected = np.empty(shape)
    for channel in range(7):
        window = x[..., max(channel - size // 2, 0) : channel + (size + 1) // 2, :, :].astype(np.float64)
        expected[..., channel, :, :] = x[..., channel, :, :] / ((k or 1) + 1.5 / size * (window**2).sum(-3)) ** 0.75
    nn.close(nn.run("lrn", {"alpha": 1.5, "beta": 0.75, "localSize": size, "k": k}, x), expected)


@pytest.mark.parametrize("axis", [-1, 0, 1])
def test_softmax(nn: Any, axis: int) -> None:
    x = nn.random(2, 4, 3) * 30
    powers = np.exp(x.astype(np.float64) - x.max(axis, keepdims=True))
    nn.close(nn.run("softmaxND", {"axis": axis}, x), powers / powers.sum(axis, keepdims=True))


def test_legacy_softmax_is_over_channels(nn: Any) -> None:
    x = nn.random(2, 3, 4, 5)
    nn.close(nn.run("softmax", {}, x), np.exp(x) / np.exp(x).sum(1, keepdims=True))
    vector = nn.random(6)
    nn.close(nn.run("softmax", {}, vector, legacy=True), np.exp(vector) / np.exp(vector).sum())


@pytest.mark.parametrize("shape", [(5,), (4, 5), (3, 4, 5)])
def test_layer_normalization(nn: Any, shape: tuple[int, ...]) -> None:
    x, gamma, beta = nn.random(2, 3, 4, 5), nn.random(*shape, seed=1), nn.random(*shape, seed=2)
    params = {"normalizedShape": shape, "eps": 0.01, "gamma": nn.weights(gamma), "beta": nn.weights(beta)}
    axes = tuple(range(-len(shape), 0))
    nn.close(nn.run("layerNormalization", params, x), standardized(x, axes, 0.01) * gamma + beta)
    assert "normalized shape" in nn.refusal("layerNormalization", params, (6, 6, 6))


@pytest.mark.parametrize("shape", [(1,), (3,), (1, 4, 5), (3, 4, 5)])
def test_bias_and_scale(nn: Any, shape: tuple[int, ...]) -> None:
    x, b, s = nn.random(2, 3, 4, 5), nn.random(*shape, seed=1), nn.random(*shape, seed=2)
    wide = [value.reshape(-1, 1, 1) if value.ndim == 1 else value for value in (b, s)]
    nn.close(nn.run("bias", {"shape": shape, "bias": nn.weights(b)}, x), x + wide[0])
    scaled = {"shapeScale": shape, "scale": nn.weights(s)}
    nn.close(nn.run("scale", scaled, x), x * wide[1])
    nn.close(nn.run("scale", scaled | {"hasBias": True, "shapeBias": shape, "bias": nn.weights(b)}, x), x * wide[1] + wide[0])
