"""Operations on every element type that their definitions allow: what moves elements, compares them, counts with them and casts them."""

from __future__ import annotations

import numpy as np
import pytest

X = np.asarray([[[3, 0, 100], [1, 3, 0]], [[0, 2, 2], [127, 0, 1]]])
PLACES = np.asarray([1, 0, 1], np.int32)

NARROW = ("int8", "uint8", "int16", "uint16")
ALL = ("bool", "int32", "fp16", "fp32")
NUMBERS = ("int32", "fp16", "fp32")

MOVES = {
    "reshape": ((*ALL, *NARROW), lambda mb, x: mb.reshape(x=x, shape=[3, -1]), lambda x: x.reshape(3, 4)),
    "reshape_like": (
        (*ALL, *NARROW),
        lambda mb, x: mb.reshape_like(x=x, ref_tensors=(x, mb.reshape(x=x, shape=[6, 2])), begins=[0, 0], ends=[1, 1], end_masks=[False, False]),
        lambda x: x.reshape(2, 6),
    ),
    "expand_dims": ((*ALL, *NARROW), lambda mb, x: mb.expand_dims(x=x, axes=[1, -1]), lambda x: x[:, None, :, :, None]),
    "squeeze": ((*ALL, *NARROW), lambda mb, x: mb.squeeze(x=mb.expand_dims(x=x, axes=[0]), axes=[0]), lambda x: x),
    "transpose": ((*ALL, *NARROW), lambda mb, x: mb.transpose(x=x, perm=[2, 0, 1]), lambda x: x.transpose(2, 0, 1)),
    "reverse": ((*ALL, *NARROW), lambda mb, x: mb.reverse(x=x, axes=[0, 2]), lambda x: x[::-1, :, ::-1]),
    "reverse_sequence": (
        (*ALL, *NARROW),
        lambda mb, x: mb.reverse_sequence(x=x, lengths=np.asarray([2, 3], np.int32), seq_axis=2, batch_axis=-2),
        lambda x: np.stack([x[:, 0, [1, 0, 2]], x[:, 1, ::-1]], axis=1),
    ),
    "slice_by_index": (
        (*ALL, *NARROW),
        lambda mb, x: mb.slice_by_index(x=x, begin=[1, 0, 0], end=[2, 2, 3], squeeze_mask=[True, False, False]),
        lambda x: x[1],
    ),
    "slice_by_size": ((*ALL, *NARROW), lambda mb, x: mb.slice_by_size(x=x, begin=[0, 1, 0], size=[2, 1, -1]), lambda x: x[:, 1:]),
    "sliding_windows": ((*NUMBERS, *NARROW), lambda mb, x: mb.sliding_windows(x=x, axis=2, size=2), lambda x: np.stack([x[..., :2], x[..., 1:]], axis=2)),
    "split": (ALL, lambda mb, x: mb.split(x=x, split_sizes=[1, 2], axis=2)[1], lambda x: x[..., 1:]),
    "concat": (ALL, lambda mb, x: mb.concat(values=(x, x), axis=1), lambda x: np.concatenate([x, x], axis=1)),
    "interleave": (ALL, lambda mb, x: mb.concat(values=(x, x), axis=1, interleave=True), lambda x: x.repeat(2, axis=1)),
    "stack": (ALL, lambda mb, x: mb.stack(values=(x, x), axis=-1), lambda x: np.stack([x, x], axis=-1)),
    "tile": (ALL, lambda mb, x: mb.tile(x=x, reps=[1, 2, 2]), lambda x: np.tile(x, (1, 2, 2))),
    "flatten2d": (ALL, lambda mb, x: mb.flatten2d(x=x, axis=2), lambda x: x.reshape(4, 3)),
    "identity": (ALL, lambda mb, x: mb.identity(x=x), lambda x: x),
    "band_part": (ALL, lambda mb, x: mb.band_part(x=x, lower=0, upper=1), lambda x: np.triu(np.tril(x, 1))),
    "gather": ((*NUMBERS, *NARROW), lambda mb, x: mb.gather(x=x, indices=PLACES, axis=1), lambda x: x[:, PLACES]),
    "gather_nd": ((*NUMBERS, *NARROW), lambda mb, x: mb.gather_nd(x=x, indices=PLACES[:, None]), lambda x: x[PLACES]),
    "gather_along_axis": (
        (*NUMBERS, *NARROW),
        lambda mb, x: mb.gather_along_axis(x=x, indices=np.broadcast_to(PLACES, (2, 2, 3)), axis=1),
        lambda x: x[:, PLACES, np.arange(3)][:, None].repeat(2, axis=1),
    ),
    "scatter": (
        NUMBERS,
        lambda mb, x: mb.scatter(data=x, indices=[1], updates=mb.slice_by_size(x=x, begin=[0, 0, 0], size=[1, 2, 3]), mode="update"),
        lambda x: x[[0, 0]],
    ),
    "scatter_nd": (
        NUMBERS,
        lambda mb, x: mb.scatter_nd(data=x, indices=[[1]], updates=mb.slice_by_size(x=x, begin=[0, 0, 0], size=[1, 2, 3]), mode="add"),
        lambda x: np.stack([x[0], x[0] + x[1]]),
    ),
    "slice_update": (
        (*ALL, *NARROW),
        lambda mb, x: mb.slice_update(x=x, update=mb.slice_by_size(x=x, begin=[0, 0, 0], size=[1, 2, 3]), begin=[1, 0, 0], end=[2, 2, 3]),
        lambda x: x[[0, 0]],
    ),
    "select": (ALL, lambda mb, x: mb.select(cond=X > 1, a=x, b=mb.reverse(x=x, axes=[0])), lambda x: np.where(X > 1, x, x[::-1])),
    "non_zero": (ALL, lambda mb, x: mb.non_zero(x=x), np.argwhere),
    "shape": (ALL, lambda mb, x: mb.shape(x=x), lambda x: np.asarray(x.shape)),
    "fill_like": (ALL, lambda mb, x: mb.fill_like(ref_tensor=x, value=True), np.ones_like),
    "topk": ((*NUMBERS, *NARROW), lambda mb, x: mb.topk(x=x, k=2, axis=2)[0], lambda x: -np.sort(-x.astype(int), axis=2)[..., :2]),
    "argsort": (NUMBERS, lambda mb, x: mb.argsort(x=x, axis=0), lambda x: np.argsort(-x.astype(int), axis=0, kind="stable")),
    "cumsum": (NUMBERS, lambda mb, x: mb.cumsum(x=x, axis=1, exclusive=True, reverse=True), lambda x: np.flip(np.flip(x, 1).cumsum(1) - np.flip(x, 1), 1)),
    "reduce_argmax": (NUMBERS, lambda mb, x: mb.reduce_argmax(x=x, axis=1), lambda x: x.argmax(axis=1)),
    "abs": (NUMBERS, lambda mb, x: mb.abs(x=mb.sub(x=x, y=mb.mul(x=x, y=x))), lambda x: x * x - x),
    "sign": (NUMBERS, lambda mb, x: mb.sign(x=x), np.sign),
    "square": (NUMBERS, lambda mb, x: mb.square(x=x), np.square),
    "threshold": (("int32",), lambda mb, x: mb.threshold(x=x, alpha=np.int32(2)), lambda x: np.maximum(x, 2)),
    "exp2": (("int32",), lambda mb, x: mb.exp2(x=mb.minimum(x=x, y=30)), lambda x: 2 ** np.minimum(x, 30)),
}


@pytest.mark.parametrize("move", MOVES)
def test_every_element_type(run, move) -> None:
    dtypes, operation, reference = MOVES[move]

    def body(mb, x):
        return [mb.cast(x=operation(mb, mb.cast(x=x, dtype=dtype)), dtype="int32") for dtype in dtypes]

    for result, dtype in zip(run(body, {"x": X.astype(np.int32)}, opset="iOS18"), dtypes, strict=True):
        numpy_type = {"bool": np.bool_, "fp16": np.float32, "fp32": np.float32}.get(dtype, np.int64)
        np.testing.assert_array_equal(result, reference(X.astype(numpy_type)), err_msg=dtype)


LIMITS = {"int8": (-128, 127), "uint8": (0, 255), "int16": (-32768, 32767), "uint16": (0, 65535)}


@pytest.mark.parametrize("source", ["fp32", "fp16", "int32"])
@pytest.mark.parametrize("target", LIMITS)
def test_casts_to_narrow_integers_cut_fractions_off_and_keep_the_low_bits(run, source, target) -> None:
    low, high = LIMITS[target]
    x = np.asarray([0, 1, low, high, low - 1, high + 1, 300, -300, 100], np.float64)
    if source != "int32":
        x += 0.25 * np.sign(x)
    if source == "fp16":
        x = np.clip(x, -60000, 60000).astype(np.float16)
    given = x.astype(np.int32 if source == "int32" else np.float32)

    def body(mb, x):
        wide = mb.cast(x=x, dtype="fp16") if source == "fp16" else x
        return mb.cast(x=mb.cast(x=wide, dtype=target), dtype="int32")

    (result,) = run(body, {"x": given})
    np.testing.assert_array_equal(result, np.trunc(given).astype(np.int32).astype(target))


@pytest.mark.parametrize("value", ["bool", "int32", "fp16", "fp32"])
def test_filled_with_every_type(run, value) -> None:
    constant = {"bool": np.True_, "int32": np.int32(2**30 + 1), "fp16": np.float16(0.1), "fp32": np.float32(0.1)}[value]

    def body(mb, shape):
        return (
            mb.fill(shape=shape, value=constant),
            mb.one_hot(indices=shape, one_hot_vector_size=3, on_value=constant, off_value=np.zeros((), constant.dtype)[()]),
        )

    filled, hot = run(body, {"shape": np.asarray([2, 1], np.int32)})
    expected = np.float32(constant) if value.startswith("fp") else constant
    np.testing.assert_array_equal(filled, np.full((2, 1), expected))
    np.testing.assert_array_equal(hot, np.asarray([[0, 0, 1], [0, 1, 0]]) * expected)
