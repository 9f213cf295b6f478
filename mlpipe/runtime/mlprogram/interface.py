"""Where a program meets the features that the model declares: inputs, classifiers, and what the outputs are called."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from mlpipe.errors import ModelFileInvalid
from mlpipe.runtime.features import Feature, Interface
from mlpipe.runtime.lowered import Classifier, UnsupportedLayerError
from mlpipe.runtime.mlprogram.op import Binding
from mlpipe.runtime.mlprogram.values import STORAGE, Constant, Tensor, agree, declared_type
from mlpipe.runtime.onnx_graph import Dim, Graph
from mlpipe.runtime.precision import Precision, round_to_half

SCORES = "classifier scores"
"""The graph output that a classifier's label and dictionary are made of. No name in a program has a blank in it."""


def add_input(graph: Graph, given: Any, feature: Feature | None, precision: Precision) -> Tensor:
    """Return an input of a function, which the graph takes as its feature is fed: in the feature's sizes, numbers of its kind.

    Errors: UnsupportedLayerError where the model and its program do not agree on it.
    """
    if feature is None:
        raise UnsupportedLayerError("the model does not describe it")
    declared = declared_type(given.type)
    sizes: tuple[Dim, ...] = feature.sizes.dims()
    if feature.kind == "image":
        sizes = (1, feature.channels, *sizes)
    shape = declared.shape
    if shape is None or declared.dtype not in STORAGE:
        raise UnsupportedLayerError(f"an input of type {declared.dtype} and shape {shape} is not supported")
    value = graph.add_input(given.name, np.int32 if feature.dtype.startswith("int") else np.float32, sizes)
    if shape == () and sizes == (1,):
        value = graph.add("Squeeze", value)
        sizes = ()
    if not agree(sizes, shape):
        raise UnsupportedLayerError(f"the model declares {list(sizes)} and its program {list(shape)}")
    value = graph.cast(value, STORAGE[declared.dtype])
    if declared.dtype == "fp16":
        value = round_to_half(graph, value, precision)
    return Tensor(value, declared.dtype, sizes)


def limits(features: Iterable[Feature], inputs: Iterable[Any]) -> dict[str, np.dtype[Any]]:
    """Return the integer types of those inputs that hold fewer numbers than their features."""
    found: dict[str, np.dtype[Any]] = {}
    types = {given.name: declared_type(given.type).dtype for given in inputs if given.type.WhichOneof("type") == "tensorType"}
    for feature in features:
        if types.get(feature.name) in ("int8", "uint8", "int16", "uint16") and types[feature.name] != feature.dtype:
            found[feature.name] = np.dtype(types[feature.name])
    return found


def classifier(graph: Graph, operation: Any, arguments: Mapping[str, list[Binding]], scores: Tensor) -> Classifier:
    """Return what `classify` makes of scores, which become an output of the graph: a label, and a dictionary where it has a second output.

    Errors: UnsupportedLayerError where its classes are not constants, or not as many as the scores.
    """
    (classes,) = arguments["classes"]
    if not isinstance(classes, Constant):
        raise UnsupportedLayerError("its classes are not constants")
    labels = tuple(label if isinstance(label, str) else int(label) for label in classes.array.reshape(-1).tolist())
    known = [size for size in scores.shape if isinstance(size, int)]
    if len(known) == scores.rank and np.prod(known) != len(labels):
        raise UnsupportedLayerError(f"it has {len(labels)} classes for scores of shape {known}")
    graph.outputs[SCORES] = scores.name
    label, *dictionary = (output.name for output in operation.outputs)
    return Classifier(labels, SCORES, label, dictionary[0] if dictionary else None)


def declared_classifier(described: Interface, made: Classifier | None) -> Classifier | None:
    """Return the classifier as the model declares it: without a dictionary where no feature receives one."""
    names = [feature.name for feature in described.outputs]
    return replace(made, probabilities=None) if made is not None and made.probabilities not in names else made


def names_of_outputs(described: Interface, made: Classifier | None) -> Sequence[str]:
    """Return the outputs that are values of the program: all but those of a classifier.

    Errors: ModelFileInvalid for one that no value of a program can be.
    """
    values = [feature for feature in described.outputs if made is None or feature.name not in (made.predicted, made.probabilities)]
    for feature in values:
        if feature.kind not in ("array", "image", "int64", "double"):
            raise ModelFileInvalid("the model does not fit its program", why=f"no classifier makes the output {feature.name!r}, a {feature}")
    return [feature.name for feature in values]
