from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mlpipe.weights.blocks import extremes, spread
from mlpipe.weights.linear import encode_with_bias, encode_with_zero_point, noise_bound, not_below

# Values of both signs and very different sizes, so that scales come near the ends of float16's range.
WEIGHTS = st.builds(
    lambda values, exponent: values * np.float64(10.0**exponent),
    hnp.arrays(np.float64, (4, 6, 2), elements=st.floats(-1, 1, width=32)),
    st.integers(-6, 3),
).map(lambda values: values.astype(np.float32))
GRIDS = st.sampled_from([(1, 1, 1), (4, 1, 1), (1, 6, 1), (4, 3, 1), (2, 1, 1)])


def decode_bias(encoded, shape):
    return encoded.levels * spread(encoded.scale.astype(np.float64), shape) + spread(encoded.bias.astype(np.float64), shape)


def decode_zero_point(encoded, shape):
    offset = 0 if encoded.zero_point is None else spread(encoded.zero_point.astype(np.float64), shape)
    return (encoded.levels - offset) * spread(encoded.scale.astype(np.float64), shape)


def noise(values, decoded):
    return float(np.sum((values.astype(np.float64) - decoded) ** 2))


def allowed(values, bits, grid, slack, **form):
    """The bound of the scheme, and what storing scales with a relative error of `slack` and steps of 2**-24 can add."""
    extra = (np.abs(values).max() * slack + 2.0**-24) ** 2 * values.size
    return (np.sqrt(noise_bound(values, bits, grid, **form)) + np.sqrt(extra)) ** 2


@settings(deadline=None)
@given(values=WEIGHTS, grid=GRIDS, bits=st.integers(1, 8))
def test_levels_with_a_bias_lie_within_half_a_step(values, grid, bits):
    encoded = encode_with_bias(values, bits, grid, symmetric=False)
    assert encoded.levels.max() < 2**bits
    assert noise(values, decode_bias(encoded, values.shape)) <= allowed(values, bits, grid, 2.0**-22, symmetric=False, holds_zero=False)


@settings(deadline=None)
@given(values=WEIGHTS, grid=GRIDS, bits=st.integers(2, 8), symmetric=st.booleans(), storage=st.sampled_from([np.float16, np.float32]))
def test_levels_with_a_zero_point_lie_within_half_a_step(values, grid, bits, symmetric, storage):
    values = values.astype(storage)
    encoded = encode_with_zero_point(values, bits, grid, symmetric=symmetric, storage=storage)
    assert encoded.scale.dtype == storage
    slack = 2.0**-10 if storage == np.float16 else 2.0**-22
    assert noise(values, decode_zero_point(encoded, values.shape)) <= allowed(values, bits, grid, slack, symmetric=symmetric, holds_zero=True)


@given(values=WEIGHTS, grid=GRIDS)
def test_zero_stays_zero_where_levels_are_symmetric(values, grid):
    values[0, 0, 0] = 0
    assert decode_bias(encode_with_bias(values, 8, grid, symmetric=True), values.shape)[0, 0, 0] == 0
    assert decode_zero_point(encode_with_zero_point(values, 8, grid, symmetric=True, storage=np.float16), values.shape)[0, 0, 0] == 0
    assert decode_zero_point(encode_with_zero_point(values, 8, grid, symmetric=False, storage=np.float32), values.shape)[0, 0, 0] == 0


def test_encoding_a_grid_gives_the_grid():
    levels = np.arange(16, dtype=np.uint8).reshape(2, 8)
    values = (levels * np.float32(0.25) - np.float32(1.5)).astype(np.float32)
    encoded = encode_with_bias(values, 4, (1, 1), symmetric=False)
    np.testing.assert_array_equal(encoded.levels, levels)
    assert (encoded.scale.item(), encoded.bias.item()) == (0.25, -1.5)


@given(st.floats(0, 60000, width=32))
def test_scales_are_rounded_up_by_less_than_one_step(exact):
    stored = not_below(np.array(exact, np.float64), np.float16)
    if exact == 0:
        assert stored == 1
    else:
        assert float(stored) >= exact
        assert float(np.nextafter(stored, np.float16(0))) < exact


def test_blocks():
    values = np.arange(24.0).reshape(4, 6)
    low, high = extremes(values, (2, 3))
    np.testing.assert_array_equal(low, [[0, 2, 4], [12, 14, 16]])
    np.testing.assert_array_equal(high, [[7, 9, 11], [19, 21, 23]])
    np.testing.assert_array_equal(spread(low, (4, 6))[:, 2], [2, 2, 14, 14])
    with pytest.raises(ValueError, match="do not divide"):
        spread(low, (4, 7))
