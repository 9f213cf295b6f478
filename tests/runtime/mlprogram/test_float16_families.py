"""Reductions, products and everything else that is more than one operation on an element, in float16: the exact result rounded once.

References are float64 throughout. What float32 sums in another order may round the other way: at most 0.5 % of elements, by one step. Where terms
cancel, the steps of the little that is left are finer than the sum itself: elements under a thousandth of the largest count in that one's steps.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

HALF = np.float16
SHARE = 0.005
CANCELLED = 1e-3


def draw(*shape, scale=1.0):
    return (np.random.default_rng([16, *shape]).standard_normal(shape) * scale).astype(HALF)


class Row(NamedTuple):
    """A program of one operation, what it is fed, and what it should give."""

    body: Callable[..., Any]
    feed: dict[str, np.ndarray]
    exact: Callable[..., Any]
    opset: str = "iOS17"


ROWS = draw(2000, 96)
POSITIVE = np.abs(ROWS) + HALF(0.01)
IMAGE = draw(1, 8, 40, 40)
KERNEL = draw(16, 8, 3, 3, scale=0.2)
DEPTHWISE = draw(8, 1, 5, 5, scale=0.2)
BACK = draw(8, 6, 4, 4, scale=0.2)
BIAS = draw(16)
LEFT, RIGHT = draw(160, 256), draw(256, 120)
SIZES = {"kernel_sizes": (3, 3), "strides": (1, 1), "pad_type": "valid"}
CHANNELS = {"mean": draw(8), "variance": np.abs(draw(8, 1)[:, 0]) + HALF(0.5), "gamma": draw(1, 8)[0], "beta": draw(1, 1, 8)[0, 0]}


def f64(value):
    return np.asarray(value, np.float64)


def by_channel(value, rank=4):
    return f64(value).reshape(-1, *[1] * (rank - 2))


def conv(x, weight, *, stride=1, pad=0, dilation=1, groups=1):
    """Return a convolution of the last two dimensions."""
    x = np.pad(x, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    size = (weight.shape[2] - 1) * dilation + 1
    windows = sliding_window_view(x, (size, size), axis=(2, 3))[:, :, ::stride, ::stride, ::dilation, ::dilation]
    parts = np.split(windows, groups, axis=1), np.split(weight, groups)
    return np.concatenate([np.einsum("nchwij,ocij->nohw", part, kernel) for part, kernel in zip(*parts, strict=True)], axis=1)


def conv_transpose(x, weight):
    """Return what a convolution with this weight would have come from, each input pixel spread over the kernel with stride 2."""
    spread = np.zeros((*x.shape[:2], x.shape[2] * 2 - 1, x.shape[3] * 2 - 1))
    spread[:, :, ::2, ::2] = x
    return conv(spread, weight.transpose(1, 0, 2, 3)[:, :, ::-1, ::-1], pad=weight.shape[2] - 1)


def windows(x, size=3):
    return sliding_window_view(x, (size, size), axis=(2, 3))


def normal(x, axes, epsilon=1e-5):
    return (x - x.mean(axis=axes, keepdims=True)) / np.sqrt(x.var(axis=axes, keepdims=True) + epsilon)


def softmax(x):
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def interpolated(size, target):
    """Return the matrix that interpolates a line, its ends on the ends."""
    places = np.arange(target) * (size - 1) / (target - 1)
    return np.maximum(0, 1 - np.abs(places[:, None] - np.arange(size)))


def lstm(x, weight_ih, weight_hh, bias):
    """Return every step's output; gates lie in the order input, forget, output, candidate."""
    h = c = np.zeros((x.shape[1], weight_hh.shape[1]))
    steps = []
    for step in x:
        i, f, o, z = np.split(step @ weight_ih.T + h @ weight_hh.T + bias, 4, axis=1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(z)
        h = sigmoid(o) * np.tanh(c)
        steps.append(h)
    return np.stack(steps)


def rnn(x, weight_ih, weight_hh, bias):
    h = np.zeros((x.shape[1], weight_hh.shape[1]))
    steps = []
    for step in x:
        h = np.tanh(step @ weight_ih.T + h @ weight_hh.T + bias)
        steps.append(h)
    return np.stack(steps)


def gru(x, weight_ih, weight_hh, bias):
    """Return every step's output; gates lie in the order reset, candidate, update."""
    h = np.zeros((x.shape[1], weight_hh.shape[1]))
    steps = []
    (reset_ih, new_ih, update_ih), (reset_hh, new_hh, update_hh) = (np.split(weight, 3) for weight in (weight_ih, weight_hh))
    reset_bias, new_bias, update_bias = np.split(bias, 3)
    for step in x:
        reset, update = (sigmoid(step @ i.T + h @ r.T + b) for i, r, b in ((reset_ih, reset_hh, reset_bias), (update_ih, update_hh, update_bias)))
        h = update * h + (1 - update) * np.tanh(step @ new_ih.T + (reset * h) @ new_hh.T + new_bias)
        steps.append(h)
    return np.stack(steps)


def recurrent(name, reference, gates):
    x, weight_ih, weight_hh = draw(6, 40, 12), draw(gates * 24, 12, scale=0.3), draw(gates * 24, 24, scale=0.3)
    bias, zeros = draw(gates * 24, scale=0.1), np.zeros((40, 24), HALF)

    def body(mb, x):
        states = {"initial_h": zeros} | ({"initial_c": zeros} if name == "lstm" else {})
        return getattr(mb, name)(x=x, weight_ih=weight_ih, weight_hh=weight_hh, bias=bias, output_sequence=True, direction="forward", **states)[0]

    return Row(body, {"x": x}, lambda x: reference(x, f64(weight_ih), f64(weight_hh), f64(bias)))


def reduced(name, function, x=ROWS):
    return Row(lambda mb, x: getattr(mb, name)(x=x, axes=[1], keep_dims=False), {"x": x}, lambda x: function(x, axis=1))


def unary(name, function, x, **parameters):
    return Row(lambda mb, x: getattr(mb, name)(x=x, **parameters), {"x": x}, function)


TABLE = {
    "reduce_sum": reduced("reduce_sum", np.sum),
    "reduce_mean": reduced("reduce_mean", np.mean),
    "reduce_prod": reduced("reduce_prod", np.prod, (HALF(1) + ROWS * HALF(0.1)).astype(HALF)),
    "reduce_sum_square": reduced("reduce_sum_square", lambda x, axis: (x**2).sum(axis=axis)),
    "reduce_l1_norm": reduced("reduce_l1_norm", lambda x, axis: np.abs(x).sum(axis=axis)),
    "reduce_l2_norm": reduced("reduce_l2_norm", lambda x, axis: np.sqrt((x**2).sum(axis=axis))),
    "reduce_log_sum": reduced("reduce_log_sum", lambda x, axis: np.log(x.sum(axis=axis)), POSITIVE),
    "reduce_log_sum_exp": reduced("reduce_log_sum_exp", lambda x, axis: np.log(np.exp(x).sum(axis=axis))),
    "reduce_max": reduced("reduce_max", np.max),
    "reduce_min": reduced("reduce_min", np.min),
    "cumsum": unary("cumsum", lambda x: np.cumsum(x, axis=1), ROWS, axis=1),
    "matmul": Row(lambda mb, x, y: mb.matmul(x=x, y=y), {"x": LEFT, "y": RIGHT}, lambda x, y: x @ y),
    "matmul transposed": Row(
        lambda mb, x, y: mb.matmul(x=x, y=y, transpose_x=True, transpose_y=True), {"x": draw(3, 64, 50), "y": draw(3, 70, 64)}, lambda x, y: x.mT @ y.mT
    ),
    "linear": unary("linear", lambda x: x @ f64(RIGHT[:96]) + f64(draw(120)), ROWS[:300], weight=RIGHT[:96].T.copy(), bias=draw(120)),
    "einsum": Row(
        lambda mb, x, y: mb.einsum(values=(x, y), equation="nchw,nwhu->nchu"),
        {"x": draw(2, 16, 10, 40), "y": draw(2, 40, 10, 24)},
        lambda x, y: np.einsum("nchw,nwhu->nchu", x, y),
    ),
    "conv": unary("conv", lambda x: conv(x, f64(KERNEL), pad=1) + by_channel(BIAS), IMAGE, weight=KERNEL, bias=BIAS, pad_type="same"),
    "conv strided": unary(
        "conv", lambda x: conv(x, f64(KERNEL), stride=2, dilation=2), IMAGE, weight=KERNEL, strides=[2, 2], dilations=[2, 2], pad_type="valid"
    ),
    "conv depthwise": unary("conv", lambda x: conv(x, f64(DEPTHWISE), groups=8), IMAGE, weight=DEPTHWISE, groups=8, pad_type="valid"),
    "conv_transpose": unary("conv_transpose", lambda x: conv_transpose(x, f64(BACK)), IMAGE, weight=BACK, strides=[2, 2], pad_type="valid"),
    "avg_pool": unary("avg_pool", lambda x: windows(x).mean(axis=(-2, -1)), IMAGE, **SIZES),
    "l2_pool": unary("l2_pool", lambda x: np.sqrt((windows(x) ** 2).sum(axis=(-2, -1))), IMAGE, **SIZES),
    "max_pool": unary("max_pool", lambda x: windows(x).max(axis=(-2, -1)), IMAGE, **SIZES),
    "batch_norm": unary(
        "batch_norm",
        lambda x: (
            (x - by_channel(CHANNELS["mean"])) / np.sqrt(by_channel(CHANNELS["variance"]) + 1e-5) * by_channel(CHANNELS["gamma"]) + by_channel(CHANNELS["beta"])
        ),
        IMAGE,
        **CHANNELS,
    ),
    "instance_norm": unary("instance_norm", lambda x: normal(x, (2, 3)), IMAGE),
    "layer_norm": unary("layer_norm", lambda x: normal(x, (1,)), ROWS, axes=[1]),
    "l2_norm": unary("l2_norm", lambda x: x / np.sqrt((x**2).sum(axis=(-3, -2, -1), keepdims=True) + 1e-6), IMAGE),
    "local_response_norm": unary(
        "local_response_norm",
        lambda x: x / (1 + f64(HALF(0.5)) / 3 * sum(np.pad(x**2, ((0, 0), (1, 1), (0, 0), (0, 0)))[:, k : k + 8] for k in range(3))) ** 0.75,
        IMAGE,
        size=3,
        alpha=HALF(0.5),
    ),
    "softmax": unary("softmax", softmax, ROWS),
    "sigmoid": unary("sigmoid", sigmoid, ROWS),
    "silu": unary("silu", lambda x: x * sigmoid(x), ROWS),
    "elu": unary("elu", lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))), ROWS, alpha=HALF(1)),
    "gelu exact": unary("gelu", lambda x: x / 2 * np.vectorize(math.erfc)(-x / math.sqrt(2)), ROWS, mode="EXACT"),
    "gelu tanh": unary("gelu", lambda x: x * sigmoid(2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)), ROWS, mode="TANH_APPROXIMATION"),
    "gelu sigmoid": unary("gelu", lambda x: x * sigmoid(1.702 * x), ROWS, mode="SIGMOID_APPROXIMATION"),
    "scaled_dot_product_attention": Row(
        lambda mb, q, k, v: mb.scaled_dot_product_attention(query=q, key=k, value=v),
        {"q": draw(2, 60, 32), "k": draw(2, 50, 32), "v": draw(2, 50, 33)[..., :32]},
        lambda q, k, v: softmax(q @ k.mT / math.sqrt(32)) @ v,
        "iOS18",
    ),
    "upsample_bilinear": unary(
        "upsample_bilinear",
        lambda x: interpolated(40, 80) @ x @ interpolated(40, 80).T,
        IMAGE,
        scale_factor_height=2,
        scale_factor_width=2,
        align_corners=True,
    ),
    "resize_bilinear": unary(
        "resize_bilinear",
        lambda x: interpolated(40, 23) @ x @ interpolated(40, 57).T,
        IMAGE,
        target_size_height=23,
        target_size_width=57,
        sampling_mode="STRICT_ALIGN_CORNERS",
    ),
    "lstm": recurrent("lstm", lstm, 4),
    "gru": recurrent("gru", gru, 3),
    "rnn": recurrent("rnn", rnn, 1),
    "scatter add": Row(
        lambda mb, x, y: mb.scatter(data=x, indices=np.arange(2000, dtype=np.int32)[::-1].copy(), updates=y, mode="add"),
        {"x": ROWS, "y": draw(2000, 96, scale=3)},
        lambda x, y: x + y[::-1],
    ),
    "dequantize": Row(
        lambda mb, x: mb.dequantize(
            input=mb.quantize(input=x, scale=HALF(0.037), zero_point=np.int8(3), output_dtype="int8"), scale=HALF(0.037), zero_point=np.int8(3)
        ),
        {"x": ROWS},
        lambda x: np.clip(np.rint(x / f64(HALF(0.037))), -131, 124) * f64(HALF(0.037)),
    ),
}


@pytest.mark.parametrize("name", TABLE)
def test_family(run, name) -> None:
    row = TABLE[name]
    (actual,) = run(row.body, row.feed, precision="float16", opset=row.opset)
    exact = np.asarray(row.exact(**{key: f64(value) for key, value in row.feed.items()}))
    rounded = exact.astype(HALF).astype(np.float32)
    assert actual.shape == exact.shape
    np.testing.assert_array_equal(actual, actual.astype(HALF))
    assert np.mean(actual != rounded) <= SHARE
    step = np.spacing(np.maximum(np.abs(exact), CANCELLED * np.abs(exact).max()).astype(HALF))
    assert np.all(np.abs(actual - rounded) <= step)
