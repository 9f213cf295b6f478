"""Network outputs: tensors in the shapes in which a model returns them, and a classifier's scores."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from mlpipe.errors import ModelFileInvalid
from mlpipe.runtime.features import Feature
from mlpipe.runtime.lowered import Classifier
from mlpipe.runtime.neuralnetwork.network import Network, SizeOf


def add_outputs(net: Network, features: Sequence[Feature], classifier: Classifier | None, *, rank5: bool) -> None:
    """Enter every described output, and a classifier's scores, as the graph's outputs.

    Errors: ModelFileInvalid where the model describes an output that no layer makes.
    """
    made_on_host = {classifier.predicted, classifier.probabilities} if classifier else set()
    for feature in features:
        if feature.name in made_on_host:
            continue
        value = _tensor(net, feature.name)
        if feature.kind == "array":
            value = legacy_shape(net, value, feature.sizes.default) if rank5 else _as_stated(net, value, feature.sizes.default)
        net.graph.outputs[feature.name] = value
    if classifier:
        _add_scores(net, classifier)


def _as_stated(net: Network, value: str, stated: Sequence[int]) -> str:
    """Return a tensor in the stated shape where that has another rank and as many elements: an image is a tensor of rank 4, and results are stated in 3.

    Source: the tests of `make_image_input` in coremltools.
    """
    static = net.graph.static_shape(value)
    if not stated or static is None or len(static) == len(stated) or prod(static) != prod(stated):
        return value
    return net.reshape(value, list(stated))


def _add_scores(net: Network, classifier: Classifier) -> None:
    scores = _tensor(net, classifier.scores)
    shape = net.graph.static_shape(scores)
    if shape is not None and prod(shape) != len(classifier.labels):
        raise ModelFileInvalid(f"the classifier has {len(classifier.labels)} class labels", why=f"its scores have the shape {list(shape)}")
    net.graph.outputs.setdefault(classifier.scores, scores)


def legacy_shape(net: Network, value: str, stated: Sequence[int]) -> str:
    """Return a tensor of rank 5 as a network of the first specifications gives it out.

    Shapes: as the model states where that has as many elements; otherwise the input mapping backwards: [1, 1, C, 1, 1] is [C],
    [1, 1, C, H, W] is [C, H, W], and anything with a longer sequence or batch stays of rank 5.
    Source: NeuralNetworkMultiArrayShapeMapping; the specification describes the mapping for inputs only.
    """
    if net.graph.rank(value) != 5:
        return value
    shape = net.graph.shape(value)
    static = net.graph.static_shape(value)
    if stated and static is not None and prod(stated) == prod(static):
        return net.reshape(value, list(stated))
    if shape[:2] != (1, 1):
        return value
    kept = (2,) if shape[3:] == (1, 1) else (2, 3, 4)
    return net.reshape(value, [SizeOf(value, axis) for axis in kept])


def classifier_of(spec: Any, network: Any) -> Classifier | None:
    """Return how a network classifier's scores become its label, or None for a network that is none.

    Errors: ModelFileInvalid where it has no labels or does not say where its scores are.
    """
    if spec.WhichOneof("Type") != "neuralNetworkClassifier":
        return None
    kind = network.WhichOneof("ClassLabels")
    labels = tuple(getattr(network, kind).vector) if kind else ()
    if not labels:
        raise ModelFileInvalid("the classifier has no class labels")
    scores = str(network.labelProbabilityLayerName) or _only_end(network)
    description = spec.description
    return Classifier(labels, scores, description.predictedFeatureName, description.predictedProbabilitiesName or None)


def _only_end(network: Any) -> str:
    """Return the one tensor that no layer reads, which is the scores where the model names none."""
    read = {name for layer in network.layers for name in layer.input}
    ends = [name for layer in network.layers for name in layer.output if name not in read]
    if len(ends) != 1:
        raise ModelFileInvalid("the classifier does not say which of its tensors holds the scores", why=f"it has {len(ends)} ends")
    return str(ends[0])


def _tensor(net: Network, name: str) -> str:
    if name not in net.values or name in net.graph.inputs:
        raise ModelFileInvalid(f"the model describes an output {name!r} that no layer makes")
    return net.values[name]
