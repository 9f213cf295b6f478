"""Whole ML Programs: what is refused, precision by type, interfaces of every kind, and a real model."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from mlpipe.errors import InvalidInput, NotExecutable
from mlpipe.model_files.read import read_model
from mlpipe.runtime import Precision, load_model, open_model
from mlpipe.runtime.execute import Executable
from mlpipe.runtime.mlprogram.op import OPS, Build, op
from mlpipe.runtime.model import lower

RANDOM = np.random.default_rng(11)


def normal(*shape):
    return RANDOM.standard_normal(shape).astype(np.float32)


def test_everything_that_cannot_run_is_listed_at_once(mil, tmp_path) -> None:
    def body(mb, x):
        shifted = mb.add(x=mb.relu(x=x), y=mb.erf(x=x, name="first"))
        return mb.sin(x=mb.reshape(x=shifted, shape=[1, 6, 1, 1]), name="second")

    def edit(spec):
        function = spec.mlProgram.functions["main"]
        for operation in function.block_specializations[function.opset].operations:
            if operation.type == "erf":
                operation.type = "unheard_of"
            if operation.type == "sin":
                operation.inputs["depth"].CopyFrom(operation.inputs["x"])

    path = mil.save(body, {"x": normal(2, 3)}, tmp_path / "model.mlpackage", edit=edit)
    missing = open_model(path).unsupported()
    assert [(layer.type, layer.name) for layer in missing] == [("unheard_of", "first"), ("sin", "second")]
    with pytest.raises(NotExecutable) as caught:
        load_model(path)
    for part in ("2 layers", "unheard_of 'first'", "sin 'second'", "'depth' is not supported"):
        assert part in str(caught.value)


def test_an_op_is_registered_once_per_version() -> None:
    with pytest.raises(ValueError, match="relu is registered twice for iOS13"):

        @op("relu")
        def relu(build: Build) -> str:
            return build.add("Relu", None)

    assert OPS.find("pixel_unshuffle", "iOS15") is None
    assert OPS.find("pixel_unshuffle", "iOS18") is not None
    assert OPS.find("no such op", "iOS18") is None


def half(value):
    with np.errstate(over="ignore"):
        return np.asarray(value, np.float32).astype(np.float16).astype(np.float32)


def test_float16_rounds_what_is_declared_float16_and_nothing_else(run) -> None:
    x = normal(64) * 10

    def body(mb, x):
        narrow = mb.cast(x=x, dtype="fp16")
        tripled = mb.mul(x=narrow, y=np.float16(3.1))
        kept = mb.add(x=mb.cast(x=tripled, dtype="fp32"), y=np.float32(1e-4))
        wide = mb.mul(x=x, y=np.float32(3.1))
        return mb.cast(x=mb.sub(x=tripled, y=np.float16(0.3)), dtype="fp32"), kept, wide

    rounded = half(half(x) * np.float32(np.float16(3.1)))
    expected = [half(rounded - np.float32(np.float16(0.3))), rounded + np.float32(1e-4), x * np.float32(3.1)]
    for result, value in zip(run(body, {"x": x}, precision="float16"), expected, strict=True):
        np.testing.assert_array_equal(result, value)
    unrounded = run(body, {"x": x}, precision="float32")
    assert not np.array_equal(unrounded[0], expected[0])
    np.testing.assert_array_equal(unrounded[2], expected[2])


def test_float16_overflow_gives_infinity(run) -> None:
    x = np.asarray([100.0, 300.0], np.float32)

    def body(mb, x):
        return mb.cast(x=mb.square(x=mb.cast(x=x, dtype="fp16")), dtype="fp32")

    assert run(body, {"x": x}, precision="float16")[0].tolist() == [10000.0, np.inf]
    assert run(body, {"x": x})[0].tolist() == [10000.0, 90000.0]


def test_every_cast_of_a_float16_program_survives_optimisation(mil, tmp_path) -> None:
    import onnx

    def body(mb, x):
        y = mb.conv(x=x, weight=normal(4, 3, 3, 3).astype(np.float16), bias=normal(4).astype(np.float16), pad_type="same")
        y = mb.batch_norm(x=y, mean=np.ones(4, np.float16), variance=np.ones(4, np.float16))
        y = mb.max_pool(x=mb.relu(x=mb.add(x=y, y=y)), kernel_sizes=[2, 2], strides=[2, 2], pad_type="valid")
        y = mb.gelu(x=mb.reshape(x=mb.transpose(x=y, perm=[0, 2, 3, 1]), shape=[1, 64]))
        y = mb.layer_norm(x=mb.linear(x=y, weight=normal(8, 64).astype(np.float16)), axes=[-1], epsilon=np.float16(1e-3))
        return mb.cast(x=mb.softmax(x=mb.silu(x=y)), dtype="fp32")

    path = mil.save(body, {"x": normal(1, 3, 8, 8).astype(np.float16)}, tmp_path / "model.mlpackage")
    lowered, _ = lower(read_model(path), Precision.FLOAT16)
    optimized = tmp_path / "optimized.onnx"
    Executable(lowered.graph, optimized_model=optimized)
    # The input, and the operations that can leave the grid: conv, batch_norm, add, gelu, linear, layer_norm, silu, softmax.
    assert sum(node.op == "Cast" for node in lowered.graph.nodes) == 2 * (1 + 8)
    assert sum(node.op_type == "Cast" for node in onnx.load(optimized).graph.node) == 2 * (1 + 8)


def test_float16_inputs_are_rounded_and_outputs_come_as_float32(mil, tmp_path) -> None:
    x = normal(5).astype(np.float16)
    path = mil.save(lambda mb, x: mb.add(x=x, y=np.float16(0.1)), {"x": x}, tmp_path / "model.mlpackage")
    model = load_model(path, precision="float16")
    result = model.predict({"x": x.astype(np.float32) + 1e-6})["out0"]
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result, half(x.astype(np.float32) + np.float32(np.float16(0.1))))


def test_an_input_that_the_program_takes_in_float16_is_rounded_whatever_its_feature_says(mil, tmp_path) -> None:
    def edit(spec):
        spec.description.input[0].type.multiArrayType.dataType = 65568

    x = normal(5)
    body, feed = (lambda mb, x: mb.cast(x=x, dtype="fp32")), {"x": x.astype(np.float16)}
    path = mil.save(body, feed, tmp_path / "model.mlpackage", edit=edit)
    np.testing.assert_array_equal(load_model(path, precision="float16").predict({"x": x})["out0"], half(x))
    np.testing.assert_array_equal(load_model(path).predict({"x": x})["out0"], x)


PIXELS = RANDOM.integers(0, 256, (4, 6, 3), dtype=np.uint8)


@pytest.mark.parametrize("color", ["RGB", "BGR"])
def test_colour_images(mil, tmp_path, color) -> None:
    inputs = [mil.ct.ImageType("x", shape=(1, 3, 4, 6), color_layout=color, scale=0.5, bias=[1, 2, 3])]
    path = mil.save(lambda mb, x: mb.mul(x=x, y=2.0), {"x": normal(1, 3, 4, 6)}, tmp_path / "model.mlpackage", inputs=inputs)
    model = load_model(path)
    ordered = PIXELS if color == "RGB" else PIXELS[..., ::-1]
    expected = (ordered.transpose(2, 0, 1)[None] * 0.5 + np.asarray([1, 2, 3]).reshape(3, 1, 1)) * 2
    with_alpha = np.concatenate([PIXELS, RANDOM.integers(0, 256, (4, 6, 1), dtype=np.uint8)], axis=2)
    for image in (PIXELS, Image.fromarray(PIXELS), Image.fromarray(with_alpha)):
        np.testing.assert_allclose(model.predict_arrays({"x": image})["out0"], expected)


def test_grayscale_images(mil, tmp_path) -> None:
    inputs = [mil.ct.ImageType("x", shape=(1, 1, 4, 6), color_layout="G")]
    path = mil.save(lambda mb, x: mb.mul(x=x, y=2.0), {"x": normal(1, 1, 4, 6)}, tmp_path / "model.mlpackage", inputs=inputs)
    model = load_model(path)
    gray = PIXELS[..., 0]
    for image in (gray, gray[..., None], Image.fromarray(gray)):
        np.testing.assert_array_equal(model.predict_arrays({"x": image})["out0"], gray[None, None] * np.float32(2))


@pytest.mark.parametrize("color", ["RGB", "BGR", "G"])
def test_image_outputs_are_clipped_and_rounded(mil, tmp_path, color) -> None:
    channels = 1 if color == "G" else 3
    x = normal(1, channels, 4, 6) * 200

    def edit(spec):
        image = spec.description.output[0].type.imageType
        image.width, image.height = 6, 4
        image.colorSpace = {"G": 10, "RGB": 20, "BGR": 30}[color]

    path = mil.save(lambda mb, x: mb.relu(x=x), {"x": x}, tmp_path / "model.mlpackage", edit=edit)
    model = load_model(path)
    planes = np.rint(np.clip(x[0], 0, 255)).astype(np.uint8)
    image = model.predict({"x": x})["out0"]
    assert (image.mode, image.size) == ("L" if color == "G" else "RGBA", (6, 4))
    shown = np.asarray(image) if color == "G" else np.asarray(image)[..., :3]
    np.testing.assert_array_equal(shown, {"G": planes[0], "RGB": planes.transpose(1, 2, 0), "BGR": planes[::-1].transpose(1, 2, 0)}[color])
    np.testing.assert_array_equal(model.predict_arrays({"x": x})["out0"], np.maximum(x, 0))


@pytest.mark.parametrize("labels", [["cat", "dog", "fish"], [10, 20, 30]], ids=["strings", "integers"])
def test_classifiers(mil, tmp_path, labels) -> None:
    x = np.asarray([[0.2, 1.5, -1.0]], np.float32)
    config = mil.ct.ClassifierConfig(labels, predicted_feature_name="best")
    path = mil.save(lambda mb, x: mb.softmax(x=x, name="scores"), {"x": x}, tmp_path / "model.mlpackage", classifier_config=config)
    model = load_model(path)
    expected = np.exp(x[0]) / np.exp(x[0]).sum()
    result = model.predict({"x": x})
    (name,) = set(result) - {"best"}
    assert result["best"] == labels[1]
    assert list(result[name]) == labels
    np.testing.assert_allclose(list(result[name].values()), expected, rtol=1e-6)
    arrays = model.predict_arrays({"x": x})
    assert list(arrays) == [name]
    np.testing.assert_allclose(arrays[name], expected, rtol=1e-6)


def test_flexible_shapes(mil, tmp_path) -> None:
    ct = mil.ct
    weight = normal(2, 3, 3, 3)

    def body(mb, x):
        y = mb.conv(x=x, weight=weight, pad_type="same")
        return mb.reshape(x=mb.reduce_mean(x=y, axes=[2, 3]), shape=[-1, 2])

    shapes = {"x": (1, 3, mil.symbol(), mil.symbol())}
    inputs = [ct.TensorType("x", shape=ct.Shape((1, 3, ct.RangeDim(4, 16), ct.RangeDim(4, 16))))]
    path = mil.save(body, {"x": normal(1, 3, 8, 8)}, tmp_path / "model.mlpackage", shapes=shapes, inputs=inputs)
    model = load_model(path)
    for size in ((4, 16), (9, 5)):
        x = normal(1, 3, *size)
        padded = np.pad(x, [(0, 0), (0, 0), (1, 1), (1, 1)])
        windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(2, 3))
        expected = np.einsum("nchwij,ocij->nohw", windows, weight).mean(axis=(2, 3))
        np.testing.assert_allclose(model.predict({"x": x})["out0"], expected, rtol=1e-4, atol=1e-5)
    with pytest.raises(InvalidInput, match=r"1x3x4\.\.16x4\.\.16, got shape 1x3x3x8"):
        model.predict({"x": normal(1, 3, 3, 8)})


@pytest.mark.parametrize("pad_type", ["same", "same_lower"])
@pytest.mark.parametrize("kind", ["conv", "max_pool", "avg_pool", "avg_pool_of_what_is_there"])
def test_a_padding_that_depends_on_the_size(mil, tmp_path, kind: str, pad_type: str) -> None:
    ct = mil.ct
    weight = normal(2, 3, 3, 2)

    def body(mb, x):
        if kind == "conv":
            return mb.conv(x=x, weight=weight, strides=[2, 3], pad_type=pad_type)
        window = {"x": x, "kernel_sizes": [3, 2], "strides": [2, 3], "pad_type": pad_type}
        return mb.max_pool(**window) if kind == "max_pool" else mb.avg_pool(**window, exclude_padding_from_average=kind != "avg_pool")

    inputs = [ct.TensorType("x", shape=ct.Shape((1, 3, ct.RangeDim(4, 16), ct.RangeDim(4, 16))))]
    shapes = {"x": (1, 3, mil.symbol(), mil.symbol())}
    model = load_model(mil.save(body, {"x": normal(1, 3, 8, 8)}, tmp_path / "model.mlpackage", shapes=shapes, inputs=inputs))
    for size in ((4, 16), (9, 5), (8, 8)):
        x = normal(1, 3, *size)
        borders = [(0, 0), (0, 0)]
        for length, window, stride in zip(size, (3, 2), (2, 3), strict=True):
            total = max((-(-length // stride) - 1) * stride + window - length, 0)
            borders.append((total // 2, total - total // 2) if pad_type == "same" else (total - total // 2, total // 2))

        def windows(values: np.ndarray, outside: float, borders: list = borders) -> np.ndarray:
            padded = np.pad(values, borders, constant_values=outside)
            return np.lib.stride_tricks.sliding_window_view(padded, (3, 2), axis=(2, 3))[:, :, ::2, ::3]

        expected = {
            "conv": np.einsum("nchwij,ocij->nohw", windows(x, 0), weight),
            "max_pool": windows(x, -np.inf).max(axis=(4, 5)),
            "avg_pool": windows(x, 0).mean(axis=(4, 5)),
            "avg_pool_of_what_is_there": windows(x, 0).sum(axis=(4, 5)) / windows(np.ones_like(x), 0).sum(axis=(4, 5)),
        }[kind]
        np.testing.assert_allclose(model.predict({"x": x})["out0"], expected, rtol=1e-4, atol=1e-5)


def test_enumerated_shapes(mil, tmp_path) -> None:
    ct = mil.ct
    inputs = [ct.TensorType("x", shape=ct.EnumeratedShapes(shapes=[(1, 4, 6), (1, 8, 6)]))]
    feed = {"x": normal(1, 4, 6)}
    path = mil.save(lambda mb, x: mb.reduce_max(x=x, axes=[1]), feed, tmp_path / "model.mlpackage", shapes={"x": (1, mil.symbol(), 6)}, inputs=inputs)
    model = load_model(path)
    for size in (4, 8):
        x = normal(1, size, 6)
        np.testing.assert_array_equal(model.predict({"x": x})["out0"], x.max(axis=1))
    with pytest.raises(InvalidInput, match="1x4x6 or 1x8x6, got shape 1x6x6"):
        model.predict({"x": normal(1, 6, 6)})


def test_the_default_one_of_several_functions_is_executed(mil, tmp_path) -> None:
    def edit(spec):
        spec.mlProgram.functions["encode"].CopyFrom(spec.mlProgram.functions["main"])
        spec.mlProgram.functions["main"].Clear()
        described = spec.description.functions.add(name="encode")
        described.input.extend(spec.description.input)
        described.output.extend(spec.description.output)
        del spec.description.input[:], spec.description.output[:]
        spec.description.defaultFunctionName = "encode"

    x = normal(2, 3)
    path = mil.save(lambda mb, x: mb.relu(x=x), {"x": x}, tmp_path / "model.mlpackage", edit=edit)
    model = load_model(path)
    assert [feature.name for feature in model.inputs] == ["x"]
    np.testing.assert_array_equal(model.predict({"x": x})["out0"], np.maximum(x, 0))


def test_a_program_whose_declared_shape_differs_from_what_is_computed_is_refused(mil, tmp_path) -> None:
    def edit(spec):
        function = spec.mlProgram.functions["main"]
        for operation in function.block_specializations[function.opset].operations:
            if operation.type == "transpose":
                operation.outputs[0].type.tensorType.dimensions[0].constant.size = 7

    path = mil.save(lambda mb, x: mb.transpose(x=x, perm=[1, 0], name="turned"), {"x": normal(2, 3)}, tmp_path / "model.mlpackage", edit=edit)
    with pytest.raises(NotExecutable, match=r"transpose 'turned': the runtime computes the shape \[3, 2\] where the program declares \[7, 2\]"):
        load_model(path)


def test_compressed_weights(mil, tmp_path) -> None:
    coefficients = RANDOM.integers(-128, 128, (6, 5), dtype=np.int8)
    scale = np.asarray([0.1, 0.2, 0.3, 0.4, 0.5, 0.6], np.float32)
    x = normal(2, 5)

    def body(mb, x):
        weight = mb.constexpr_affine_dequantize(quantized_data=coefficients, zero_point=np.int8(3), scale=scale, axis=0)
        return mb.linear(x=x, weight=weight)

    path = mil.save(body, {"x": x}, tmp_path / "model.mlpackage", opset="iOS16")
    weight = (coefficients.astype(np.float32) - 3) * scale[:, None]
    np.testing.assert_allclose(load_model(path).predict({"x": x})["out0"], x @ weight.T, rtol=1e-4, atol=1e-4)


def test_a_small_model_loads_quickly_and_without_coremltools(mil, tmp_path) -> None:
    def body(mb, x):
        for _ in range(10):
            x = mb.relu(x=mb.conv(x=x, weight=normal(8, 8, 3, 3), pad_type="same"))
        return x

    path = mil.save(body, {"x": normal(1, 8, 16, 16)}, tmp_path / "model.mlpackage")
    program = f"""
import json, sys, time
import numpy, onnx, onnxruntime
start = time.process_time()
from mlpipe.runtime import load_model
model = load_model({str(path)!r})
spent = time.process_time() - start
model.predict({{"x": numpy.zeros((1, 8, 16, 16), "float32")}})
print(json.dumps([spent, [name for name in ("coremltools", "tensorflow", "torch", "sympy") if name in sys.modules]]))
"""
    spent, imported = json.loads(subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout)
    assert imported == []
    assert spent < 0.5


@pytest.mark.needs_models
def test_a_real_model_agrees_with_the_same_model_in_onnx(models) -> None:
    import onnxruntime

    folder = models / "basic_pitch_4formats"
    model = load_model(folder / "nmp.mlpackage")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(folder / "nmp.onnx"), options, providers=["CPUExecutionProvider"])
    # Noise: on pure tones the logarithm of near silence makes ONNX Runtime differ from itself by 1e-3 between its optimisation levels.
    x = np.random.default_rng(0).standard_normal((1, 43844, 1)).astype(np.float32)
    references = dict(zip(("Identity_2", "Identity_1", "Identity"), session.run(None, {session.get_inputs()[0].name: x}), strict=True))
    results = model.predict({model.inputs[0].name: x})
    assert set(results) == set(references)
    for name, reference in references.items():
        assert np.abs(reference).max() > 0.3
        np.testing.assert_allclose(results[name], reference, atol=1e-4)
