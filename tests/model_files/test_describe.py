from __future__ import annotations

import os
from pathlib import Path

import pytest

from mlpipe.model_files.describe import class_labels, describe_feature, describe_model
from mlpipe.model_files.protobuf import model_pb2
from mlpipe.model_files.read import ModelFile, read_model

MODELS = Path(os.environ.get("MLPIPE_MODELS", Path(__file__).parents[3] / "shared" / "models"))


def feature(**fields):
    made = model_pb2().FeatureDescription(name="x")
    for path, value in fields.items():
        holder = made.type
        *parts, last = path.split("__")
        for part in parts:
            holder = getattr(holder, part)
        if isinstance(value, list):
            for item in value:
                if isinstance(item, dict):
                    getattr(holder, last).add(**item)
                else:
                    getattr(holder, last).append(item)
        elif value is None:
            getattr(holder, last).SetInParent()
        else:
            setattr(holder, last, value)
    return made


FEATURES = [
    (
        feature(multiArrayType__shape=[1, 3], multiArrayType__dataType=65552),
        {"kind": "multiarray", "shape": [1, 3], "dtype": "float16"},
    ),
    (feature(multiArrayType__dataType=65600), {"kind": "multiarray", "shape": None, "dtype": "float64"}),
    (
        feature(
            multiArrayType__dataType=131104, multiArrayType__shapeRange__sizeRanges=[{"lowerBound": 1, "upperBound": -1}, {"lowerBound": 2, "upperBound": 5}]
        ),
        {"kind": "multiarray", "shape": [1, 2], "dtype": "int32", "shape_ranges": [[1, None], [2, 5]]},
    ),
    (
        feature(multiArrayType__dataType=65568, multiArrayType__enumeratedShapes__shapes=[{"shape": [1, 2]}, {"shape": [1, 4]}]),
        {"kind": "multiarray", "shape": [1, 2], "dtype": "float32", "enumerated_shapes": [[1, 2], [1, 4]]},
    ),
    (
        feature(imageType__width=4, imageType__height=3, imageType__colorSpace=30),
        {"kind": "image", "color": "bgr", "dtype": "uint8", "shape": [3, 4, 3], "height": 3, "width": 4},
    ),
    (
        feature(imageType__width=4, imageType__height=3, imageType__colorSpace=40),
        {"kind": "image", "color": "grayscale_float16", "dtype": "float16", "shape": [3, 4, 1], "height": 3, "width": 4},
    ),
    (
        feature(imageType__colorSpace=10, imageType__enumeratedSizes__sizes=[{"width": 5, "height": 6}, {"width": 7, "height": 8}]),
        {"kind": "image", "color": "grayscale", "dtype": "uint8", "shape": [6, 5, 1], "height": 6, "width": 5, "enumerated_shapes": [[6, 5, 1], [8, 7, 1]]},
    ),
    (
        feature(
            imageType__colorSpace=20,
            imageType__imageSizeRange__widthRange__lowerBound=2,
            imageType__imageSizeRange__widthRange__upperBound=-1,
            imageType__imageSizeRange__heightRange__lowerBound=3,
            imageType__imageSizeRange__heightRange__upperBound=9,
        ),
        {"kind": "image", "color": "rgb", "dtype": "uint8", "shape": [3, 2, 3], "height": 3, "width": 2, "shape_ranges": [[3, 9], [2, None], [3, 3]]},
    ),
    (feature(int64Type=None), {"kind": "int64", "shape": [], "dtype": "int64"}),
    (feature(doubleType=None, isOptional=True), {"kind": "double", "shape": [], "dtype": "float64", "optional": True}),
    (feature(stringType=None), {"kind": "string", "shape": [], "dtype": "string"}),
    (feature(dictionaryType__int64KeyType=None), {"kind": "dictionary", "shape": None, "dtype": "float64", "key_dtype": "int64"}),
    (
        feature(sequenceType__stringType=None, sequenceType__sizeRange__lowerBound=1, sequenceType__sizeRange__upperBound=4),
        {"kind": "sequence", "shape": None, "dtype": "string", "shape_ranges": [[1, 4]]},
    ),
    (feature(stateType__arrayType__shape=[2], stateType__arrayType__dataType=65552), {"kind": "multiarray", "shape": [2], "dtype": "float16"}),
]


@pytest.mark.parametrize(("described", "expected"), FEATURES, ids=[f"{index}-{row[1]['kind']}" for index, row in enumerate(FEATURES)])
def test_features(described, expected):
    assert describe_feature(described) == {"name": "x", **expected}


def test_a_classifier(network, tmp_path):
    description = describe_model(ModelFile(tmp_path, network, None, "neuralnetwork"))
    assert description["kind"] == "neuralnetwork"
    assert description["specification_version"] == 4
    assert description["inputs"] == [
        {"name": "image", "kind": "image", "color": "rgb", "dtype": "uint8", "shape": [6, 8, 3], "height": 6, "width": 8, "description": "A photo."}
    ]
    assert [output["name"] for output in description["outputs"]] == ["scores", "label"]
    assert description["classifier"] == {"predicted": "label", "probabilities": "scores", "labels": ["cat", "dog"]}


def test_the_labels_of_a_program_stand_in_its_classify_operation(program):
    spec, _ = program
    assert class_labels(spec) is None
    operations = spec.mlProgram.functions["main"].block_specializations["CoreML6"].operations
    constant = operations.add(type="const")
    constant.outputs.add(name="classes")
    for label in ("cat", "dog"):
        constant.attributes["val"].immediateValue.list.values.add().immediateValue.tensor.strings.values.append(label)
    operations.add(type="classify").inputs["classes"].arguments.add().name = "classes"
    assert class_labels(spec) == ["cat", "dog"]


def test_the_features_of_a_model_with_functions_are_its_default_functions(program, tmp_path):
    spec, _ = program
    for name in ("first", "second"):
        function = spec.description.functions.add(name=name)
        function.input.add(name=f"{name} input").type.doubleType.SetInParent()
    spec.description.defaultFunctionName = "second"
    description = describe_model(ModelFile(tmp_path, spec, None, "mlprogram"))
    assert description["functions"] == ["first", "second"]
    assert [item["name"] for item in description["inputs"]] == ["second input"]


REAL = {
    "coreml_nn_simplemnist/SimpleMnist.mlmodel": ("neuralnetwork", ["input"], ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"]),
    "coreml_pipeline_sentiment/SentimentPolarity.mlmodel": ("pipeline", ["input"], ["Neg", "Pos"]),
    "basic_pitch_4formats/nmp.mlpackage": ("mlprogram", ["input_2"], None),
    "pose_cpm/cpm.mlmodel": ("neuralnetwork", ["image__0"], None),
}


@pytest.mark.needs_models
@pytest.mark.parametrize("name", REAL)
def test_real_models(name):
    if not (MODELS / name).exists():
        pytest.skip(f"NOT RUN: {MODELS / name} is not there")
    kind, inputs, labels = REAL[name]
    description = describe_model(read_model(MODELS / name))
    assert description["kind"] == kind
    assert [item["name"] for item in description["inputs"]] == inputs
    assert (description["classifier"] or {"labels": None})["labels"] == labels
