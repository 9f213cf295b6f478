"""A Core ML model as an ONNX model that other programs can run: what the runtime executes, with an interface that explains itself."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mlpipe.errors import NotExecutable
from mlpipe.model_files.read import ModelFile, read_model
from mlpipe.runtime.features import Feature, interface
from mlpipe.runtime.feeding import STORAGE
from mlpipe.runtime.graph_walk import part_for
from mlpipe.runtime.lowered import Lowered, not_executable
from mlpipe.runtime.model import lower
from mlpipe.runtime.onnx_file import write_onnx
from mlpipe.runtime.onnx_graph import OPSET, Graph
from mlpipe.runtime.onnx_types import IR_VERSION
from mlpipe.runtime.precision import Precision
from mlpipe.runtime.simplify import simplified
from mlpipe.runtime.to_onnx import to_onnx

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True)
class Exported:
    """An ONNX model that was written."""

    path: Path
    data: Path | None
    """The file of its weights, where they are not in the model's own."""
    inputs: Mapping[str, str]
    """What each input takes, in words; states are among them."""
    outputs: Mapping[str, str]
    opset: int = OPSET
    ir_version: int = IR_VERSION


def export_onnx(model: Path, output: Path, *, precision: str = "float32", function_name: str | None = None, external_data: bool = False) -> Exported:
    """Write what the runtime executes for a Core ML model as an ONNX model, and return what was written.

    Inputs and outputs have the features' names. Images are 1 x channels x height x width, 0 to 255, a classifier's output is its scores in the
    order of the labels, and a state is an input (its value before) and an output (its value afterwards); `metadata_props` say so.
    Errors: ModelFileInvalid; InvalidInput for a function that the model does not have; NotExecutable, with every layer that cannot be lowered.
    """
    file = read_model(model)
    described = interface(file.spec, function_name)
    lowered = _lowered(file, Precision(precision), function_name)
    renamed = _output_names(lowered, described.outputs)
    graph = _exposed(lowered, renamed, {feature.name: feature for feature in described.outputs})
    proto, external = to_onnx(graph)
    _allow_defaults(proto, described.inputs)
    states = {name: renamed[value] for name, value in lowered.states.items()}
    inputs = {feature.name: _input_words(feature) for feature in (*described.inputs, *described.states)}
    outputs = _output_words(lowered, renamed, described.outputs)
    header = {
        "mlpipe.version": _version(),
        "mlpipe.source": model.name,
        "mlpipe.function": described.function,
        "mlpipe.precision": precision,
        "mlpipe.inputs": json.dumps(inputs),
        "mlpipe.outputs": json.dumps(outputs),
    }
    if states:
        header["mlpipe.states"] = json.dumps(states)
    if lowered.classifier is not None:
        classifier = lowered.classifier
        labels = {"output": renamed[classifier.scores], "predicted": classifier.predicted, "labels": classifier.labels}
        header["mlpipe.classifier"] = json.dumps(labels)
    for key, value in header.items():
        proto.metadata_props.add(key=key, value=value)
    _explain(proto, inputs, outputs)
    data = write_onnx(proto, external, output, external_data=external_data)
    return Exported(output, data, inputs, outputs)


def _lowered(file: ModelFile, precision: Precision, function_name: str | None) -> Lowered:
    if file.kind not in ("mlprogram", "neuralnetwork"):
        why = "pipelines are run stage by stage, and classic models by their formulas: neither is one graph"
        raise NotExecutable(f"a model of the kind {file.kind} cannot be exported to ONNX", where=str(file.path), why=why)
    lowered, missing = lower(file, precision, function_name)
    if missing or lowered is None:
        error = not_executable(missing, str(file.path))
        if any(layer.type == "custom" for layer in missing):
            error.why = "a custom layer is code of the app, which no ONNX model can hold"
        raise error
    return lowered


def _version() -> str:
    from mlpipe import __version__

    return __version__


def _output_names(lowered: Lowered, outputs: Sequence[Feature]) -> dict[str, str]:
    """Return the name of each graph output in the file: the feature that shows it; of a state, its own name and `_afterwards`."""
    names = {name: name for name in lowered.graph.outputs}
    classifier = lowered.classifier
    if classifier is not None and classifier.scores not in {feature.name for feature in outputs}:
        names[classifier.scores] = classifier.probabilities or classifier.predicted
    taken = {*lowered.graph.inputs, *names.values()}
    for state, output in lowered.states.items():
        name = f"{state}_afterwards"
        while name in taken:
            name += "_"
        names[output] = name
        taken.add(name)
    return names


def _exposed(lowered: Lowered, names: Mapping[str, str], features: Mapping[str, Feature]) -> Graph:
    """Return the part of the graph that its outputs need, these in the types and shapes in which predictions have them."""
    graph = lowered.graph
    shown = replace(graph, nodes=list(graph.nodes), constants=dict(graph.constants), types=dict(graph.types))
    outputs = {}
    for output, value in graph.outputs.items():
        feature = features.get(output)
        if feature is not None and feature.kind == "array":
            outputs[names[output]] = _as_declared(shown, value, feature)
        elif lowered.classifier is not None and output == lowered.classifier.scores:
            outputs[names[output]] = shown.add("Reshape", value, shown.int64(-1))
        else:
            outputs[names[output]] = value
    # First the part that is needed: what only the outputs of the whole graph read would stand in the way.
    return simplified(part_for(shown, outputs))


def _as_declared(graph: Graph, value: str, feature: Feature) -> str:
    dtype = np.dtype(np.float32 if feature.dtype in ("", "float16") else feature.dtype)
    value = graph.cast(value, dtype)
    return graph.add("Reshape", value, graph.int64(1)) if graph.shape(value) == () else value


def _allow_defaults(proto: onnx.ModelProto, inputs: Sequence[Feature]) -> None:
    """Give optional inputs the values that they have when they are not fed: an initializer of an input's name is its default."""
    from onnx import numpy_helper

    for feature in inputs:
        if feature.optional and feature.kind == "array" and feature.default is not None:
            value = np.full(feature.sizes.default, feature.default, STORAGE[feature.dtype])
            proto.graph.initializer.append(numpy_helper.from_array(value, feature.name))


def _input_words(feature: Feature) -> str:
    if feature.kind == "image":
        order = {"rgb": ", red first", "bgr": ", blue first"}.get(str(feature.color), "")
        scale = "" if feature.color == "grayscale_float16" else ", 0 to 255"
        return f"{feature}, fed as float32 1 x {feature.channels} x height x width{scale}{order}"
    if feature.kind in ("int64", "double"):
        return f"{feature.kind}, fed as {'int32' if feature.kind == 'int64' else 'float32'} of one element"
    held = np.dtype(STORAGE[feature.dtype]).name if feature.dtype in STORAGE else feature.dtype
    words = str(feature) if held == feature.dtype else f"{feature}, fed as {held}"
    if feature.kind == "state":
        return f"{words}: its value before, zeros at first"
    return f"{words}, {feature.default:g} where it is not fed" if feature.optional and feature.default is not None else words


def _output_words(lowered: Lowered, names: Mapping[str, str], outputs: Sequence[Feature]) -> dict[str, str]:
    by_name = {feature.name: feature for feature in outputs}
    words = {}
    for output, name in names.items():
        feature = by_name.get(output)
        if lowered.classifier is not None and output == lowered.classifier.scores:
            words[name] = f"scores of {len(lowered.classifier.labels)} classes, in the order of the labels"
        elif feature is None:
            words[name] = "a state's value afterwards"
        elif feature.kind == "image":
            words[name] = f"{feature}, given as float32 1 x {feature.channels} x height x width, neither clipped nor rounded"
        else:
            words[name] = str(feature)
    return words


def _explain(proto: onnx.ModelProto, inputs: Mapping[str, str], outputs: Mapping[str, str]) -> None:
    for entries, words in ((proto.graph.input, inputs), (proto.graph.output, outputs)):
        for entry in entries:
            entry.doc_string = words.get(entry.name, "")
    proto.doc_string = "A Core ML model as mlpipe's portable runtime executes it."
    proto.producer_version = _version()


def summary(exported: Exported) -> dict[str, Any]:
    """Return what was written as JSON-able data."""
    data = None if exported.data is None else str(exported.data)
    sizes = {"size_bytes": exported.path.stat().st_size, "data_size_bytes": None if exported.data is None else exported.data.stat().st_size}
    return {
        "path": str(exported.path),
        "data": data,
        **sizes,
        "opset": exported.opset,
        "ir_version": exported.ir_version,
        "inputs": dict(exported.inputs),
        "outputs": dict(exported.outputs),
    }
