"""Small Core ML models, written straight into the protobuf, and the command line as a function."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlpipe.cli import main
from mlpipe.exit_codes import ExitCode
from mlpipe.model_files.protobuf import mil_pb2, model_pb2
from mlpipe.model_files.write import write_canonical

FLOAT32, INT32, FLOAT16 = 65568, 131104, 65552
MIL_CODES = {"fp16": 10, "fp32": 11, "string": 2, "int32": 23}
"""Source: DataType in MIL.proto."""
ARRAY_CODES = {"fp16": FLOAT16, "fp32": FLOAT32, "int32": INT32}
LABELS = ("red", "green", "blue")


@dataclass
class Said:
    """What a command printed and how it ended."""

    code: ExitCode
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Return stdout as data."""
        return json.loads(self.out)


Mlpipe = Callable[..., Said]


@pytest.fixture
def mlpipe(capsys: pytest.CaptureFixture[str]) -> Mlpipe:
    """Return a function that runs one command line."""

    def run(*words: object) -> Said:
        code = main.run([str(word) for word in words])
        return Said(code, *capsys.readouterr())

    return run


def add_array(features: Any, name: str, shape: tuple[int, ...], code: int = FLOAT32) -> Any:
    """Add an array to a description's inputs or outputs and return its type."""
    feature = features.add(name=name)
    array = feature.type.multiArrayType
    array.shape.extend(shape)
    array.dataType = code
    return feature.type


def add_image(features: Any, name: str, height: int, width: int, color: int = 20) -> Any:
    """Add an image (20: RGB, 30: BGR, 10: gray) and return its type."""
    feature = features.add(name=name)
    image = feature.type.imageType
    image.height, image.width, image.colorSpace = height, width, color
    return feature.type


def network(spec: Any) -> Any:
    """Return the network of a spec, with tensors of the ranks that they have."""
    spec.specificationVersion = max(spec.specificationVersion, 4)
    net = getattr(spec, spec.WhichOneof("Type") or "neuralNetwork")
    net.arrayInputShapeMapping = net.imageInputShapeMapping = 1
    return net


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """Return a classifier of RGB images, 4 x 6: the share of each colour among the pixels' mean values."""
    spec = model_pb2().Model()
    spec.neuralNetworkClassifier.stringClassLabels.vector.extend(LABELS)
    add_image(spec.description.input, "photo", 4, 6)
    spec.description.output.add(name="shares").type.dictionaryType.stringKeyType.SetInParent()
    spec.description.output.add(name="label").type.stringType.SetInParent()
    spec.description.predictedFeatureName, spec.description.predictedProbabilitiesName = "label", "shares"
    net = network(spec)
    mean = net.layers.add(name="mean", input=["photo"], output=["means"])
    mean.reduceMean.axes.extend([2, 3])
    mean.reduceMean.keepDims = False
    total = net.layers.add(name="total", input=["means"], output=["sum"])
    total.reduceSum.axes.append(1)
    total.reduceSum.keepDims = True
    net.layers.add(name="divide", input=["means", "sum"], output=["scores"]).divideBroadcastable.SetInParent()
    net.labelProbabilityLayerName = "scores"
    return write_canonical(spec, tmp_path / "photo.mlmodel")


@pytest.fixture
def style(tmp_path: Path) -> Path:
    """Return a network that gives an image of the pixels times a gain (1 where it is not fed), both of any size from 2 x 2 to 8 x 8."""
    spec = model_pb2().Model(specificationVersion=5)
    for features, name in ((spec.description.input, "image"), (spec.description.output, "stylized")):
        image = add_image(features, name, 4, 6).imageType
        for side in (image.imageSizeRange.heightRange, image.imageSizeRange.widthRange):
            side.lowerBound, side.upperBound = 2, 8
    gain = add_array(spec.description.input, "gain", (1,))
    gain.isOptional = True
    gain.multiArrayType.floatDefaultValue = 1.0
    net = network(spec)
    net.layers.add(name="times", input=["image", "gain"], output=["stylized"]).multiplyBroadcastable.SetInParent()
    return write_canonical(spec, tmp_path / "style.mlmodel")


@pytest.fixture
def custom(tmp_path: Path) -> Path:
    """Return a network with one custom layer of the class Swish, on three floats, with beta = 2."""
    spec = model_pb2().Model()
    add_array(spec.description.input, "x", (3,))
    add_array(spec.description.output, "y", (3,))
    layer = network(spec).layers.add(name="swish", input=["x"], output=["y"]).custom
    layer.className = "Swish"
    layer.parameters["beta"].doubleValue = 2.0
    return write_canonical(spec, tmp_path / "custom.mlmodel")


@pytest.fixture
def gray(tmp_path: Path) -> Path:
    """Return a network that gives the gray image that it is fed, 4 x 6."""
    spec = model_pb2().Model()
    add_image(spec.description.input, "image", 4, 6, color=10)
    add_image(spec.description.output, "same", 4, 6, color=10)
    network(spec).layers.add(name="same", input=["image"], output=["same"]).activation.linear.alpha = 1.0
    return write_canonical(spec, tmp_path / "gray.mlmodel")


@pytest.fixture
def vectors(tmp_path: Path) -> Path:
    """Return a network with `total` = x + y of three floats, and `count` = n, whole numbers."""
    spec = model_pb2().Model()
    for name in ("x", "y"):
        add_array(spec.description.input, name, (3,))
    add_array(spec.description.input, "n", (1,), INT32)
    add_array(spec.description.output, "total", (3,))
    add_array(spec.description.output, "count", (1,), INT32)
    net = network(spec)
    net.layers.add(name="plus", input=["x", "y"], output=["total"]).addBroadcastable.SetInParent()
    net.layers.add(name="whole", input=["n"], output=["count"]).activation.linear.alpha = 1.0
    return write_canonical(spec, tmp_path / "vectors.mlmodel")


@pytest.fixture
def planes(tmp_path: Path) -> Path:
    """Return a network whose input is an array 1 x 3 x 4 x 6, which it doubles."""
    spec = model_pb2().Model()
    add_array(spec.description.input, "x", (1, 3, 4, 6))
    add_array(spec.description.output, "doubled", (1, 3, 4, 6))
    net = network(spec)
    net.layers.add(name="double", input=["x"], output=["doubled"]).activation.linear.alpha = 2.0
    return write_canonical(spec, tmp_path / "planes.mlmodel")


def mil_type(dtype: str, shape: tuple[int, ...]) -> Any:
    """Return the type of a value of an ML Program."""
    made = mil_pb2().ValueType()
    made.tensorType.dataType, made.tensorType.rank = MIL_CODES[dtype], len(shape)
    for size in shape:
        made.tensorType.dimensions.add().constant.size = size
    return made


Arguments = Mapping[str, str | np.ndarray]


@dataclass
class Function:
    """A function of an ML Program under construction; the last operation's output is its output."""

    spec: Any
    name: str
    opset: str = "CoreML8"

    def __post_init__(self) -> None:
        self.features = self.spec.description.functions.add(name=self.name)
        self.function = self.spec.mlProgram.functions[self.name]
        self.function.opset = self.opset
        self.block = self.function.block_specializations[self.opset]

    def input(self, name: str, dtype: str, shape: tuple[int, ...]) -> None:
        add_array(self.features.input, name, shape, ARRAY_CODES[dtype])
        self.function.inputs.add(name=name).type.CopyFrom(mil_type(dtype, shape))

    def state(self, name: str, shape: tuple[int, ...]) -> None:
        held = self.features.state.add(name=name).type.stateType.arrayType
        held.shape.extend(shape)
        held.dataType = FLOAT16
        self.function.inputs.add(name=name).type.stateType.wrappedType.CopyFrom(mil_type("fp16", shape))

    def op(self, kind: str, name: str, dtype: str, shape: tuple[int, ...], **arguments: str | float) -> None:
        made = self.block.operations.add(type=kind)
        made.outputs.add(name=name).type.CopyFrom(mil_type(dtype, shape))
        for parameter, value in arguments.items():
            binding = made.inputs[parameter].arguments.add()
            if isinstance(value, str):
                binding.name = value
            else:
                binding.value.type.CopyFrom(mil_type("fp32", ()))
                binding.value.immediateValue.tensor.floats.values.append(value)

    def output(self, name: str, dtype: str, shape: tuple[int, ...]) -> None:
        add_array(self.features.output, name, shape, ARRAY_CODES[dtype])
        self.block.outputs.append(name)


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """Return an ML Program of two functions: `double`, the default, with the taps doubled and shifted, and `remember`, which adds x to a state."""
    spec = model_pb2().Model(specificationVersion=9)
    spec.mlProgram.version = 1
    double = Function(spec, "double")
    double.input("x", "fp32", (3,))
    double.op("mul", "doubled", "fp32", (3,), x="x", y=2.0)
    double.op("add", "shifted", "fp32", (3,), x="doubled", y=1.0)
    double.op("log", "result", "fp32", (3,), x="shifted", epsilon=0.0)
    double.output("result", "fp32", (3,))
    remember = Function(spec, "remember")
    remember.input("x", "fp16", (2,))
    remember.state("total", (2,))
    remember.op("read_state", "before", "fp16", (2,), input="total")
    remember.op("add", "sum", "fp16", (2,), x="before", y="x")
    remember.op("write_state", "written", "fp16", (2,), input="total", data="sum")
    del remember.block.operations[-1].outputs[:]
    remember.block.operations[-1].attributes["name"].immediateValue.tensor.strings.values.append("written")
    remember.op("identity", "after", "fp16", (2,), x="sum")
    remember.output("after", "fp16", (2,))
    spec.description.defaultFunctionName = "double"
    return write_canonical(spec, tmp_path / "program.mlpackage")


@pytest.fixture
def halves(tmp_path: Path) -> Path:
    """Return an ML Program in float16 that squares its input and adds it again."""
    spec = model_pb2().Model(specificationVersion=9)
    spec.mlProgram.version = 1
    main_function = Function(spec, "main")
    main_function.input("x", "fp16", (2,))
    main_function.op("mul", "squared", "fp16", (2,), x="x", y="x")
    main_function.op("add", "result", "fp16", (2,), x="squared", y="x")
    main_function.output("result", "fp16", (2,))
    spec.description.defaultFunctionName = "main"
    return write_canonical(spec, tmp_path / "halves.mlpackage")


@pytest.fixture
def pipeline(tmp_path: Path) -> Path:
    """Return a pipeline classifier: two numbers to a vector, and the greater one's name."""
    columns = model_pb2().Model(specificationVersion=1)
    for name in ("a", "b"):
        columns.description.input.add(name=name).type.doubleType.SetInParent()
        columns.featureVectorizer.inputList.add(inputColumn=name, inputDimensions=1)
    add_array(columns.description.output, "both", (2,))
    linear = model_pb2().Model(specificationVersion=1)
    add_array(linear.description.input, "both", (2,))
    linear.glmClassifier.weights.add().value.extend([-1.0, 1.0])
    linear.glmClassifier.offset.append(0.0)
    linear.glmClassifier.stringClassLabels.vector.extend(["first", "second"])
    spec = model_pb2().Model(specificationVersion=1)
    spec.description.input.extend(columns.description.input)
    for described in (linear.description, spec.description):
        described.output.add(name="greater").type.stringType.SetInParent()
        described.output.add(name="shares").type.dictionaryType.stringKeyType.SetInParent()
        described.predictedFeatureName, described.predictedProbabilitiesName = "greater", "shares"
    spec.pipelineClassifier.pipeline.models.extend([columns, linear])
    return write_canonical(spec, tmp_path / "pipeline.mlmodel")


@pytest.fixture
def words(tmp_path: Path) -> Path:
    """Return a model that counts the words `good` and `bad` in a dictionary."""
    spec = model_pb2().Model(specificationVersion=1)
    spec.description.input.add(name="counts").type.dictionaryType.stringKeyType.SetInParent()
    add_array(spec.description.output, "vector", (2,))
    spec.dictVectorizer.stringToIndex.vector.extend(["good", "bad"])
    return write_canonical(spec, tmp_path / "words.mlmodel")
