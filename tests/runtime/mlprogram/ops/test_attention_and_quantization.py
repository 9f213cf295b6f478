"""Attention and 8-bit activations against coremltools' value inference and their formulas."""

from __future__ import annotations

import numpy as np
import pytest

RANDOM = np.random.default_rng(14)
QUERY, KEY, VALUE = (RANDOM.standard_normal(shape).astype(np.float32) for shape in ((1, 2, 3, 4), (1, 2, 5, 4), (1, 2, 5, 6)))
CAUSAL = np.tril(np.ones((3, 5), bool), 2)
MASKS = {
    "none": {},
    "bool": {"attn_mask": CAUSAL},
    "bool of one row": {"attn_mask": CAUSAL[:1]},
    "bool of every head": {"attn_mask": np.stack([CAUSAL, ~CAUSAL | CAUSAL])[None]},
    "bool that shuts a row": {"attn_mask": CAUSAL & np.asarray([[True], [False], [True]])},
    "float": {"attn_mask": RANDOM.standard_normal((3, 5)).astype(np.float32)},
    "float of one row": {"attn_mask": RANDOM.standard_normal((1, 1, 1, 5)).astype(np.float32)},
    "float of every head": {"attn_mask": RANDOM.standard_normal((2, 3, 5)).astype(np.float32)},
}


@pytest.mark.parametrize("mask", MASKS)
def test_attention(mil, run, mask) -> None:
    def body(mb, query, key, value):
        return mb.scaled_dot_product_attention(query=query, key=key, value=value, **MASKS[mask])

    feed = {"query": QUERY, "key": KEY, "value": VALUE}
    with np.errstate(invalid="ignore"):
        (expected,) = mil.infer(body, feed, opset="iOS18")
    (result,) = run(body, feed, opset="iOS18")
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
@pytest.mark.parametrize("axis", [None, 1, -1])
def test_quantize_and_dequantize(run, dtype, axis) -> None:
    x = np.concatenate([RANDOM.standard_normal((2, 3, 3)) * 30, [[[0.25, 0.75, 1.25]] * 3]]).astype(np.float32)
    scale = np.float32(0.5) if axis is None else np.asarray([0.5, 0.25, 2], np.float32)
    zero = np.asarray(3 if axis is None else [3, 5, 0], dtype)
    more = {} if axis is None else {"axis": axis}

    def body(mb, x):
        quantized = mb.quantize(input=x, scale=scale, zero_point=zero, output_dtype=dtype, **more)
        return mb.cast(x=quantized, dtype="int32"), mb.dequantize(input=quantized, scale=scale, zero_point=zero, **more)

    shape = {None: (), 1: (1, 3, 1), -1: (1, 1, 3)}[axis]
    limits = np.iinfo(dtype)
    levels = np.clip(np.round(x / scale.reshape(shape)) + zero.astype(np.float32).reshape(shape), limits.min, limits.max)
    quantized, back = run(body, {"x": x})
    np.testing.assert_array_equal(quantized, levels)
    np.testing.assert_allclose(back, (levels - zero.astype(np.float32).reshape(shape)) * scale.reshape(shape))


@pytest.mark.parametrize("rank", [3, 5])
def test_attention_of_other_ranks(run, rank) -> None:
    shape = (2, 3, 2)[: rank - 2]
    q, k, v = (RANDOM.standard_normal((*shape, *last)).astype(np.float32) for last in ((3, 4), (5, 4), (5, 6)))
    (result,) = run(lambda mb, q, k, v: mb.scaled_dot_product_attention(query=q, key=k, value=v), {"q": q, "k": k, "v": v}, opset="iOS18")
    weights = np.exp(q @ k.swapaxes(-1, -2) / 2)
    np.testing.assert_allclose(result, weights / weights.sum(axis=-1, keepdims=True) @ v, rtol=1e-4, atol=1e-5)


def test_without_zero_point_and_beyond_the_range(run) -> None:
    x = np.asarray([-1e9, -129, -128.5, 127.5, 0.5, 1.5, 2.5, 1e9], np.float32)

    def body(mb, x):
        signed = mb.quantize(input=x, scale=np.float32(1), output_dtype="int8")
        unsigned = mb.quantize(input=x, scale=np.float32(-0.5), output_dtype="uint8")
        return mb.dequantize(input=signed, scale=np.float32(0.25)), mb.cast(x=unsigned, dtype="int32")

    back, unsigned = run(body, {"x": x})
    np.testing.assert_array_equal(back, np.asarray([-128, -128, -128, 127, 0, 2, 2, 127]) / 4)
    np.testing.assert_array_equal(unsigned, [255, 255, 255, 0, 0, 0, 0, 0])
