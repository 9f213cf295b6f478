from __future__ import annotations

import math
from statistics import NormalDist

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq

from mlpipe.metrics.wilson import samples_needed, wilson_interval


def by_root_finding(hits: int, n: int, confidence: float) -> tuple[float, float]:
    """The definition itself: the p at which the observed share lies z standard errors of p away."""
    z, share = NormalDist().inv_cdf(0.5 + confidence / 2), hits / n

    def excess(p: float) -> float:
        return (share - p) ** 2 - z * z * p * (1 - p) / n

    low = 0.0 if hits == 0 else brentq(excess, 0.0, min(share, 1 - 1e-12), xtol=1e-15)
    high = 1.0 if hits == n else brentq(excess, max(share, 1e-12), 1.0, xtol=1e-15)
    return low, high


@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.sampled_from([0.8, 0.9, 0.95, 0.99]))
def test_interval_solves_its_definition(hits_and_n: tuple[int, int], confidence: float) -> None:
    hits, n = hits_and_n
    low, high = wilson_interval(hits / n, n, confidence)
    expected = by_root_finding(hits, n, confidence)
    assert (low, high) == pytest.approx(expected, abs=1e-9)
    assert 0.0 <= low <= hits / n <= high <= 1.0


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [  # Newcombe, Statistics in Medicine 17 (1998) 857-872, table I, method 3, which prints four digits
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_published_values(hits: int, n: int, low: float, high: float) -> None:
    assert wilson_interval(hits / n, n) == pytest.approx((low, high), abs=5.1e-5)


@given(st.floats(0.01, 0.9999), st.sampled_from([0.9, 0.95, 0.99]))
def test_samples_needed_is_the_first_that_suffices(bound: float, confidence: float) -> None:
    n = samples_needed(bound, confidence)
    assert wilson_interval(1.0, n, confidence)[0] >= bound
    if n > 1:
        assert wilson_interval(1.0, n - 1, confidence)[0] < bound


@pytest.mark.parametrize(("share", "n", "confidence"), [(0.5, 0, 0.95), (1.1, 5, 0.95), (math.nan, 5, 0.95), (0.5, 5, 1.0)])
def test_refuses_what_has_no_interval(share: float, n: int, confidence: float) -> None:
    with pytest.raises(ValueError, match="no interval"):
        wilson_interval(share, n, confidence)


def test_no_number_of_samples_shows_certainty() -> None:
    with pytest.raises(ValueError, match="share of 1"):
        samples_needed(1.0)
