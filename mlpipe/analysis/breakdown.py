"""What the parts of a model are: the stages of a pipeline, the sizes of trees and other classic models, the classes that an app must bring."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

from mlpipe.analysis.execution import execution
from mlpipe.model_files.describe import class_labels, describe_feature
from mlpipe.model_files.read import ModelFile, kind_of
from mlpipe.weights.neuralnetwork_layers import inner_networks, networks_of

Details = dict[str, Any]

PIPELINES = ("pipeline", "pipelineClassifier", "pipelineRegressor")
"""The specification's types of models that are made of models."""


def stages_of(model: ModelFile, prefix: str = "") -> list[dict[str, Any]]:
    """Return the models of a pipeline in order, those of pipelines inside it numbered `2.1`, `2.2`; none for a model that is no pipeline.

    A stage has `number`, `kind`, `inputs`, `outputs`, `details`, `layers` and `portable_runtime` (`executable`, `unsupported`).
    """
    if model.kind != "pipeline":
        return []
    found = []
    for number, spec in enumerate(_models(model.spec), 1):
        stage = replace(model, spec=spec, kind=kind_of(spec))
        runtime = execution(stage)
        found.append(
            {
                "number": f"{prefix}{number}",
                "kind": stage.kind,
                "inputs": [describe_feature(feature) for feature in spec.description.input],
                "outputs": [describe_feature(feature) for feature in spec.description.output],
                "details": details_of(stage),
                "layers": layer_counts(spec) if stage.kind == "neuralnetwork" else {},
                "portable_runtime": {key: runtime[key] for key in ("executable", "unsupported")},
            }
        )
        found += stages_of(stage, f"{prefix}{number}.")
    return found


def layer_counts(spec: Any) -> dict[str, int]:
    """Return how many layers of each type the networks of a model have, those inside branches and loops left out."""
    counts: Counter[str] = Counter()
    for _, _, network in networks_of(spec):
        for layer in network.layers:
            kind = str(layer.WhichOneof("layer"))
            counts[f"custom ({layer.custom.className})" if kind == "custom" else kind] += 1
    return dict(counts.most_common())


def custom_layers_of(spec: Any) -> list[dict[str, Any]]:
    """Return the custom layers of a model, also those in stages, branches and loops: `name`, `class`, `parameters` and the number of `weights`."""
    return [
        {
            "name": layer.name,
            "class": layer.custom.className,
            "parameters": _parameters(layer.custom.parameters),
            "weights": len(layer.custom.weights),
            "description": layer.custom.description,
        }
        for _, _, network in networks_of(spec)
        for layer in _layers(network)
        if layer.WhichOneof("layer") == "custom"
    ]


def custom_classes_of(spec: Any) -> list[str]:
    """Return the classes that an app must bring, of custom layers and of custom models, also those in stages."""
    kind = spec.WhichOneof("Type")
    if kind == "customModel":
        return [spec.customModel.className]
    if kind not in PIPELINES:
        return [layer["class"] for layer in custom_layers_of(spec)]
    return [name for stage in _models(spec) for name in custom_classes_of(stage)]


def details_of(model: ModelFile) -> Details:
    """Return the sizes of a classic model by what they count, e.g. {"trees": 20, "nodes": 316, "labels": 2}; nothing for other models."""
    if model.kind in ("mlprogram", "neuralnetwork", "pipeline"):
        return {}
    parameters = getattr(model.spec, model.spec.WhichOneof("Type"))
    details = _DETAILS[model.kind](parameters) if model.kind in _DETAILS else {}
    labels = class_labels(model.spec)
    return details if labels is None else details | {"labels": len(labels)}


def _models(spec: Any) -> Iterable[Any]:
    """Return the models of a pipeline."""
    holder = getattr(spec, spec.WhichOneof("Type"))
    found: Iterable[Any] = (holder.pipeline if "pipeline" in holder.DESCRIPTOR.fields_by_name else holder).models
    return found


def _layers(network: Any) -> Iterator[Any]:
    for layer in network.layers:
        yield layer
        for inner in inner_networks(layer):
            yield from _layers(inner)


def _parameters(parameters: Any) -> dict[str, Any]:
    """Return the values that a custom class is given; data as the number of its bytes."""
    values = {name: getattr(value, value.WhichOneof("value") or "stringValue") for name, value in sorted(parameters.items())}
    return {name: f"{len(value)} bytes" if isinstance(value, bytes) else value for name, value in values.items()}


def _trees(parameters: Any) -> Details:
    nodes = parameters.treeEnsemble.nodes
    return {"trees": len({node.treeId for node in nodes}), "nodes": len(nodes), **_transform(parameters)}


def _linear(parameters: Any) -> Details:
    return {"coefficients": sum(len(row.value) for row in parameters.weights), **_transform(parameters)}


def _transform(parameters: Any) -> Details:
    field = parameters.DESCRIPTOR.fields_by_name["postEvaluationTransform"]
    value = field.enum_type.values_by_number.get(parameters.postEvaluationTransform)
    return {"transform": value.name if value else int(parameters.postEvaluationTransform)}


def _support_vectors(parameters: Any) -> Details:
    chosen = parameters.WhichOneof("supportVectors")
    kernel = parameters.kernel.WhichOneof("kernel")
    return {"support vectors": len(getattr(parameters, chosen).vectors) if chosen else 0, "kernel": kernel.removesuffix("Kernel") if kernel else None}


def _neighbors(parameters: Any) -> Details:
    index = parameters.nearestNeighborsIndex
    found: Details = {
        "samples": len(index.floatSamples),
        "dimensions": int(index.numberOfDimensions),
        "neighbors": int(parameters.numberOfNeighbors.defaultValue),
    }
    return found | {"index": str(index.WhichOneof("IndexType")).removesuffix("Index")}


def _chosen(key: str, oneof: str, vector: str = "vector") -> Callable[[Any], Details]:
    """Return what counts the entries of the one table that is there."""

    def count(parameters: Any) -> Details:
        chosen = parameters.WhichOneof(oneof)
        return {key: len(getattr(getattr(parameters, chosen), vector)) if chosen else 0}

    return count


def _suppression(parameters: Any) -> Details:
    return {"overlap at most": parameters.iouThreshold, "confidence at least": parameters.confidenceThreshold}


_DETAILS: dict[str, Callable[[Any], Details]] = {
    "arrayFeatureExtractor": lambda parameters: {"elements": len(parameters.extractIndex)},
    "categoricalMapping": _chosen("entries", "MappingType", "map"),
    "customModel": lambda parameters: {"class": parameters.className, "parameters": _parameters(parameters.parameters)},
    "dictVectorizer": _chosen("keys", "Map"),
    "featureVectorizer": lambda parameters: {"columns": sum(int(column.inputDimensions) for column in parameters.inputList)},
    "glmClassifier": _linear,
    "glmRegressor": _linear,
    "kNearestNeighborsClassifier": _neighbors,
    "linkedModel": lambda parameters: {"file": parameters.linkedModelFile.linkedModelFileName.defaultValue},
    "nonMaximumSuppression": _suppression,
    "normalizer": lambda parameters: {"norm": type(parameters).NormType.Name(parameters.normType)},
    "oneHotEncoder": _chosen("categories", "CategoryType"),
    "scaler": lambda parameters: {"scales": len(parameters.scaleValue), "shifts": len(parameters.shiftValue)},
    "supportVectorClassifier": _support_vectors,
    "supportVectorRegressor": _support_vectors,
    "treeEnsembleClassifier": _trees,
    "treeEnsembleRegressor": _trees,
}
"""A classic model's type -> what counts its parameters; a type that is not here has nothing worth counting."""
