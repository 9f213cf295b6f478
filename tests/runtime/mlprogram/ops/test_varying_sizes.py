"""Operations on tensors whose sizes are only known when the program runs, against numpy."""

from __future__ import annotations

import numpy as np
import pytest

RANDOM = np.random.default_rng(21)


def normal(*shape):
    return RANDOM.standard_normal(shape).astype(np.float32)


X = normal(3, 4, 5)
IMAGE = normal(2, 4, 4, 6)
SEQUENCE = np.asarray([[3, 0, 2, 1], [1, 1, 3, 0], [2, 4, 0, 3]], np.int32)


def unshuffled(x):
    n, c, h, w = x.shape
    return x.reshape(n, c, h // 2, 2, w // 2, 2).transpose(0, 1, 3, 5, 2, 4).reshape(n, c * 4, h // 2, w // 2)


def to_batch(x):
    padded = np.pad(x, [(0, 0), (0, 0), (1, 1), (0, 3)])
    return np.concatenate([padded[:, :, i::2, j::3] for i in range(2) for j in range(3)])


def normalized(x, axes, epsilon):
    wide = x.astype(np.float64)
    return (wide - wide.mean(axis=axes, keepdims=True)) / np.sqrt(wide.var(axis=axes, keepdims=True) + epsilon)


def attended(q, k, v):
    scores = q.astype(np.float64) @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1])
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True) @ v


CASES = {
    "reshape 0 from the back": ({"x": X[0]}, lambda mb, x: mb.reshape(x=x, shape=[1, 0, -1, 0]), lambda x: x[None, None]),
    "reshape 0 of a longer shape": ({"x": X}, lambda mb, x: mb.reshape(x=x, shape=[-1, 0]), lambda x: x.reshape(12, 5)),
    "interleave": (
        {"x": X, "y": normal(3, 4, 5)},
        lambda mb, x, y: mb.concat(values=(x, y), axis=0, interleave=True),
        lambda x, y: np.stack([x, y], axis=1).reshape(6, 4, 5),
    ),
    "sliding_windows": (
        {"x": X},
        lambda mb, x: mb.sliding_windows(x=x, axis=-1, size=2, stride=2),
        lambda x: np.stack([x[..., 0:2], x[..., 2:4]], axis=2),
    ),
    "argsort": ({"x": X}, lambda mb, x: mb.argsort(x=x, axis=1, ascending=True), lambda x: np.argsort(x, axis=1)),
    "band_part": ({"x": X}, lambda mb, x: mb.band_part(x=x, lower=1, upper=2), lambda x: np.triu(np.tril(x, 2), -1)),
    "slice_by_index": ({"x": X}, lambda mb, x: mb.slice_by_index(x=x, begin=[-2, 0, -1], end=[3, -1, 0], stride=[1, 1, -2]), lambda x: x[-2:, :-1, :0:-2]),
    "slice_by_size": ({"x": X}, lambda mb, x: mb.slice_by_size(x=x, begin=[1, 0, -2], size=[2, -1, -1]), lambda x: x[1:, :, -2:]),
    "reverse": ({"x": X}, lambda mb, x: mb.reverse(x=x, axes=[1]), lambda x: x[:, ::-1]),
    "reverse_sequence": (
        {"x": X},
        lambda mb, x: mb.reverse_sequence(x=x, lengths=np.asarray([4, 0, 3], np.int32), seq_axis=1, batch_axis=0),
        lambda x: np.stack([x[0, ::-1], x[1], np.concatenate([x[2, 2::-1], x[2, 3:]])]),
    ),
    "split": ({"x": X}, lambda mb, x: mb.split(x=x, num_splits=2, axis=1), lambda x: list(np.split(x, 2, axis=1))),
    "tile": ({"x": X}, lambda mb, x: mb.tile(x=x, reps=[2, 1, 3]), lambda x: np.tile(x, (2, 1, 3))),
    "fill_like": ({"x": X}, lambda mb, x: mb.fill_like(ref_tensor=x, value=2.5), lambda x: np.full_like(x, 2.5)),
    "flatten2d": ({"x": X}, lambda mb, x: mb.flatten2d(x=x, axis=-1), lambda x: x.reshape(12, 5)),
    "shape": ({"x": X}, lambda mb, x: mb.shape(x=x), lambda _: np.asarray([3, 4, 5])),
    "crop": ({"x": X}, lambda mb, x: mb.crop(x=x, crop_height=[1, 0], crop_width=[0, 2]), lambda x: x[:, 1:, :-2]),
    "pad": ({"x": X}, lambda mb, x: mb.pad(x=x, pad=[1, 2, 3, 0], mode="reflect"), lambda x: np.pad(x, [(0, 0), (1, 2), (3, 0)], mode="reflect")),
    "gather": ({"x": X}, lambda mb, x: mb.gather(x=x, indices=[3, 0], axis=-2), lambda x: x[:, [3, 0]]),
    "gather batch": (
        {"x": X, "i": SEQUENCE},
        lambda mb, x, i: mb.gather(x=x, indices=i, axis=2, batch_dims=1),
        lambda x, i: np.stack([x[n][:, i[n]] for n in range(3)]),
    ),
    "gather batch in the middle": (
        {"x": IMAGE, "i": SEQUENCE[:2]},
        lambda mb, x, i: mb.gather(x=x, indices=i, axis=2, batch_dims=1),
        lambda x, i: np.stack([x[n][:, i[n]] for n in range(2)]),
    ),
    "pixel_unshuffle": ({"x": IMAGE}, lambda mb, x: mb.pixel_unshuffle(x=x, downscale_factor=np.uint32(2)), unshuffled),
    "space_to_batch": ({"x": IMAGE}, lambda mb, x: mb.space_to_batch(x=x, block_shape=[2, 3], paddings=[[1, 1], [0, 3]]), to_batch),
    "batch_to_space": (
        {"x": to_batch(IMAGE)},
        lambda mb, x: mb.batch_to_space(x=x, block_shape=[2, 3], crops=[[1, 1], [0, 3]]),
        lambda _: IMAGE,
    ),
    "space_to_depth": (
        {"x": IMAGE},
        lambda mb, x: mb.space_to_depth(x=x, block_size=2),
        lambda x: x.reshape(2, 4, 2, 2, 3, 2).transpose(0, 3, 5, 1, 2, 4).reshape(2, 16, 2, 3),
    ),
    "instance_norm": ({"x": IMAGE}, lambda mb, x: mb.instance_norm(x=x, epsilon=0.5), lambda x: normalized(x, (2, 3), 0.5)),
    "layer_norm": ({"x": X}, lambda mb, x: mb.layer_norm(x=x, axes=[-1, 1], epsilon=0.5), lambda x: normalized(x, (1, 2), 0.5)),
    "l2_norm": ({"x": X}, lambda mb, x: mb.l2_norm(x=x, epsilon=0.5), lambda x: x / np.sqrt((x.astype(np.float64) ** 2).sum() + 0.5)),
    "softmax": ({"x": X}, lambda mb, x: mb.softmax(x=x, axis=0), lambda x: np.exp(x) / np.exp(x).sum(axis=0)),
    "reduce_mean": ({"x": X}, lambda mb, x: mb.reduce_mean(x=x, axes=[0, -1]), lambda x: x.mean(axis=(0, 2))),
    "matmul": ({"x": X, "y": normal(4, 2)}, lambda mb, x, y: mb.matmul(x=x, y=y, transpose_x=True), lambda x, y: x.swapaxes(1, 2) @ y),
    "attention": (
        {"q": normal(2, 3, 4), "k": normal(2, 5, 4), "v": normal(2, 5, 2)},
        lambda mb, q, k, v: mb.scaled_dot_product_attention(query=q, key=k, value=v),
        attended,
    ),
    "slice_update": (
        {"x": X, "u": normal(3, 2, 5)},
        lambda mb, x, u: mb.slice_update(x=x, update=u, begin=[0, 1, 0], end=[0, 3, 0], begin_mask=[True, False, True], end_mask=[True, False, True]),
        lambda x, u: np.concatenate([x[:, :1], u, x[:, 3:]], axis=1),
    ),
    "scatter": (
        {"x": X, "u": normal(3, 2, 5)},
        lambda mb, x, u: mb.scatter(data=x, indices=np.asarray([3, 0], np.int32), updates=u, axis=1, mode="add"),
        lambda x, u: np.stack([x[:, 0] + u[:, 1], x[:, 1], x[:, 2], x[:, 3] + u[:, 0]], axis=1),
    ),
    "non_zero": ({"x": np.where(X > 0, X, 0)}, lambda mb, x: mb.non_zero(x=x), np.argwhere),
}


@pytest.mark.parametrize("case", CASES)
def test_of_varying_sizes(run_varying, case) -> None:
    feed, body, reference = CASES[case]
    expected = reference(*feed.values())
    results = run_varying(body, feed, opset="iOS18")
    for result, value in zip(results, expected if isinstance(expected, list) else [expected], strict=True):
        assert result.shape == value.shape
        np.testing.assert_allclose(result, value, rtol=1e-4, atol=1e-5)


def test_parameters_that_are_computed(run) -> None:
    def body(mb, x, numbers, shape):
        depth = mb.squeeze(x=mb.slice_by_size(x=numbers, begin=[0], size=[1]), axes=[0])
        return (
            mb.one_hot(indices=numbers, one_hot_vector_size=depth, axis=0, on_value=2.0, off_value=-1.0),
            mb.reshape(x=x, shape=shape),
            mb.tile(x=x, reps=numbers),
            mb.range_1d(start=0, end=depth, step=2),
        )

    feed = {"x": X[0, 0:2], "numbers": np.asarray([5, 2], np.int32), "shape": np.asarray([1, 0, -1], np.int32)}
    expected = [np.where(np.arange(5)[:, None] == [5, 2], 2, -1), X[0, 0:2].reshape(1, 2, 5), np.tile(X[0, 0:2], (5, 2)), np.arange(0, 5, 2)]
    for result, value in zip(run(body, feed), expected, strict=True):
        np.testing.assert_array_equal(result, value)
