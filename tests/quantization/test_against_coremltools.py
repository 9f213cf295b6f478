from __future__ import annotations

import numpy as np
import pytest

from mlpipe.quantization.selfcheck import snr_db


def assert_same(mine, reference):
    """Equal in an ML Program, where both round once; in a NeuralNetwork coremltools adds in float64 and rounds after, which is one rounding less."""
    assert mine
    for name, values in mine.items():
        if values.ndim < 2 and name not in reference:
            continue  # the reference drops what is one value a channel in its own optimizations
        is_network = "." in name
        expected = reference[name].reshape(values.shape)
        slack = 2.0**-22 * np.abs(expected).max() if is_network else 0
        np.testing.assert_allclose(values, expected, rtol=0, atol=slack, err_msg=name)
        assert is_network or values.dtype == expected.dtype


def under_original_names(file):
    """coremltools appends what it did to the name of a constant."""
    return {name.removesuffix("_quantized").removesuffix("_palettized"): values for name, values in np.load(file).items()}


def test_weights_that_coremltools_compressed_decode_as_coremltools_decodes_them(models, decoded, their_variant):
    assert_same(decoded(models / "theirs", their_variant), dict(np.load(models / "theirs" / f"{their_variant}.npz")))


def test_files_that_mlpipe_writes_are_read_by_coremltools_with_the_same_values(ours, decoded, our_variant):
    assert_same(decoded(ours, our_variant), dict(np.load(ours / f"{our_variant}.npz")))


def test_weights_are_at_least_as_good_as_those_of_coremltools(models, ours, decoded, shared_variant):
    model, variant = shared_variant
    theirs = under_original_names(models / "theirs" / f"{model}-{variant}.npz")
    original, mine = decoded(models, model), decoded(ours, f"{model}-{variant}")
    # weights of 1e-6 have a test of their own: among the last bits of float16 either may be lucky
    changed = [name for name in original if not np.array_equal(original[name], mine[name]) and np.abs(original[name]).max() > 1e-4]
    assert len(changed) >= 5
    for name in changed:
        expected = theirs[name].reshape(original[name].shape)
        # 0.1 dB: a float16 scale is rounded up here and to nearest there, which shifts single values to their other neighbour
        assert snr_db(original[name], mine[name]) >= snr_db(original[name], expected) - 0.1, name


@pytest.mark.parametrize("model", ["program_ios16", "program_ios18"])
def test_tiny_weights_survive_where_coremltools_makes_channels_of_them_zero(models, ours, decoded, model):
    original, mine = decoded(models, model), decoded(ours, f"{model}-int8")
    theirs = under_original_names(models / "theirs" / f"{model}-int8.npz")
    tiny = [name for name in original if 0 < np.abs(original[name]).max() < 1e-4]
    assert tiny
    for name in tiny:
        assert snr_db(original[name], theirs[name]) < 10
        assert snr_db(original[name], mine[name]) > 40
