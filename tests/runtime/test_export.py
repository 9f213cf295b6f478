"""Exported ONNX models of whole programs: valid, and bit by bit what the runtime computes, in onnxruntime without any option."""

from __future__ import annotations

import json

import numpy as np
import onnx
import onnxruntime
import pytest

from mlpipe.runtime import load_model
from mlpipe.runtime.export import export_onnx

RANDOM = np.random.default_rng(3)
X = RANDOM.standard_normal((1, 3, 6, 5)).astype(np.float32)
ROW = RANDOM.standard_normal((2, 4, 3)).astype(np.float32)
HALF = RANDOM.standard_normal((2, 8)).astype(np.float16)


def convolutions(mb, x):
    weight = RANDOM.standard_normal((4, 3, 3, 3)).astype(np.float32)
    y = mb.relu(x=mb.conv(x=x, weight=weight, pad_type="same", bias=np.ones(4, np.float32)))
    return mb.softmax(x=mb.reduce_mean(x=y, axes=[2, 3]), axis=1), mb.gelu(x=y, mode="TANH_APPROXIMATION")


def halves(mb, x):
    y = mb.linear(x=x, weight=RANDOM.standard_normal((5, 8)).astype(np.float16))
    return mb.layer_norm(x=y, axes=[1]), mb.exp(x=y)


def loop(mb, x):
    count = mb.cast(x=mb.reduce_max(x=mb.abs(x=x), keep_dims=False), dtype="int32")

    def step(i, y):
        return mb.sub(x=i, y=1), mb.mul(x=y, y=1.5)

    return mb.while_loop(_cond=lambda i, _: mb.greater(x=i, y=0), _body=step, loop_vars=(count, x))


def branch(mb, x):
    return mb.cond(pred=mb.greater(x=mb.reduce_sum(x=x, keep_dims=False), y=0.0), _true_fn=lambda: mb.silu(x=x), _false_fn=lambda: mb.mul(x=x, y=-1.0))


def recurrent(mb, x):
    weights = {"weight_ih": RANDOM.standard_normal((20, 3)).astype(np.float32), "weight_hh": RANDOM.standard_normal((20, 5)).astype(np.float32)}
    state = np.zeros((4, 5), np.float32)
    return mb.lstm(x=x, initial_h=state, initial_c=state, **weights, output_sequence=True, clip=0.5)


def numbers(mb, x):
    return mb.reduce_argmax(x=x, axis=1), mb.greater(x=x, y=0.0), mb.reduce_sum(x=x, keep_dims=False), x


def draws(mb, x):
    return mb.add(x=x, y=mb.random_normal(shape=mb.shape(x=x), mean=1.0, stddev=2.0, seed=5))


PROGRAMS = {
    convolutions: X,
    halves: HALF,
    loop: ROW,
    branch: ROW,
    recurrent: ROW,
    numbers: ROW,
    draws: ROW,
}


def run(path, feed):
    onnx.checker.check_model(str(path), full_check=True)
    session = onnxruntime.InferenceSession(str(path))
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, feed), strict=True))


@pytest.mark.parametrize("precision", ["float32", "float16"])
@pytest.mark.parametrize("body", PROGRAMS, ids=lambda body: body.__name__)
def test_the_same_numbers_types_and_shapes(body, precision, mil, tmp_path) -> None:
    x = PROGRAMS[body]
    path = mil.save(body, {"x": x}, tmp_path / "model.mlpackage", opset="iOS17")
    export_onnx(path, tmp_path / "model.onnx", precision=precision)
    found = run(tmp_path / "model.onnx", {"x": x.astype(np.float32)})
    expected = load_model(path, precision=precision).predict_arrays({"x": x})
    assert list(found) == list(expected)
    for name, value in expected.items():
        assert (found[name].dtype, found[name].shape) == (value.dtype, value.shape)
        np.testing.assert_array_equal(found[name], value)


def test_sizes_that_vary_stay_open(mil, tmp_path) -> None:
    options = {"shapes": {"x": (mil.symbol(), 3)}, "inputs": [mil.ct.TensorType("x", shape=(mil.ct.RangeDim(1, 8), 3))]}
    path = mil.save(lambda mb, x: mb.reduce_sum(x=x, axes=[1]), {"x": ROW[0]}, tmp_path / "model.mlpackage", **options)
    export_onnx(path, tmp_path / "model.onnx")
    for rows in (1, 4, 7):
        x = RANDOM.standard_normal((rows, 3)).astype(np.float32)
        np.testing.assert_allclose(run(tmp_path / "model.onnx", {"x": x})["out0"], x.sum(1), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("color", "order"), [("RGB", [0, 1, 2]), ("BGR", [2, 1, 0])])
def test_images_are_fed_in_the_order_of_the_model(color, order, mil, tmp_path) -> None:
    inputs = [mil.ct.ImageType("x", shape=(1, 3, 6, 5), color_layout=color, scale=0.5, bias=[1, 2, 3])]
    path = mil.save(lambda mb, x: mb.identity(x=x), {"x": X}, tmp_path / "model.mlpackage", inputs=inputs)
    written = export_onnx(path, tmp_path / "model.onnx")
    pixels = RANDOM.integers(0, 256, (6, 5, 3)).astype(np.uint8)
    planes = pixels[:, :, order].transpose(2, 0, 1)[None].astype(np.float32)
    expected = load_model(path).predict_arrays({"x": pixels})["out0"]
    np.testing.assert_array_equal(run(tmp_path / "model.onnx", {"x": planes})["out0"], expected)
    assert ("blue first" in written.inputs["x"]) == (color == "BGR")


def test_labels_of_a_classifier_are_in_the_metadata(mil, tmp_path) -> None:
    config = mil.ct.ClassifierConfig([7, 8, 9], predicted_feature_name="label")
    path = mil.save(lambda mb, x: mb.softmax(x=x), {"x": ROW[0, :1]}, tmp_path / "model.mlpackage", classifier_config=config)
    export_onnx(path, tmp_path / "model.onnx")
    header = {entry.key: entry.value for entry in onnx.load(tmp_path / "model.onnx").metadata_props}
    found = json.loads(header["mlpipe.classifier"])
    scores = run(tmp_path / "model.onnx", {"x": ROW[0, :1]})[found["output"]]
    prediction = load_model(path).predict({"x": ROW[0, :1]})
    assert found["labels"][int(scores.argmax())] == prediction["label"]
    np.testing.assert_array_equal(scores, np.asarray(list(prediction[found["output"]].values()), np.float32))
