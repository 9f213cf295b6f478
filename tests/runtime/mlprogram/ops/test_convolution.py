"""Convolutions against plain loops."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from mlpipe.errors import NotExecutable

RANDOM = np.random.default_rng(5)


def convolve(x, weight, pads, strides, dilations, groups):
    """Return the cross-correlation, one output element at a time, in float64."""
    x = np.pad(x.astype(np.float64), [(0, 0), (0, 0), *pads])
    outputs, inputs = weight.shape[:2]
    kernel = weight.shape[2:]
    sizes = [(size - (k - 1) * d - 1) // s + 1 for size, k, d, s in zip(x.shape[2:], kernel, dilations, strides, strict=True)]
    result = np.zeros((x.shape[0], outputs, *sizes))
    for channel, place in itertools.product(range(outputs), np.ndindex(*sizes)):
        first = channel // (outputs // groups) * inputs
        window = tuple(slice(p * s, p * s + (k - 1) * d + 1, d) for p, s, k, d in zip(place, strides, kernel, dilations, strict=True))
        patch = x[(slice(None), slice(first, first + inputs), *window)]
        result[(slice(None), channel, *place)] = (patch * weight[channel]).sum(axis=tuple(range(1, patch.ndim)))
    return result


def spread(x, weight, strides, dilations, groups):
    """Return the full transposed convolution: every input element adds a window of weights to the output, in float64."""
    inputs, per_group = weight.shape[:2]
    kernel = weight.shape[2:]
    sizes = [(size - 1) * s + (k - 1) * d + 1 for size, k, d, s in zip(x.shape[2:], kernel, dilations, strides, strict=True)]
    result = np.zeros((x.shape[0], per_group * groups, *sizes))
    for channel, place in itertools.product(range(inputs), np.ndindex(*x.shape[2:])):
        first = channel // (inputs // groups) * per_group
        window = tuple(slice(p * s, p * s + (k - 1) * d + 1, d) for p, s, k, d in zip(place, strides, kernel, dilations, strict=True))
        value = x[(slice(None), channel, *place)].astype(np.float64)
        result[(slice(None), slice(first, first + per_group), *window)] += value.reshape(-1, *[1] * (1 + len(kernel))) * weight[channel]
    return result


def same_pads(sizes, kernel, strides, dilations, *, lower=False):
    totals = [max((-(-size // s) - 1) * s + (k - 1) * d + 1 - size, 0) for size, k, s, d in zip(sizes, kernel, strides, dilations, strict=True)]
    return [(t - t // 2, t // 2) if lower else (t // 2, t - t // 2) for t in totals]


CONV = {
    "1d": ((2, 3, 9), (4, 3, 3), {"pad_type": "valid"}),
    "2d": ((1, 3, 7, 6), (5, 3, 3, 2), {"pad_type": "valid"}),
    "3d": ((1, 2, 4, 5, 4), (3, 2, 2, 3, 2), {"pad_type": "valid"}),
    "strides": ((1, 3, 8, 9), (5, 3, 3, 2), {"pad_type": "valid", "strides": [2, 3]}),
    "dilations": ((1, 3, 9, 9), (2, 3, 3, 2), {"pad_type": "valid", "dilations": [2, 3]}),
    "groups": ((2, 4, 5, 5), (6, 2, 3, 3), {"pad_type": "valid", "groups": 2}),
    "depthwise": ((1, 4, 5, 5), (8, 1, 3, 3), {"pad_type": "same", "groups": 4}),
    "custom asymmetric": ((1, 3, 5, 6), (2, 3, 3, 3), {"pad_type": "custom", "pad": [0, 1, 2, 3]}),
    "same odd": ((1, 3, 8, 7), (2, 3, 3, 3), {"pad_type": "same", "strides": [2, 2]}),
    "same even kernel": ((1, 3, 7, 7), (2, 3, 4, 2), {"pad_type": "same", "strides": [1, 2]}),
    "same dilated": ((1, 3, 9, 10), (2, 3, 3, 2), {"pad_type": "same", "strides": [2, 1], "dilations": [2, 3]}),
    "same_lower": ((1, 3, 8, 7), (2, 3, 3, 2), {"pad_type": "same_lower", "strides": [2, 1]}),
}


@pytest.mark.parametrize("case", CONV)
@pytest.mark.parametrize("with_bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize("sizes", ["fixed", "varying"])
def test_conv(run, run_varying, case, with_bias, sizes) -> None:
    shape, weight_shape, parameters = CONV[case]
    x, weight = RANDOM.standard_normal(shape).astype(np.float32), RANDOM.standard_normal(weight_shape).astype(np.float32)
    bias = RANDOM.standard_normal(weight_shape[0]).astype(np.float32) if with_bias else None
    spatial = len(shape) - 2
    strides, dilations = parameters.get("strides", [1] * spatial), parameters.get("dilations", [1] * spatial)
    pad = parameters.get("pad", [0] * 2 * spatial)
    pads = list(zip(pad[::2], pad[1::2], strict=True))
    if parameters["pad_type"].startswith("same"):
        pads = same_pads(shape[2:], weight_shape[2:], strides, dilations, lower=parameters["pad_type"] == "same_lower")
    expected = convolve(x, weight, pads, strides, dilations, parameters.get("groups", 1))
    if bias is not None:
        expected += bias.reshape(-1, *[1] * spatial)
        parameters = {**parameters, "bias": bias}

    def body(mb, x):
        return mb.conv(x=x, weight=weight, **parameters)

    (result,) = run(body, {"x": x}) if sizes == "fixed" else run_varying(body, {"x": x}, fixed={"x": (1,)})
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-5)


def test_conv_with_a_weight_that_is_fed(run) -> None:
    x, weight = RANDOM.standard_normal((1, 3, 5, 5)).astype(np.float32), RANDOM.standard_normal((2, 3, 3, 3)).astype(np.float32)
    (result,) = run(lambda mb, x, weight: mb.conv(x=x, weight=weight, pad_type="valid"), {"x": x, "weight": weight})
    np.testing.assert_allclose(result, convolve(x, weight, [(0, 0)] * 2, [1, 1], [1, 1], 1), rtol=1e-4, atol=1e-5)


TRANSPOSE = {
    "1d": ((2, 3, 5), (3, 4, 3), {"pad_type": "valid", "strides": [2]}, [(0, 0)]),
    "2d valid": ((1, 3, 4, 5), (3, 2, 3, 2), {"pad_type": "valid", "strides": [2, 1]}, [(0, 0)] * 2),
    "3d": ((1, 2, 3, 2, 3), (2, 3, 2, 2, 2), {"pad_type": "valid"}, [(0, 0)] * 3),
    "groups": ((1, 4, 3, 3), (4, 3, 2, 2), {"pad_type": "valid", "groups": 2}, [(0, 0)] * 2),
    "dilations": ((1, 2, 3, 4), (2, 3, 3, 2), {"pad_type": "valid", "dilations": [2, 3]}, [(0, 0)] * 2),
    "custom": ((1, 3, 4, 4), (3, 2, 3, 3), {"pad_type": "custom", "pad": [1, 0, 2, 1], "strides": [2, 2]}, [(1, 0), (2, 1)]),
    "same odd crop": ((1, 3, 4, 4), (3, 2, 3, 4), {"pad_type": "same", "strides": [2, 2]}, [(0, 1), (1, 1)]),
    "same smaller kernel": ((1, 3, 4, 4), (3, 2, 1, 2), {"pad_type": "same", "strides": [2, 3]}, [(0, -1), (0, -1)]),
    "custom output_shape": (
        (1, 3, 4, 4),
        (3, 2, 3, 3),
        {"pad_type": "custom", "pad": [1, 1, 1, 0], "strides": [2, 3], "output_shape": [1, 2, 8, 12]},
        [(1, 0), (1, -1)],
    ),
    "same output_shape": ((1, 3, 4, 4), (3, 2, 3, 3), {"pad_type": "same", "strides": [2, 2], "output_shape": [1, 2, 7, 8]}, [(1, 1), (0, 1)]),
    "valid output_shape": ((1, 3, 4, 4), (3, 2, 3, 3), {"pad_type": "valid", "strides": [2, 2], "output_shape": [1, 2, 9, 10]}, [(0, 0), (0, -1)]),
}
"""Input, weight, parameters, and what is cropped from the full result (negative: zeros appended)."""


@pytest.mark.parametrize("case", TRANSPOSE)
@pytest.mark.parametrize("with_bias", [True, False], ids=["bias", "no bias"])
@pytest.mark.parametrize("sizes", ["fixed", "varying"])
def test_conv_transpose(run, run_varying, case, with_bias, sizes) -> None:
    shape, weight_shape, parameters, crops = TRANSPOSE[case]
    x, weight = RANDOM.standard_normal(shape).astype(np.float32), RANDOM.standard_normal(weight_shape).astype(np.float32)
    spatial, groups = len(shape) - 2, parameters.get("groups", 1)
    expected = spread(x, weight, parameters.get("strides", [1] * spatial), parameters.get("dilations", [1] * spatial), groups)
    expected = np.pad(expected, [(0, 0), (0, 0), *((0, max(-after, 0)) for _, after in crops)])
    expected = expected[(..., *(slice(before, size - max(after, 0)) for (before, after), size in zip(crops, expected.shape[2:], strict=True)))]
    if with_bias:
        bias = RANDOM.standard_normal(weight_shape[1] * groups).astype(np.float32)
        expected = expected + bias.reshape(-1, *[1] * spatial)
        parameters = {**parameters, "bias": bias}

    def body(mb, x):
        return mb.conv_transpose(x=x, weight=weight, **parameters)

    # With an output_shape coremltools wants to know the batch.
    (result,) = run(body, {"x": x}) if sizes == "fixed" else run_varying(body, {"x": x}, fixed={"x": (0, 1)})
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-5)


def test_an_output_shape_that_no_convolution_has_is_refused(run) -> None:
    weight = np.ones((3, 2, 3, 3), np.float32)
    with pytest.raises(NotExecutable, match="smaller than what valid padding gives"):
        run(lambda mb, x: mb.conv_transpose(x=x, weight=weight, pad_type="valid", output_shape=[1, 2, 5, 6]), {"x": np.ones((1, 3, 4, 4), np.float32)})


@pytest.mark.parametrize("shape", [(1, 3, 4, 4), (2, 3, 5)], ids=["2d", "1d"])
def test_conv_transpose_with_a_weight_that_is_fed(run, shape) -> None:
    spatial = len(shape) - 2
    x, weight = RANDOM.standard_normal(shape).astype(np.float32), RANDOM.standard_normal((3, 2, *[3] * spatial)).astype(np.float32)
    (result,) = run(lambda mb, x, weight: mb.conv_transpose(x=x, weight=weight, strides=[2] * spatial), {"x": x, "weight": weight})
    np.testing.assert_allclose(result, spread(x, weight, [2] * spatial, [1] * spatial, 1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("per_channel", [True, False])
@pytest.mark.parametrize("bits", [8, 3])
def test_conv_quantized(run, per_channel, bits) -> None:
    x = RANDOM.standard_normal((1, 2, 5, 5)).astype(np.float32)
    weight = RANDOM.integers(0, 2**bits, (4, 2, 3, 3)).astype(np.uint8)
    scale, shift = (np.asarray(values if per_channel else values[:1], np.float32) for values in ([0.5, 0.25, 2, 1], [-1, 3, 0.5, 0]))
    more = {"quant_scale": scale, "quant_bias": shift, "quantization_type": "linear", "nbits": bits, "pad_type": "same", "strides": [2, 1]}
    (result,) = run(lambda mb, x: mb.conv_quantized(x=x, weight=weight, bias=np.asarray([1, 2, 3, 200], np.uint8), **more), {"x": x})
    expected = convolve(x, weight * scale.reshape(-1, 1, 1, 1) + shift.reshape(-1, 1, 1, 1), [(1, 1), (1, 1)], [2, 1], [1, 1], 1)
    np.testing.assert_allclose(result, expected + np.asarray([1, 2, 3, 200]).reshape(-1, 1, 1), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("kind", "bits", "why"), [("lut", 8, "no parameter for a table"), ("linear", 2, "do not fit 2 bits")])
def test_conv_quantized_that_is_not_defined_is_refused(run, kind, bits, why) -> None:
    parameters = {"quantization_type": kind, "nbits": bits, "quant_scale": np.float32(1), "quant_bias": np.float32(0)}
    with pytest.raises(NotExecutable, match=why):
        run(lambda mb, x: mb.conv_quantized(x=x, weight=np.full((1, 1, 1), 9, np.uint8), **parameters), {"x": np.ones((1, 1, 3), np.float32)})


def test_the_transpose_of_same_is_the_gradient_of_same(run) -> None:
    """<conv(u), x> == <u, conv_transpose(x)> holds to the last pixel only if both crop on the same side."""
    u, x = RANDOM.standard_normal((1, 2, 8, 8)).astype(np.float32), RANDOM.standard_normal((1, 3, 4, 4)).astype(np.float32)
    weight = RANDOM.standard_normal((3, 2, 4, 3)).astype(np.float32)
    (forward,) = run(lambda mb, u: mb.conv(x=u, weight=weight, pad_type="same", strides=[2, 2]), {"u": u})
    (backward,) = run(lambda mb, x: mb.conv_transpose(x=x, weight=weight, pad_type="same", strides=[2, 2]), {"x": x})
    np.testing.assert_allclose((forward * x).sum(), (u * backward).sum(), rtol=1e-4)
