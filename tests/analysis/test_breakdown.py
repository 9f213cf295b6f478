"""What `inspect` says of the parts of a model: stages, sizes of classic models, custom classes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlpipe.analysis.breakdown import custom_classes_of, custom_layers_of, details_of, layer_counts, stages_of
from mlpipe.model_files.protobuf import model_pb2
from mlpipe.model_files.read import ModelFile, kind_of


def as_file(spec: Any) -> ModelFile:
    return ModelFile(Path("model.mlmodel"), spec, None, kind_of(spec))


def tree(parameters: Any) -> None:
    for number in (0, 1):
        parameters.treeEnsemble.nodes.add(treeId=number, nodeId=0, nodeBehavior=0, trueChildNodeId=1, falseChildNodeId=2)
        parameters.treeEnsemble.nodes.add(treeId=number, nodeId=1, nodeBehavior=6)
        parameters.treeEnsemble.nodes.add(treeId=number, nodeId=2, nodeBehavior=6)
    parameters.postEvaluationTransform = 1


def tree_classifier(parameters: Any) -> None:
    tree(parameters)
    parameters.int64ClassLabels.vector.extend([3, 5, 9])


def linear(parameters: Any) -> None:
    parameters.weights.add().value.extend([1, 2])
    parameters.weights.add().value.extend([3, 4])


def vectors(parameters: Any) -> None:
    parameters.kernel.polyKernel.degree = 2
    parameters.sparseSupportVectors.vectors.add()
    parameters.sparseSupportVectors.vectors.add()


def neighbors(parameters: Any) -> None:
    parameters.nearestNeighborsIndex.numberOfDimensions = 2
    parameters.nearestNeighborsIndex.floatSamples.add()
    parameters.nearestNeighborsIndex.singleKdTreeIndex.SetInParent()
    parameters.numberOfNeighbors.defaultValue = 3
    parameters.stringClassLabels.vector.append("a")


def custom(parameters: Any) -> None:
    parameters.className = "Mine"
    parameters.parameters["beta"].doubleValue = 0.5
    parameters.parameters["table"].bytesValue = b"123"


def one_hot(parameters: Any) -> None:
    parameters.int64Categories.vector.extend([1, 2, 3, 4])


def mapping(parameters: Any) -> None:
    parameters.stringToInt64Map.map["a"] = 1


def columns(parameters: Any) -> None:
    parameters.inputList.add(inputColumn="a", inputDimensions=2)
    parameters.inputList.add(inputColumn="b", inputDimensions=5)


def suppression(parameters: Any) -> None:
    parameters.iouThreshold, parameters.confidenceThreshold = 0.5, 0.25
    parameters.stringClassLabels.vector.extend(["cat", "dog"])


ROWS: list[tuple[str, Callable[[Any], None], dict[str, Any]]] = [
    ("arrayFeatureExtractor", lambda parameters: parameters.extractIndex.extend([2, 0]), {"elements": 2}),
    ("categoricalMapping", mapping, {"entries": 1}),
    ("customModel", custom, {"class": "Mine", "parameters": {"beta": 0.5, "table": "3 bytes"}}),
    ("dictVectorizer", lambda parameters: parameters.stringToIndex.vector.extend(["a", "b"]), {"keys": 2}),
    ("dictVectorizer", lambda _: None, {"keys": 0}),
    ("featureVectorizer", columns, {"columns": 7}),
    ("glmClassifier", linear, {"coefficients": 4, "transform": "Logit"}),
    ("glmRegressor", linear, {"coefficients": 4, "transform": "NoTransform"}),
    ("identity", lambda _: None, {}),
    ("kNearestNeighborsClassifier", neighbors, {"samples": 1, "dimensions": 2, "neighbors": 3, "index": "singleKdTree", "labels": 1}),
    ("linkedModel", lambda parameters: setattr(parameters.linkedModelFile.linkedModelFileName, "defaultValue", "Other"), {"file": "Other"}),
    ("nonMaximumSuppression", suppression, {"overlap at most": 0.5, "confidence at least": 0.25, "labels": 2}),
    ("normalizer", lambda parameters: setattr(parameters, "normType", 2), {"norm": "L2"}),
    ("oneHotEncoder", one_hot, {"categories": 4}),
    ("scaler", lambda parameters: parameters.scaleValue.extend([1, 2]), {"scales": 2, "shifts": 0}),
    ("supportVectorClassifier", vectors, {"support vectors": 2, "kernel": "poly"}),
    ("supportVectorRegressor", lambda _: None, {"support vectors": 0, "kernel": None}),
    ("treeEnsembleClassifier", tree_classifier, {"trees": 2, "nodes": 6, "transform": "Classification_SoftMax", "labels": 3}),
    ("treeEnsembleRegressor", tree, {"trees": 2, "nodes": 6, "transform": "Classification_SoftMax"}),
    ("neuralNetwork", lambda _: None, {}),
]


@pytest.mark.parametrize(("kind", "fill", "expected"), ROWS)
def test_the_sizes_of_a_classic_model(kind: str, fill: Callable[[Any], None], expected: dict[str, Any]) -> None:
    spec = model_pb2().Model(specificationVersion=1)
    getattr(spec, kind).SetInParent()
    fill(getattr(spec, kind))
    assert details_of(as_file(spec)) == expected


def network_in_a_branch() -> Any:
    spec = model_pb2().Model(specificationVersion=4)
    layers = spec.neuralNetwork.layers
    layers.add(name="act").activation.ReLU.SetInParent()
    swish = layers.add(name="swish").custom
    swish.className, swish.description = "Swish", "smooth"
    swish.parameters["beta"].doubleValue = 2.0
    swish.weights.add().floatValue.append(1.0)
    layers.add(name="choice").branch.ifBranch.layers.add(name="inside").custom.className = "Inner"
    return spec


def test_custom_layers_are_found_also_in_branches() -> None:
    spec = network_in_a_branch()
    assert layer_counts(spec) == {"activation": 1, "custom (Swish)": 1, "branch": 1}
    assert custom_layers_of(spec) == [
        {"name": "swish", "class": "Swish", "parameters": {"beta": 2.0}, "weights": 1, "description": "smooth"},
        {"name": "inside", "class": "Inner", "parameters": {}, "weights": 0, "description": ""},
    ]


@pytest.mark.parametrize("kind", ["pipeline", "pipelineClassifier", "pipelineRegressor"])
def test_the_stages_of_a_pipeline_are_numbered_and_say_what_stands_in_the_way(kind: str) -> None:
    scaler = model_pb2().Model(specificationVersion=1)
    for feature in (scaler.description.input.add(name="x"), scaler.description.output.add(name="y")):
        feature.type.doubleType.SetInParent()
    scaler.scaler.scaleValue.append(2.0)
    linked = model_pb2().Model(specificationVersion=1)
    linked.linkedModel.SetInParent()
    inner = model_pb2().Model(specificationVersion=1)
    inner.pipeline.models.extend([scaler, linked])
    spec = model_pb2().Model(specificationVersion=1)
    holder = getattr(spec, kind)
    (holder if kind == "pipeline" else holder.pipeline).models.extend([scaler, inner])
    found = stages_of(as_file(spec))
    assert [(stage["number"], stage["kind"], stage["portable_runtime"]["executable"]) for stage in found] == [
        ("1", "scaler", True),
        ("2", "pipeline", False),
        ("2.1", "scaler", True),
        ("2.2", "linkedModel", False),
    ]
    assert found[0]["details"] == {"scales": 1, "shifts": 0}
    assert ([entry["name"] for entry in found[0]["inputs"]], [entry["name"] for entry in found[0]["outputs"]]) == (["x"], ["y"])
    assert found[1]["portable_runtime"]["unsupported"] == ["linkedModel 'stage 2': it names another compiled model, which is not in the file"]
    assert stages_of(as_file(scaler)) == []


def test_the_layers_of_a_stage_are_counted() -> None:
    spec = model_pb2().Model(specificationVersion=4)
    network = network_in_a_branch()
    del network.neuralNetwork.layers[-1]
    spec.pipeline.models.append(network)
    (stage,) = stages_of(as_file(spec))
    assert stage["layers"] == {"activation": 1, "custom (Swish)": 1}
    assert (stage["details"], stage["portable_runtime"]["executable"]) == ({}, False)


def test_the_classes_that_an_app_must_bring_are_found_in_every_stage() -> None:
    whole = model_pb2().Model(specificationVersion=1)
    whole.customModel.className = "Whole"
    inner = model_pb2().Model(specificationVersion=1)
    inner.pipelineRegressor.pipeline.models.append(whole)
    spec = model_pb2().Model(specificationVersion=4)
    spec.pipeline.models.extend([network_in_a_branch(), inner])
    assert custom_classes_of(spec) == ["Swish", "Inner", "Whole"]
    assert custom_classes_of(whole) == ["Whole"]
