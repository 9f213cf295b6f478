"""Small programs of many families of operations, that hostile files are made of."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np

RANDOM = np.random.default_rng(7)


def _weights(*shape: int) -> np.ndarray:
    return RANDOM.standard_normal(shape).astype(np.float32)


IMAGE = _weights(1, 3, 12, 12)
STEPS = _weights(5, 2, 4)
ROWS = _weights(4, 6)


def classifier(mb: Any, x: Any) -> Any:
    """Convolutions, poolings and a softmax over labels."""
    x = mb.conv(x=x, weight=_weights(16, 3, 3, 3), bias=_weights(16), pad_type="same", strides=[2, 2])
    x = mb.batch_norm(x=x, mean=_weights(16), variance=np.abs(_weights(16)), gamma=_weights(16), beta=_weights(16))
    x = mb.max_pool(x=mb.relu6(x=x), kernel_sizes=[2, 2], strides=[1, 1], pad_type="valid")
    x = mb.conv(x=x, weight=_weights(16, 1, 3, 3), groups=16, pad_type="custom", pad=[1, 1, 1, 1], dilations=[2, 2])
    x = mb.conv_transpose(x=x, weight=_weights(16, 4, 2, 2), strides=[2, 2], pad_type="valid")
    x = mb.avg_pool(x=x, kernel_sizes=[2, 2], strides=[2, 2], pad_type="same", exclude_padding_from_average=True)
    x = mb.reduce_mean(x=mb.instance_norm(x=x), axes=[2, 3])
    return mb.softmax(x=mb.linear(x=x, weight=_weights(3, 4), bias=_weights(3)), name="scores")


def recurrent(mb: Any, x: Any) -> Any:
    """Recurrent layers and normalizations."""
    state = np.zeros((2, 8), np.float32)
    weights = {"weight_ih": _weights(32, 4), "weight_hh": _weights(32, 8), "bias": _weights(32)}
    sequence, _, _ = mb.lstm(x=x, initial_h=state, initial_c=state, output_sequence=True, **weights)
    _, last = mb.gru(x=sequence, initial_h=state, weight_ih=_weights(24, 8), weight_hh=_weights(24, 8), bias=_weights(24), direction="reverse")
    _, last = mb.rnn(x=mb.expand_dims(x=last, axes=[0]), initial_h=state, weight_ih=_weights(8, 8), weight_hh=_weights(8, 8))
    return mb.layer_norm(x=last, axes=[-1], gamma=_weights(8), beta=_weights(8))


def loops(mb: Any, x: Any) -> Any:
    """A loop over a list with a branch inside."""
    rows = mb.make_list(init_length=4, elem_shape=(6,), dynamic_length=False)

    def step(number: Any, total: Any, rows: Any) -> Any:
        row = mb.squeeze(x=mb.gather(x=x, indices=mb.expand_dims(x=number, axes=[0]), axis=0), axes=[0])
        positive = mb.greater(x=mb.reduce_sum(x=row, axes=[0], keep_dims=False), y=0.0)
        row = mb.cond(pred=positive, _true_fn=lambda: mb.exp(x=row), _false_fn=lambda: mb.mul(x=row, y=-1.0))
        return mb.add(x=number, y=1), mb.add(x=total, y=row), mb.list_write(ls=rows, index=number, value=row)

    start = (np.int32(0), np.zeros(6, np.float32), rows)
    _, total, rows = mb.while_loop(_cond=lambda number, *_others: mb.less(x=number, y=4), _body=step, loop_vars=start)
    halved, _ = mb.while_loop(
        _cond=lambda _value, left: mb.greater(x=left, y=0),
        _body=lambda value, left: (mb.mul(x=value, y=0.5), mb.sub(x=left, y=1)),
        loop_vars=(total, np.int32(3)),
    )
    return mb.list_gather(ls=rows, indices=[3, 0, 1]), halved


def shapes(mb: Any, x: Any) -> Any:
    """Operations whose parameters are sizes, amounts and places."""
    y = mb.tile(x=mb.reshape(x=x, shape=[2, 3, -1]), reps=[1, 2, 2])
    y = mb.pad(x=y, pad=[1, 2, 0, 3], mode="constant", constant_val=0.5)
    y = mb.slice_by_index(x=y, begin=[0, 1, -5], end=[2, 100, -1], stride=[1, 2, 1])
    y = mb.concat(values=[y, mb.fill(shape=[2, 4, 2], value=2.0)], axis=2)
    first, second = mb.split(x=y, num_splits=2, axis=0)
    y = mb.stack(values=[first, second], axis=1)
    y = mb.scatter(data=mb.reshape(x=y, shape=[-1]), indices=[3, 0], updates=np.ones(2, np.float32), axis=0, mode="add")
    values, indices = mb.topk(x=y, k=5, axis=0)
    hot = mb.one_hot(indices=indices, one_hot_vector_size=60, axis=-1)
    counted = mb.range_1d(start=0, end=12, step=2)
    picked = mb.gather(x=y, indices=counted, axis=0)
    windows = mb.sliding_windows(x=mb.cumsum(x=picked, axis=0), axis=0, size=3, stride=1)
    return values, mb.reduce_sum(x=hot, axes=[0]), windows, mb.gather_nd(x=windows, indices=[[0, 1], [3, 2]])


def resampling(mb: Any, x: Any) -> Any:
    """Pictures of other sizes."""
    y = mb.resize_bilinear(x=x, target_size_height=9, target_size_width=20, sampling_mode="DEFAULT")
    y = mb.upsample_nearest_neighbor(x=y, scale_factor_height=2, scale_factor_width=1)
    z = mb.upsample_bilinear(x=x, scale_factor_height=2, scale_factor_width=2, align_corners=False)
    z = mb.crop(x=z, crop_height=[1, 2], crop_width=[0, 3])
    blocks = mb.depth_to_space(x=mb.tile(x=x, reps=[1, 4, 1, 1]), block_size=2)
    return y, z, mb.space_to_depth(x=blocks, block_size=3)


def compressed(mb: Any, x: Any) -> Any:
    """Weights in the compressed forms of iOS16."""
    generator = np.random.default_rng(1)
    levels = generator.integers(-128, 127, (6, 6)).astype(np.int8)
    dense = mb.constexpr_affine_dequantize(quantized_data=levels, zero_point=np.int8(3), scale=np.float32(0.01), axis=0)
    looked_up = mb.constexpr_lut_to_dense(lut=_weights(4), indices=generator.integers(0, 255, 9).astype(np.uint8), shape=np.asarray([6, 6], np.uint32))
    y = mb.linear(x=mb.linear(x=x, weight=dense), weight=looked_up)
    return y, mb.matmul(x=mb.erf(x=y), y=y, transpose_y=True)


def grouped(mb: Any, x: Any) -> Any:
    """Weights in the compressed forms of iOS18, and attention."""
    from coremltools.converters.mil.mil import types

    nibbles = np.random.default_rng(2).integers(-8, 8, (6, 6)).astype(types.nptype_from_builtin(types.int4))
    weight = mb.constexpr_blockwise_shift_scale(data=nibbles, scale=np.abs(_weights(6, 2)))
    y = mb.expand_dims(x=mb.linear(x=x, weight=weight), axes=[0])
    attended = mb.scaled_dot_product_attention(query=y, key=y, value=y)
    return attended, mb.gelu(x=attended, mode="TANH_APPROXIMATION")


def flexible(mb: Any, x: Any) -> Any:
    """Sizes that are known when the model runs."""
    y = mb.concat(values=[x, mb.mul(x=x, y=2.0)], axis=0)
    sizes = mb.shape(x=y)
    y = mb.reshape(x=mb.softmax(x=y, axis=1), shape=[3, -1])
    return mb.reshape(x=y, shape=sizes), mb.reduce_argmax(x=y, axis=1), mb.non_zero(x=y)


def remembering(mb: Any, held: Any, x: Any) -> Any:
    """A state that is read, changed and read again, in float16."""
    before = mb.read_state(input=held)
    after = mb.coreml_update_state(state=held, value=mb.add(x=before, y=mb.cast(x=x, dtype="fp16")))
    return mb.concat(values=[before, after, mb.read_state(input=held)], axis=0)


def photo(mb: Any, x: Any) -> Any:
    """A picture in colours, in float16."""
    kernel = RANDOM.standard_normal((8, 3, 3, 3)).astype(np.float16)
    y = mb.clip(x=mb.conv(x=mb.cast(x=x, dtype="fp16"), weight=kernel, pad_type="same"), alpha=np.float16(0), beta=np.float16(6))
    return mb.reduce_max(x=mb.l2_norm(x=y, epsilon=np.float16(1e-3)), axes=[2, 3])


PROGRAMS: dict[str, tuple[Any, np.ndarray, dict[str, Any]]] = {
    "classifier": (classifier, IMAGE, {"opset": "iOS16"}),
    "recurrent": (recurrent, STEPS, {"opset": "iOS16"}),
    "loops": (loops, ROWS, {"opset": "iOS16"}),
    "shapes": (shapes, ROWS, {"opset": "iOS16"}),
    "resampling": (resampling, IMAGE, {"opset": "iOS17"}),
    "compressed": (compressed, ROWS, {"opset": "iOS16"}),
    "grouped": (grouped, ROWS, {"opset": "iOS18"}),
    "flexible": (flexible, ROWS, {"opset": "iOS17"}),
    "remembering": (remembering, ROWS, {"opset": "iOS18", "states": {"held": (4, 6)}}),
    "photo": (photo, IMAGE, {"opset": "iOS16"}),
}
"""Name -> the program, what it is fed as `x`, and how it is built."""


def save_all(mil: Any, folder: Path) -> None:
    """Write every program as a package, and what it is fed beside it."""
    for name, (body, fed, options) in PROGRAMS.items():
        keywords = dict(options)
        if name == "classifier":
            keywords["classifier_config"] = mil.ct.ClassifierConfig(["a", "b", "c"], predicted_feature_name="label", predicted_probabilities_output="scores")
        if name == "flexible":
            rows = mil.symbol()
            keywords["shapes"] = {"x": (rows, fed.shape[1])}
            keywords["inputs"] = [mil.ct.TensorType(name="x", shape=(mil.ct.RangeDim(1, 50, default=4), fed.shape[1]))]
        if name == "photo":
            keywords["inputs"] = [mil.ct.ImageType("x", shape=fed.shape, color_layout="BGR", scale=0.5, bias=[1, 2, 3])]
        mil.save(body, {"x": fed}, folder / f"{name}.mlpackage", **keywords)
        (folder / f"{name}.pickle").write_bytes(pickle.dumps({"x": np.full((*fed.shape[2:], 3), 7, np.uint8) if name == "photo" else fed}))
