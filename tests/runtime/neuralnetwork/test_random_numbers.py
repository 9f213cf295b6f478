"""Random layers: the distribution, the shape in each of the three ways, the seed."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

SHAPE = (40, 50, 30)
COUNT = math.prod(SHAPE)

KINDS: dict[str, tuple[dict[str, Any], float, float]] = {
    # parameters, mean, standard deviation
    "randomNormal": ({"mean": 3.0, "stdDev": 2.0}, 3.0, 2.0),
    "randomUniform": ({"minVal": -1.0, "maxVal": 5.0}, 2.0, 6 / math.sqrt(12)),
    "randomBernoulli": ({"prob": 0.3}, 0.3, math.sqrt(0.21)),
}


def drawn(nn: Any, kind: str, way: str, params: dict[str, Any], shape: Any = SHAPE) -> np.ndarray:
    if way == "Like":
        return nn.run(f"{kind}Like", params, np.zeros(shape))
    if way == "Static":
        return nn.run(f"{kind}Static", {**params, "outputShape": list(shape)})
    return nn.run(f"{kind}Dynamic", params, np.array(shape))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("way", ["Like", "Static", "Dynamic"])
def test_the_distribution(nn: Any, kind: str, way: str) -> None:
    params, mean, deviation = KINDS[kind]
    values = drawn(nn, kind, way, {**params, "seed": 7})
    assert values.shape == SHAPE
    assert abs(values.mean() - mean) < 5 * deviation / math.sqrt(COUNT)
    assert abs(values.std() - deviation) < 0.02 * deviation
    neighbours = np.corrcoef(values.reshape(-1)[:-1], values.reshape(-1)[1:])[0, 1]
    assert abs(neighbours) < 5 / math.sqrt(COUNT)
    if kind == "randomUniform":
        assert values.min() >= -1
        assert values.max() < 5
    if kind == "randomBernoulli":
        assert set(np.unique(values)) == {0, 1}


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_is_the_same_numbers_and_another_is_others(nn: Any, kind: str) -> None:
    params = KINDS[kind][0]
    once, again, other = (drawn(nn, kind, "Like", {**params, "seed": seed}) for seed in (7, 7, 8))
    np.testing.assert_array_equal(once, again)
    assert (once != other).mean() > 0.3


PROBABILITIES = np.array([[0.1, 0.2, 0.7], [0.5, 0.5, 0.0]], np.float32)


@pytest.mark.parametrize("logits", [True, False])
@pytest.mark.parametrize("temperature", [0.0, 1.0, 2.0])
def test_categorical(nn: Any, logits: bool, temperature: float) -> None:
    given = np.log(PROBABILITIES + 1e-9) if logits else PROBABILITIES
    params = {"numSamples": 20000, "isLogits": logits, "temperature": temperature, "seed": 3}
    values = nn.run("categoricalDistribution", params, given)
    powers = PROBABILITIES.astype(np.float64) ** (1 / (temperature or 1.0))
    expected = powers / powers.sum(axis=-1, keepdims=True)
    found = np.stack([(values == index).mean(axis=-1) for index in range(3)], axis=-1)
    assert values.shape == (2, 20000)
    np.testing.assert_allclose(found, expected, atol=0.02)


def test_indices_beyond_float16_survive_its_rounding(nn: Any) -> None:
    x = np.full(4099, -50.0)
    x[4098] = 50.0
    assert nn.run("categoricalDistribution", {"numSamples": 3, "isLogits": True}, x[None], precision="float16").tolist() == [[4098] * 3]
