"""What programs take and give: every type of input and output, sizes that vary, values that several outputs share."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from mlpipe.errors import InvalidInput, ModelFileInvalid, NotExecutable
from mlpipe.model_files.protobuf import mil_pb2
from mlpipe.model_files.read import read_model
from mlpipe.runtime import Precision, load_model
from mlpipe.runtime.model import lower

RANDOM = np.random.default_rng(8)
ARRAY_TYPES = {"float32": 65568, "float64": 65600, "int32": 131104, "int8": 131080, "float16": 65552}


def normal(*shape):
    return RANDOM.standard_normal(shape).astype(np.float32)


@pytest.fixture
def build(mil, tmp_path):
    """Return a function that loads a program."""

    def load(body, feed, **options):
        return load_model(mil.save(body, feed, tmp_path / "model.mlpackage", **options))

    return load


def program_of(spec):
    function = spec.mlProgram.functions["main"]
    return function, function.block_specializations[function.opset]


def typed(name, value_type=None, **features):
    """Return an edit that declares the program's inputs in a MIL type, and features in array types."""

    def edit(spec):
        function, block = program_of(spec)
        if value_type is not None:
            function.inputs[0].type.tensorType.dataType = getattr(mil_pb2().DataType, value_type)
        for feature in (*spec.description.input, *spec.description.output):
            if feature.name in features:
                feature.type.multiArrayType.dataType = ARRAY_TYPES[features[feature.name]]
        for operation in block.operations:
            if operation.type == name:
                operation.outputs[0].type.tensorType.dataType = function.inputs[0].type.tensorType.dataType

    return edit


@pytest.mark.parametrize(
    ("value_type", "feature", "x", "expected"),
    [
        ("FLOAT32", "float32", [0.1, -2.5], [np.float32(0.1), -2.5]),
        ("FLOAT32", "float64", [0.1, -2.5], [np.float32(0.1), -2.5]),
        ("FLOAT32", "float16", [0.1, -2.5], [np.float16(0.1), -2.5]),
        ("FLOAT32", "int32", [7, -2], [7, -2]),
        ("INT32", "int32", [2**31 - 1, -5], [2**31 - 1, -5]),
        ("INT32", "float32", [7, -2], [7, -2]),
        ("INT8", "int8", [127, -128], [127, -128]),
        ("UINT8", "int32", [255, 0], [255, 0]),
        ("INT16", "int32", [32767, -32768], [32767, -32768]),
        ("UINT16", "int32", [65535, 0], [65535, 0]),
        ("BOOL", "int32", [1, 0], [1, 0]),
        ("BOOL", "float32", [1, 0], [1, 0]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_inputs_and_outputs_of_every_type(build, value_type, feature, x, expected) -> None:
    model = build(lambda _, x: x, {"x": np.zeros(2, np.float32)}, edit=typed("identity", value_type, x=feature, out0=feature))
    result = model.predict({"x": np.asarray(x)})["out0"]
    shown = {"float16": np.float32}.get(feature, np.dtype(feature))
    assert result.dtype == shown
    np.testing.assert_array_equal(result, np.asarray(expected).astype(shown))


@pytest.mark.parametrize(("value_type", "number"), [("UINT8", 256), ("UINT8", -1), ("INT16", 40000), ("UINT16", -5), ("INT8", 200)])
def test_numbers_that_the_programs_type_does_not_hold_are_refused(build, value_type, number) -> None:
    model = build(lambda _, x: x, {"x": np.zeros(2, np.float32)}, edit=typed("identity", value_type, x="int32", out0="int32"))
    with pytest.raises(InvalidInput, match=f"input 'x' .*{value_type.lower()}"):
        model.predict({"x": np.asarray([0, number])})


def test_tensors_without_dimensions(build) -> None:
    def edit(spec):
        function, block = program_of(spec)
        types = [function.inputs[0].type.tensorType, *(output.type.tensorType for operation in block.operations for output in operation.outputs)]
        for each in types:
            each.rank = 0
            del each.dimensions[:]

    model = build(lambda mb, x: (mb.add(x=x, y=1.0), mb.abs(x=x)), {"x": np.zeros(1, np.float32)}, edit=edit)
    for x in (2.5, np.float32(2.5), [2.5], np.asarray([2.5])):
        result = model.predict({"x": x})
        assert {name: (value.shape, value.tolist()) for name, value in result.items()} == {"out0": ((1,), [3.5]), "out1": ((1,), [2.5])}


def test_optional_inputs_have_default_values(build) -> None:
    def body(mb, x, y, z):
        return mb.add(x=x, y=y), mb.add(x=x, y=mb.cast(x=z, dtype="fp32"))

    def edit(spec):
        y, z = (feature.type for feature in spec.description.input[1:])
        y.isOptional = z.isOptional = True
        y.multiArrayType.floatDefaultValue = 0.5
        z.multiArrayType.intDefaultValue = -3

    x = normal(2)
    model = build(body, {"x": x, "y": x, "z": np.zeros(2, np.int32)}, edit=edit)
    result = model.predict({"x": x})
    np.testing.assert_array_equal(result["out0"], x + np.float32(0.5))
    np.testing.assert_array_equal(result["out1"], x - np.float32(3))
    np.testing.assert_array_equal(model.predict({"x": x, "y": x})["out0"], x + x)
    with pytest.raises(InvalidInput, match="input 'x' is missing"):
        model.predict({"y": x})


def test_outputs_may_be_inputs_constants_and_one_value_twice(build) -> None:
    def edit(spec):
        _, block = program_of(spec)
        by_type = {operation.type: operation.outputs[0].name for operation in block.operations}
        made = next(operation.inputs["x"].arguments[0].name for operation in block.operations if operation.type == "identity")
        names = {"out0": "x", "out1": by_type["const"], "out2": made, "out3": made}
        del block.outputs[:], spec.description.output[:]
        for name in dict.fromkeys(names.values()):
            block.outputs.append(name)
            output = spec.description.output.add(name=name).type.multiArrayType
            output.dataType = ARRAY_TYPES["float32"]

    x = normal(3)
    model = build(lambda mb, x, **_: [mb.mul(x=x, y=np.asarray([2.0, 3.0, 4.0], np.float32))] * 2, {"x": x, "unused": x}, edit=edit)
    result = model.predict({"x": x, "unused": x})
    assert len(result) == 3
    np.testing.assert_array_equal(list(result.values()), [x, [2, 3, 4], x * np.asarray([2, 3, 4], np.float32)])


def test_names_of_features_may_look_like_those_of_the_graph(build) -> None:
    def body(mb, const__0, relu__1):
        return mb.add(x=mb.relu(x=const__0), y=mb.mul(x=relu__1, y=3.0), name="add__2")

    def edit(spec):
        _, block = program_of(spec)
        block.outputs[:] = ["add__2"]
        spec.description.output[0].name = "add__2"

    x, y = normal(4), normal(4)
    model = build(body, {"const__0": x, "relu__1": y}, edit=edit)
    np.testing.assert_allclose(model.predict({"const__0": x, "relu__1": y})["add__2"], np.maximum(x, 0) + 3 * y, rtol=1e-6)


def test_an_output_that_nothing_makes_is_a_damaged_file(build) -> None:
    def edit(spec):
        spec.description.output[0].name = "elsewhere"

    with pytest.raises(ModelFileInvalid, match="elsewhere"):
        build(lambda mb, x: mb.relu(x=x), {"x": normal(2)}, edit=edit)


def test_several_feeds_at_once(build) -> None:
    model = build(lambda mb, x: mb.mul(x=x, y=2.0), {"x": normal(2)})
    feeds = [{"x": normal(2)} for _ in range(3)]
    for feed, result in zip(feeds, model.predict(feeds), strict=True):
        np.testing.assert_array_equal(result["out0"], feed["x"] * 2)
    assert model.predict([]) == []
    with pytest.raises(InvalidInput, match="do not share a state"):
        model.predict(feeds, state=model.make_state())


def test_enumerated_shapes_of_two_inputs(build, mil) -> None:
    inputs = [
        mil.ct.TensorType("x", shape=mil.ct.EnumeratedShapes([(1, 2), (1, 3)])),
        mil.ct.TensorType("y", shape=mil.ct.EnumeratedShapes([(2, 1), (2, 3)])),
    ]
    shapes = {"x": (1, mil.symbol()), "y": (2, mil.symbol())}
    model = build(lambda mb, x, y: mb.add(x=x, y=y), {"x": normal(1, 2), "y": normal(2, 1)}, shapes=shapes, inputs=inputs, opset="iOS18")
    for x, y in ((normal(1, 2), normal(2, 1)), (normal(1, 3), normal(2, 3))):
        np.testing.assert_array_equal(model.predict({"x": x, "y": y})["out0"], x + y)
    with pytest.raises(InvalidInput, match=r"do not go together: \(x 1x3, y 2x1\); feed \(x 1x2, y 2x1\) or \(x 1x3, y 2x3\)"):
        model.predict({"x": normal(1, 3), "y": normal(2, 1)})


def test_output_shapes_that_depend_on_values(build) -> None:
    def body(mb, x):
        return mb.non_zero(x=mb.cast(x=mb.greater(x=x, y=0.0), dtype="int32"))

    model = build(body, {"x": normal(4)})
    for x in ([1.0, -1, 2, -3], [-1.0, -1, -1, -1]):
        np.testing.assert_array_equal(model.predict({"x": np.asarray(x)})["out0"], np.argwhere(np.asarray(x) > 0))


@pytest.mark.parametrize("color", ["RGB", "BGR", "G", "G16"])
@pytest.mark.parametrize("flexible", ["range", "enumerated"])
def test_images_in_and_out_of_sizes_that_vary(build, mil, color, flexible) -> None:
    ct = mil.ct
    channels = 1 if color.startswith("G") else 3
    layout = {"RGB": "RGB", "BGR": "BGR", "G": "G", "G16": "GRAYSCALE_FLOAT16"}[color]
    sizes = [(4, 6), (8, 5)]
    if flexible == "range":
        shape = ct.Shape((1, channels, ct.RangeDim(4, 8), ct.RangeDim(5, 6)))
    else:
        shape = ct.EnumeratedShapes([(1, channels, *size) for size in sizes])
    layout = getattr(ct.colorlayout, {"G": "GRAYSCALE"}.get(layout, layout))
    options = {"inputs": [ct.ImageType("x", shape=shape, color_layout=layout)], "shapes": {"x": (1, channels, mil.symbol(), mil.symbol())}}

    def edit(spec):
        image = spec.description.output[0].type.imageType
        image.width = image.height = 1
        image.colorSpace = {"RGB": 20, "BGR": 30, "G": 10, "G16": 40}[color]
        image.imageSizeRange.widthRange.lowerBound = image.imageSizeRange.heightRange.lowerBound = 1
        image.imageSizeRange.widthRange.upperBound = image.imageSizeRange.heightRange.upperBound = -1

    dtype = np.float16 if color == "G16" else np.float32
    model = build(lambda mb, x: mb.add(x=x, y=dtype(3)), {"x": np.zeros((1, channels, 4, 6), dtype)}, edit=edit, opset="iOS16", **options)
    for height, width in sizes:
        if color == "G16":
            pixels = RANDOM.random((height, width), np.float32)
            given, expected = Image.fromarray(pixels), (pixels.astype(np.float16).astype(np.float32) + 3).astype(np.float16).astype(np.float32)
        else:
            pixels = RANDOM.integers(0, 256, (height, width, 3) if channels == 3 else (height, width), dtype=np.uint8)
            given, expected = Image.fromarray(pixels), np.minimum(pixels.astype(int) + 3, 255)
        image = model.predict({"x": given})["out0"]
        assert image.mode == {"G": "L", "G16": "F"}.get(color, "RGBA")
        shown = np.asarray(image)
        np.testing.assert_array_equal(shown[..., :3] if channels == 3 else shown, expected)
        assert channels == 1 or (shown[..., 3] == 255).all()
    with pytest.raises(InvalidInput, match="got 9x9"):
        model.predict({"x": Image.fromarray(np.zeros((9, 9) if channels == 1 else (9, 9, 3), np.float32 if color == "G16" else np.uint8))})


@pytest.mark.parametrize("labels", [["a", "b", "c"], [7, -1, 2**40]], ids=["strings", "integers"])
@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("probabilities", [True, False])
def test_classifiers(build, mil, labels, dtype, probabilities) -> None:
    x = np.asarray([[0.25, 1.5, -1.0]], dtype)

    def edit(spec):
        if not probabilities:
            spec.description.predictedProbabilitiesName = ""
            spec.description.output.remove(next(output for output in spec.description.output if output.type.HasField("dictionaryType")))

    config = mil.ct.ClassifierConfig(labels, predicted_feature_name="best")
    model = build(lambda mb, x: mb.mul(x=x, y=dtype(2), name="scores"), {"x": x}, classifier_config=config, edit=edit, opset="iOS16")
    result = model.predict({"x": x})
    assert result.pop("best") == labels[1]
    assert list(result.values()) == ([dict(zip(labels, [0.5, 3.0, -2.0], strict=True))] if probabilities else [])
    (scores,) = model.predict_arrays({"x": x}).values()
    assert scores.tolist() == [0.5, 3.0, -2.0]


def test_a_classifier_with_other_than_a_score_a_class_is_refused(build, mil) -> None:
    def edit(spec):
        function, block = program_of(spec)
        function.inputs[0].type.tensorType.dimensions[1].constant.size = 4
        spec.description.input[0].type.multiArrayType.shape[:] = [1, 4]
        for operation in block.operations:
            if operation.type == "mul":
                operation.outputs[0].type.tensorType.dimensions[1].constant.size = 4

    config = mil.ct.ClassifierConfig(["a", "b", "c"])
    with pytest.raises(NotExecutable, match=r"classify .*3 classes for scores of shape \[1, 4\]"):
        build(lambda mb, x: mb.mul(x=x, y=2.0, name="scores"), {"x": normal(1, 3)}, classifier_config=config, edit=edit)


def test_weights_at_one_place_of_the_file_are_held_once(mil, tmp_path) -> None:
    def edit(spec):
        _, block = program_of(spec)
        first, second = (operation.attributes["val"].blobFileValue for operation in block.operations if operation.attributes["val"].HasField("blobFileValue"))
        second.offset = first.offset

    weights = [normal(30, 30), normal(30, 30)]
    path = mil.save(
        lambda mb, x: mb.add(x=mb.matmul(x=x, y=weights[0]), y=mb.matmul(x=x, y=weights[1])), {"x": normal(2, 30)}, tmp_path / "m.mlpackage", edit=edit
    )
    lowered, _ = lower(read_model(path), Precision.FLOAT32)
    assert [value.shape for value in lowered.graph.constants.values() if value.size > 1] == [(30, 30)]
    x = normal(2, 30)
    np.testing.assert_allclose(load_model(path).predict({"x": x})["out0"], 2 * x @ weights[0], rtol=1e-4, atol=1e-4)


def test_a_program_whose_operator_set_is_not_among_its_blocks_is_refused(build) -> None:
    def edit(spec):
        function, _ = program_of(spec)
        function.opset = "CoreML5"

    with pytest.raises((NotExecutable, ModelFileInvalid), match="CoreML5"):
        build(lambda mb, x: mb.relu(x=x), {"x": normal(2)}, edit=edit)


@pytest.mark.parametrize(("opset", "name"), [("iOS15", "CoreML5"), ("iOS16", "CoreML6"), ("iOS17", "CoreML7"), ("iOS18", "CoreML8"), ("iOS26", "CoreML9")])
def test_every_operator_set_and_the_block_that_is_active(build, opset, name) -> None:
    def edit(spec):
        function, block = program_of(spec)
        assert function.opset == name
        other = function.block_specializations["CoreML4"]
        other.CopyFrom(block)
        for operation in other.operations:
            if operation.type == "relu":
                operation.type = "abs"

    x = normal(5)
    model = build(lambda mb, x: mb.relu(x=x), {"x": x}, opset=opset, edit=edit)
    np.testing.assert_array_equal(model.predict({"x": x})["out0"], np.maximum(x, 0))
