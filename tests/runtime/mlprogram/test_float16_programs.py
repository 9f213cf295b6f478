"""Whole programs in float16: weights, blocks, images and what ONNX Runtime makes of it, against numpy rounding after every operation."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from mlpipe.runtime import Precision, load_model
from mlpipe.runtime.execute import Executable

HALF = np.float16
RANDOM = np.random.default_rng(4)
X = (RANDOM.standard_normal((4, 6)) * 3).astype(HALF)


def half(value):
    with np.errstate(over="ignore"):
        return np.asarray(value, np.float32).astype(HALF).astype(np.float32)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_both_blocks_of_a_condition_round(run, sign, precision) -> None:
    def body(mb, x):
        outside = mb.mul(x=x, y=HALF(1.1))
        positive = mb.greater(x=mb.reduce_sum(x=x, keep_dims=False), y=HALF(0))
        return mb.cond(
            pred=positive,
            _true_fn=lambda: mb.mul(x=mb.add(x=outside, y=HALF(0.1)), y=HALF(3.3)),
            _false_fn=lambda: mb.add(x=mb.mul(x=outside, y=HALF(0.7)), y=x),
        )

    x = np.abs(X) * HALF(sign)
    wide, step = x.astype(np.float32), half if precision == "float16" else lambda value: value
    outside = step(wide * half(1.1))
    expected = step(step(outside + half(0.1)) * half(3.3)) if sign > 0 else step(step(outside * half(0.7)) + wide)
    (result,) = run(body, {"x": x}, precision=precision)
    np.testing.assert_array_equal(result, expected)


def test_loops_round_what_they_carry_and_what_they_capture(run) -> None:
    def body(mb, x):
        tripled = mb.mul(x=x, y=HALF(3.1))
        return mb.while_loop(
            _cond=lambda i, _: mb.less(x=i, y=5),
            _body=lambda i, value: (mb.add(x=i, y=1), mb.add(x=mb.mul(x=value, y=HALF(0.9)), y=tripled)),
            loop_vars=(np.int32(0), mb.sub(x=x, y=HALF(0.3))),
        )[1]

    wide = X.astype(np.float32)
    tripled, expected = half(wide * half(3.1)), half(wide - half(0.3))
    for _ in range(5):
        expected = half(half(expected * half(0.9)) + tripled)
    np.testing.assert_array_equal(run(body, {"x": X}, precision="float16")[0], expected)


LEVELS = RANDOM.integers(-127, 128, (6, 6)).astype(np.int8)
SCALE = np.linspace(0.0107, 0.0313, 6).astype(HALF)
CENTRES = RANDOM.standard_normal(16).astype(HALF)


def affine(mb):
    return mb.constexpr_affine_dequantize(quantized_data=LEVELS, zero_point=np.zeros(6, np.int8), scale=SCALE, axis=0)


def palette(mb):
    indices = (LEVELS.astype(np.int32) + 127) % 16
    packed = np.packbits(np.unpackbits(indices.astype(np.uint8).reshape(-1, 1), axis=1, bitorder="little")[:, :4].reshape(-1), bitorder="little")
    return mb.constexpr_lut_to_dense(indices=packed, lut=CENTRES, shape=np.asarray([6, 6], np.uint32))


COMPRESSED = {
    "affine": (affine, half(LEVELS.astype(np.float32) * SCALE.astype(np.float32)[:, None])),
    "palette": (palette, CENTRES.astype(np.float32)[(LEVELS.astype(np.int32) + 127) % 16]),
}


@pytest.mark.parametrize("precision", ["float32", "float16"])
@pytest.mark.parametrize("kind", COMPRESSED)
def test_compressed_weights_stand_on_the_grid_whatever_the_precision(run, kind, precision) -> None:
    build, expected = COMPRESSED[kind]
    (result,) = run(lambda mb, x: mb.gather(x=build(mb), indices=x, axis=0), {"x": np.arange(6, dtype=np.int32)}, precision=precision)
    np.testing.assert_array_equal(result, expected)


def test_images_are_rounded_like_everything_else(mil, tmp_path) -> None:
    pixels = RANDOM.integers(0, 256, (5, 7, 3)).astype(np.uint8)
    feed = {"image": np.zeros((1, 3, 5, 7), HALF)}
    scaled = mil.ct.ImageType(name="image", shape=(1, 3, 5, 7), color_layout="BGR", scale=1 / 127.5, bias=[-1.0, -0.9, -1.1])
    path = mil.save(lambda mb, image: mb.mul(x=image, y=HALF(1.7)), feed, tmp_path / "model.mlpackage", inputs=[scaled])
    image = Image.fromarray(pixels)
    model = load_model(path, precision="float16")
    assert {layer.dtype for layer in model.layers if layer.type != "input"} == {"float16"}
    values = model.taps().predict_arrays({"image": image})
    planes = pixels[:, :, ::-1].transpose(2, 0, 1)[None].astype(np.float32)
    np.testing.assert_array_equal(values["image"], planes)
    assert all(np.array_equal(half(value), value) for value in values.values())
    exact = ((planes.astype(np.float64) / 127.5) + np.asarray([-1.0, -0.9, -1.1])[:, None, None]) * np.float64(HALF(1.7))
    np.testing.assert_allclose(values["out0"], exact, atol=4e-3)


def test_grey_float_images_are_rounded(mil, tmp_path) -> None:
    feed = {"image": np.zeros((1, 1, 4, 3), HALF)}
    grey = mil.ct.ImageType(name="image", shape=(1, 1, 4, 3), color_layout=mil.ct.colorlayout.GRAYSCALE_FLOAT16)
    model = load_model(mil.save(lambda mb, image: mb.relu(x=image), feed, tmp_path / "model.mlpackage", inputs=[grey]), precision="float16")
    pixels = RANDOM.random((4, 3), np.float32) * 1000
    np.testing.assert_array_equal(model.predict_arrays({"image": Image.fromarray(pixels)})["out0"], half(pixels)[None, None])


def network(mb, x):
    """Return a network in which ONNX Runtime would fuse, move or drop whatever it may."""
    kernel = (RANDOM.standard_normal((8, 3, 3, 3)) * 0.2).astype(HALF)
    first = mb.relu(x=mb.conv(x=x, weight=kernel, bias=np.full(8, 0.1, HALF), pad_type="same"))
    normed = mb.batch_norm(x=first, mean=np.full(8, 0.1, HALF), variance=np.full(8, 0.9, HALF), gamma=np.full(8, 1.1, HALF), beta=np.full(8, 0.2, HALF))
    second = mb.conv(x=mb.relu6(x=normed), weight=np.full((8, 1, 3, 3), 0.11, HALF), groups=8, pad_type="same")
    joined = mb.add(x=mb.clip(x=second, alpha=HALF(0.1), beta=HALF(5.3)), y=mb.transpose(x=mb.transpose(x=first, perm=[0, 2, 3, 1]), perm=[0, 3, 1, 2]))
    pooled = mb.reduce_mean(x=mb.mul(x=mb.mul(x=joined, y=HALF(1.3)), y=HALF(0.77)), axes=[2, 3])
    hidden = mb.gelu(x=mb.linear(x=pooled, weight=(RANDOM.standard_normal((12, 8))).astype(HALF), bias=np.full(12, 0.3, HALF)), mode="EXACT")
    return mb.softmax(x=mb.layer_norm(x=hidden, axes=[1]))


ROUNDED = ("add", "batch_norm", "conv", "gelu", "layer_norm", "linear", "mul", "reduce_mean", "softmax")
"""Operations of the network that leave the grid; the limits of its clip are on it."""


def test_every_rounding_survives_optimisation(mil, tmp_path) -> None:
    import onnx

    path = mil.save(network, {"x": np.zeros((1, 3, 8, 8), HALF)}, tmp_path / "model.mlpackage")
    model = load_model(path, precision="float16")
    wanted = 1 + sum(layer.type in ROUNDED for layer in model.layers)
    assert wanted == 1 + 11
    Executable(model._lower().graph, optimized_model=tmp_path / "optimised.onnx")
    optimised = onnx.load(tmp_path / "optimised.onnx")
    targets = [attribute.i for node in optimised.graph.node if node.op_type == "Cast" for attribute in node.attribute if attribute.name == "to"]
    assert targets.count(onnx.TensorProto.FLOAT16) == targets.count(onnx.TensorProto.FLOAT) == wanted


def test_the_plain_session_rounds_as_taps_do(mil, tmp_path) -> None:
    """Rounding is moved and fused differently where nothing inside is shown: the numbers are the same up to the order of sums."""
    x = RANDOM.standard_normal((1, 3, 8, 8)).astype(HALF)
    model = load_model(mil.save(network, {"x": x}, tmp_path / "model.mlpackage"), precision="float16")
    (plain,) = model.predict_arrays({"x": x}).values()
    tapped = model.taps().predict_arrays({"x": x})
    assert all(np.array_equal(half(value), value) for value in tapped.values())
    assert np.max(np.abs(plain - tapped["out0"])) <= np.spacing(HALF(plain.max()))
    unrounded = model.computed_in(Precision.FLOAT32).predict_arrays({"x": x})["out0"]
    assert np.mean(plain != half(unrounded)) > 0.3


STEPS = (
    lambda mb, x, number: mb.add(x=x, y=number),
    lambda mb, x, number: mb.mul(x=x, y=number),
    lambda mb, x, number: mb.clip(x=x, alpha=HALF(-abs(number)), beta=HALF(abs(number) + 1)),
    lambda mb, x, number: mb.maximum(x=x, y=number),
    lambda mb, x, number: mb.leaky_relu(x=x, alpha=HALF(abs(number))),
    lambda mb, x, _: mb.relu(x=x),
    lambda mb, x, _: mb.relu6(x=x),
    lambda mb, x, _: mb.mul(x=x, y=HALF(-1)),
    lambda mb, x, _: mb.transpose(x=x, perm=[1, 0]),
    lambda mb, x, _: mb.mul(x=x, y=x),
    lambda mb, x, _: mb.tanh(x=x),
    lambda mb, x, _: mb.abs(x=x),
)


@pytest.mark.parametrize("seed", range(12))
def test_chains_are_the_same_whether_or_not_anything_inside_is_shown(mil, tmp_path, seed) -> None:
    random = np.random.default_rng(seed)
    x = (random.standard_normal((5, 5)) * 4).astype(HALF)

    def body(mb, x):
        made = [x]
        for step in random.choice(len(STEPS), 14):
            made.append(STEPS[step](mb, made[-1 - int(random.integers(2) % len(made))], HALF(np.round(random.standard_normal() * 2, 3))))
        return made[-1], made[-4]

    model = load_model(mil.save(body, {"x": x}, tmp_path / "model.mlpackage"), precision="float16")
    tapped = model.taps().predict_arrays({"x": x})
    for name, value in model.predict_arrays({"x": x}).items():
        np.testing.assert_array_equal(value, tapped[name])
        np.testing.assert_array_equal(value, half(value))
