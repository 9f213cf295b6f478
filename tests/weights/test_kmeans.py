from __future__ import annotations

import itertools
import statistics
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpipe.weights.kmeans import cluster, nearest, noise_bound

FLOAT32 = np.dtype(np.float32)


def noise(values, palette):
    return float(np.sum((values.astype(np.float64) - palette.tables[0].astype(np.float64)[palette.indices]) ** 2))


def best_by_trying_all(values, clusters):
    """The smallest error over every way to cut the sorted values into runs."""
    ordered = np.sort(values.astype(np.float64))
    best = np.inf
    for cuts in itertools.combinations(range(1, ordered.size), clusters - 1):
        parts = np.split(ordered, cuts)
        best = min(best, sum(((part - part.mean()) ** 2).sum() for part in parts))
    return best


@settings(deadline=None)
@given(st.lists(st.integers(-50, 50), min_size=5, max_size=9, unique=True), st.integers(1, 2))
def test_no_other_table_has_less_error(values, bits):
    array = np.array(values, np.float32)
    assert noise(array, cluster(array, bits, FLOAT32)) == pytest.approx(best_by_trying_all(array, 2**bits), rel=1e-6, abs=1e-9)


@pytest.mark.parametrize(("bits", "optimum_db"), [(1, 4.40), (2, 9.30), (3, 14.62), (4, 20.22), (5, 26.01)])
def test_gaussian_weights_reach_the_lloyd_max_optimum(bits, optimum_db):
    """Source of the optimum: Max, Quantizing for minimum distortion, 1960, table I."""
    inverse = statistics.NormalDist().inv_cdf
    values = np.array([inverse((index + 0.5) / 100_000) for index in range(100_000)], np.float32)  # its quantiles: a sample without luck
    signal = float(np.sum(values.astype(np.float64) ** 2))
    assert 10 * np.log10(signal / noise(values, cluster(values, bits, FLOAT32))) == pytest.approx(optimum_db, abs=0.02)


def test_few_distinct_values_are_kept_exactly():
    values = np.random.default_rng(0).choice([-2.5, 0.0, 0.125, 7.0], size=(50, 60)).astype(np.float32)
    palette = cluster(values, 2, FLOAT32)
    np.testing.assert_array_equal(palette.tables[0][palette.indices], values)
    palette = cluster(values, 4, FLOAT32)
    assert palette.tables.shape == (1, 16)
    np.testing.assert_array_equal(palette.tables[0][palette.indices], values)


@pytest.mark.parametrize("shape", [(7,), (3000,), (100, 90)])
@pytest.mark.parametrize("bits", [1, 3, 8])
@pytest.mark.parametrize("draw", ["normal", "standard_cauchy", "exponential"])
def test_error_is_below_the_bound(shape, bits, draw):
    values = getattr(np.random.default_rng(2), draw)(size=shape).astype(np.float32)
    assert noise(values, cluster(values, bits, FLOAT32)) <= noise_bound(values, bits)


@given(st.lists(st.floats(-10, 10, width=32), min_size=1, max_size=16), st.lists(st.floats(-12, 12, width=32), min_size=1, max_size=30))
def test_nearest_is_nearest_in_any_order_of_the_table(table, values):
    array, entries = np.array(values, np.float32), np.array(table, np.float32)
    chosen = np.abs(entries.astype(np.float64)[nearest(array, entries)] - array)
    np.testing.assert_allclose(chosen, np.abs(array[:, None].astype(np.float64) - entries).min(axis=1), atol=1e-12)


def test_clustering_imports_no_framework():
    code = (
        "import sys, numpy as np\nfrom mlpipe.weights.kmeans import cluster\n"
        "cluster(np.arange(99.0), 2, np.dtype('f4'))\n"
        "sys.exit(any(name.split('.')[0] in ('coremltools', 'tensorflow', 'torch', 'sklearn') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
