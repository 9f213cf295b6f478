"""What `mlpipe inspect` says of the interface of Core ML files: images, sizes that vary, classifiers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from mlpipe.cli.main import cli
from mlpipe.model_files.protobuf import model_pb2


@pytest.fixture
def spec() -> Any:
    made = model_pb2().Model(specificationVersion=5)
    image = made.description.input.add(name="photo").type.imageType
    image.width, image.height, image.colorSpace = 16, 12, 30
    array = made.description.input.add(name="vector").type.multiArrayType
    array.shape.extend([1, 8])
    array.dataType = 65568
    for low, high in ((1, 1), (8, 64)):
        size = array.shapeRange.sizeRanges.add()
        size.lowerBound, size.upperBound = low, high
    choice = made.description.input.add(name="choice").type.multiArrayType
    choice.dataType = 131104
    for length in (3, 5):
        choice.enumeratedShapes.shapes.add().shape.append(length)
    made.description.output.add(name="scores").type.dictionaryType.stringKeyType.SetInParent()
    made.description.output.add(name="label").type.stringType.SetInParent()
    made.description.predictedFeatureName, made.description.predictedProbabilitiesName = "label", "scores"
    made.neuralNetworkClassifier.stringClassLabels.vector.extend(["cat", "dog"])
    layer = made.neuralNetworkClassifier.layers.add(name="act", input=["vector"], output=["scores"])
    layer.softmax.SetInParent()
    return made


def test_the_interface_as_the_app_sees_it(spec: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.mlmodel"
    path.write_bytes(spec.SerializeToString())
    result = CliRunner().invoke(cli, ["inspect", str(path)])
    assert result.exit_code == 0, result.output
    lines = {line.strip() for line in result.output.splitlines()}
    assert {
        "input  photo: bgr image [12, 16, 3]",
        "input  vector: float32 [1, 8..64]",
        "input  choice: int32 [3] or [5]",
        "output scores: string -> float64",
        "output label: string",
    } <= lines


def test_functions_states_and_how_they_are_executed(program: Path, mlpipe: Any) -> None:
    said = mlpipe("inspect", program)
    assert said.code == 0
    assert said.out.splitlines()[2:] == [
        "  function double (the default)",
        "    input  x: float32 [3]",
        "    output result: float32 [3]",
        "  function remember",
        "    input  x: float16 [2]",
        "    output after: float16 [2]",
        "    state  total: float16 [2]",
        "  layers: add x2, mul x1, log x1, read_state x1, write_state x1, identity x1",
        "  portable runtime (double): runs it, one kernel a layer, except:",
        "    composed of several kernels: log x1 (Add Log)",
        "  portable runtime (remember): runs it, one kernel a layer",
        "    float16: 3 of 3 values, computed in float32; --precision float16 rounds them",
    ]
    found = mlpipe("inspect", program, "--json").json
    assert found["portable_runtime"] == {
        "executable": True,
        "unsupported": [],
        "emulated": [{"type": "log", "how": "composed", "count": 1, "nodes": ["Add", "Log"]}],
        "float16": {"values": 0, "of": 3},
    }
    assert [(function["name"], function["default"], [state["name"] for state in function["states"]]) for function in found["functions"]] == [
        ("double", True, []),
        ("remember", False, ["total"]),
    ]


def test_every_layer_that_cannot_be_executed_is_named(vectors: Path, mlpipe: Any) -> None:
    spec = model_pb2().Model.FromString(vectors.read_bytes())
    for number in range(25):
        spec.neuralNetwork.layers.add(name=f"mine {number}", input=["x"], output=[f"out {number}"]).custom.className = "Mine"
    vectors.write_bytes(spec.SerializeToString())
    lines = mlpipe("inspect", vectors).out.splitlines()
    start = lines.index("  portable runtime: cannot run it:")
    assert lines[start + 1].startswith("    custom 'mine 0': ")
    assert lines[start + 21 :] == ["    and 5 more (--json lists all)"]
    found = mlpipe("inspect", vectors, "--json").json["portable_runtime"]
    assert (found["executable"], len(found["unsupported"]), found["emulated"]) == (False, 25, None)


def test_values_that_can_be_tapped(program: Path, mlpipe: Any) -> None:
    said = mlpipe("inspect", program, "--values")
    assert [line.strip() for line in said.out.splitlines() if " value " in line][:3] == [
        "value x: input, float32 [3]",
        "value doubled: mul, float32 [3]",
        "value shifted: add, float32 [3]",
    ]
    values = mlpipe("inspect", program, "--values", "--json").json["portable_runtime"]["values"]
    assert mlpipe("predict", program, "-i", "x=[1, 2, 3]", *(word for value in values for word in ("--tap", value["name"]))).code == 0
    assert "values" not in mlpipe("inspect", program, "--json").json["portable_runtime"]


def test_a_program_that_is_damaged_inside(program: Path, mlpipe: Any) -> None:
    inside = program / "Data" / "com.apple.CoreML" / "model.mlmodel"
    spec = model_pb2().Model.FromString(inside.read_bytes())
    block = spec.mlProgram.functions["double"].block_specializations["CoreML8"]
    del block.operations[0].outputs[:]
    inside.write_bytes(spec.SerializeToString())
    for command in ("inspect", "predict"):
        said = mlpipe(command, program, *(("-i", "x=[1, 2, 3]") if command == "predict" else ()))
        assert (said.code, said.err.count("\n") <= 3) == (3, True), said


def test_the_stages_of_a_pipeline(pipeline: Path, mlpipe: Any) -> None:
    assert mlpipe("inspect", pipeline).out.splitlines()[2:] == [
        "  input  a: float64",
        "  input  b: float64",
        "  output greater: string",
        "  output shares: string -> float64",
        "  stage 1: featureVectorizer, a, b -> both (columns 2)",
        "  stage 2: glmClassifier, both -> greater, shares (coefficients 2, transform Logit, labels 2)",
        "  portable runtime: runs it",
    ]
    assert [stage["kind"] for stage in mlpipe("inspect", pipeline, "--json").json["stages"]] == ["featureVectorizer", "glmClassifier"]


def test_what_a_classic_model_holds(words: Path, mlpipe: Any) -> None:
    assert "  holds: keys 2" in mlpipe("inspect", words).out.splitlines()


def test_custom_classes_and_what_they_are_given(custom: Path, tmp_path: Path, mlpipe: Any) -> None:
    lines = mlpipe("inspect", custom).out.splitlines()
    assert "  custom layer swish: class Swish (beta 2.0), 0 weights" in lines
    whole = model_pb2().Model(specificationVersion=1)
    whole.customModel.className = "Mine"
    whole.customModel.parameters["beta"].doubleValue = 0.5
    (tmp_path / "whole.mlmodel").write_bytes(whole.SerializeToString())
    lines = mlpipe("inspect", tmp_path / "whole.mlmodel").out.splitlines()
    assert "  holds: class Mine, parameters (beta 0.5)" in lines
    assert "class 'Mine' has no reference" in lines[-1]
