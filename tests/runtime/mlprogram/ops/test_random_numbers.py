"""Random operations: their distributions, and that the same model draws the same numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mlpipe.errors import NotExecutable
from mlpipe.runtime import load_model

ZERO = {"x": np.zeros(1, np.float32)}
COUNT = 40_000


def draw(run, make, **options):
    """Return the outputs of a program that draws; every model needs an input."""

    def body(mb, x):
        drawn = make(mb)
        return [mb.add(x=value, y=x) for value in (drawn if isinstance(drawn, list) else [drawn])]

    return run(body, ZERO, **options)


def assert_distributed(sample, cumulative) -> None:
    """Hold the Kolmogorov-Smirnov distance to the distribution's cumulative function under what one sample in 10,000 exceeds."""
    ordered = np.sort(sample.reshape(-1).astype(np.float64))
    expected = cumulative(ordered)
    steps = np.arange(ordered.size + 1) / ordered.size
    distance = max(np.abs(expected - steps[1:]).max(), np.abs(expected - steps[:-1]).max())
    assert distance < 2.23 / math.sqrt(ordered.size)


def normal_cumulative(mean, deviation):
    return lambda values: np.asarray([0.5 * (1 + math.erf((value - mean) / (deviation * math.sqrt(2)))) for value in values])


def assert_independent(sample) -> None:
    """Hold the correlations of neighbours at several distances under five standard errors."""
    centred = sample.reshape(-1).astype(np.float64) - sample.mean()
    for lag in (1, 2, 3, 7, 200):
        correlation = (centred[:-lag] * centred[lag:]).mean() / centred.var()
        assert abs(correlation) < 5 / math.sqrt(centred.size)


@pytest.mark.parametrize(("low", "high"), [(0.0, 1.0), (-3.0, 5.5)])
@pytest.mark.parametrize("seed", [-1, 0, 7])
def test_uniform(run, low, high, seed) -> None:
    (sample,) = draw(run, lambda mb: mb.random_uniform(shape=[200, COUNT // 200], low=low, high=high, seed=seed))
    assert sample.shape == (200, COUNT // 200)
    assert sample.min() >= low
    assert sample.max() < high
    assert_distributed(sample, lambda values: (values - low) / (high - low))
    assert_independent(sample)


@pytest.mark.parametrize(("mean", "deviation"), [(0.0, 1.0), (4.0, 0.5)])
def test_normal(run, mean, deviation) -> None:
    (sample,) = draw(run, lambda mb: mb.random_normal(shape=[COUNT], mean=mean, stddev=deviation, seed=3))
    assert_distributed(sample, normal_cumulative(mean, deviation))
    assert_independent(sample)


@pytest.mark.parametrize("probability", [0.0, 0.25, 0.5, 1.0])
def test_bernoulli(run, probability) -> None:
    (sample,) = draw(run, lambda mb: mb.random_bernoulli(shape=[COUNT], prob=probability))
    assert set(np.unique(sample)) <= {0.0, 1.0}
    assert abs(sample.mean() - probability) <= 4 * math.sqrt(probability * (1 - probability) / COUNT)


@pytest.mark.parametrize("mode", ["logits", "probs"])
def test_categorical(run, mode) -> None:
    shares = np.asarray([[0.5, 0.0, 0.3, 0.2], [0.0, 0.9, 0.1, 0.0]])
    with np.errstate(divide="ignore"):
        x = (np.log(shares) + 3 if mode == "logits" else shares).astype(np.float32)
    (sample,) = run(lambda mb, x: mb.random_categorical(x=x, mode=mode, size=COUNT), {"x": x})
    assert sample.shape == (2, COUNT)
    for row, expected in zip(sample, shares, strict=True):
        found = np.bincount(row.astype(int), minlength=4) / COUNT
        np.testing.assert_array_equal(found[expected == 0], 0)
        np.testing.assert_allclose(found, expected, atol=4 * 0.5 / math.sqrt(COUNT))
    assert_independent(sample[0])


def test_one_category_for_each_row_by_default(run) -> None:
    (sample,) = run(lambda mb, x: mb.random_categorical(x=x), {"x": np.asarray([[[-99, 0, -99]], [[0, -99, -99]]], np.float32)})
    np.testing.assert_array_equal(sample, [[[1]], [[0]]])


def test_the_same_seed_gives_the_same_numbers_and_no_seed_those_of_the_name(run) -> None:
    def make(mb):
        seeds = {"first": 5, "second": 5, "third": 6, "fourth": -1, "fifth": -1}
        return [mb.random_uniform(shape=[100], seed=seed, name=name) for name, seed in seeds.items()]

    first, second, third, fourth, fifth = draw(run, make)
    np.testing.assert_array_equal(first, second)
    for a, b in ((first, third), (fourth, fifth), (first, fourth)):
        assert abs(np.corrcoef(a, b)[0, 1]) < 0.5
    for again, before in zip(draw(run, make), (first, second, third, fourth, fifth), strict=True):
        np.testing.assert_array_equal(again, before)


def test_a_model_predicts_the_same_again(mil, tmp_path) -> None:
    path = mil.save(lambda mb, x: mb.add(x=x, y=mb.random_normal(shape=[50])), ZERO, tmp_path / "model.mlpackage")
    model = load_model(path)
    np.testing.assert_array_equal(model.predict_arrays(ZERO)["out0"], model.predict_arrays(ZERO)["out0"])


def test_both_precisions_draw_the_same_numbers_and_float16_stays_below_high(run) -> None:
    def make(mb):
        drawn = mb.random_uniform(shape=[5000], low=np.float16(99.0), high=np.float16(100.0), name="drawn")
        return mb.cast(x=drawn, dtype="fp32")

    (wide,), (narrow,) = draw(run, make), draw(run, make, precision="float16")
    assert narrow.max() < 100
    np.testing.assert_array_equal(narrow, wide.astype(np.float16))


def test_a_shape_that_is_computed(run) -> None:
    def body(mb, shape):
        return (
            mb.random_uniform(shape=shape, low=2.0, high=2.0),
            mb.random_normal(shape=shape, mean=1.5, stddev=0.0),
            mb.random_bernoulli(shape=shape, prob=1.0),
        )

    for result, value in zip(run(body, {"shape": np.asarray([3, 1, 4], np.int32)}), (2.0, 1.5, 1.0), strict=True):
        np.testing.assert_array_equal(result, np.full((3, 1, 4), value))


def test_an_empty_interval_is_refused(run) -> None:
    with pytest.raises(NotExecutable, match="below low"):
        draw(run, lambda mb: mb.random_uniform(shape=[2], low=1.0, high=0.0))


def test_the_rounds_of_a_loop_draw_different_numbers(run) -> None:
    def rounds(mb, body):
        start = (mb.const(val=np.int32(0)), mb.const(val=np.zeros(COUNT, np.float32)))
        return mb.while_loop(_cond=lambda i, _: mb.less(x=i, y=4), _body=lambda i, total: (mb.add(x=i, y=1), body(total)), loop_vars=start)[1]

    def make(mb):
        flat = rounds(mb, lambda total: mb.add(x=total, y=mb.random_uniform(shape=[COUNT], seed=1)))
        nested = rounds(mb, lambda total: mb.add(x=total, y=rounds(mb, lambda inner: mb.add(x=inner, y=mb.random_uniform(shape=[COUNT], seed=2)))))
        return [flat, nested]

    for total, count in zip(draw(run, make), (4, 16), strict=True):
        np.testing.assert_allclose([total.mean(), total.var()], [count / 2, count / 12], rtol=0.05)
        assert_independent(total)
