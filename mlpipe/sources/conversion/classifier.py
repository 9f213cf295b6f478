"""A classifier made of a converted model, on the specification itself.

coremltools 9.0 takes a NeuralNetwork's first output for the scores, whichever it is told, and fails on an ML Program with a second output.
"""

from __future__ import annotations

from typing import Any

from mlpipe.recipe.schema.convert import Classifier

LABEL, SCORES = "mlpipe_label", "mlpipe_scores"
"""What the new features are called until they are renamed."""

_STRING, _INT64, _FLOAT64 = 2, 24, 12
"""Source: DataType in MIL.proto."""


def make_classifier(spec: Any, scores: str, classifier: Classifier) -> dict[str, str]:
    """Let the model answer with a label and a dictionary of scores instead of the output `scores`.

    Return what the features are called now: `scores` for the dictionary, `label` for the predicted label.
    """
    labels = list(classifier.class_labels)
    is_program = spec.WhichOneof("Type") == "mlProgram"
    dictionary = _classify(spec.mlProgram, scores, labels) if is_program else _classifier_network(spec, scores, labels)
    described = next(feature for feature in spec.description.output if feature.name == scores)
    described.name = dictionary
    kind = "int64KeyType" if isinstance(labels[0], int) else "stringKeyType"
    getattr(described.type.dictionaryType, kind).SetInParent()
    label = spec.description.output.add(name=LABEL)
    (label.type.int64Type if isinstance(labels[0], int) else label.type.stringType).SetInParent()
    spec.description.predictedFeatureName = LABEL
    spec.description.predictedProbabilitiesName = dictionary
    return {"scores": dictionary, "label": LABEL}


def _classifier_network(spec: Any, scores: str, labels: list[Any]) -> str:
    """Turn the network into a classifier, which has all its fields under the same numbers (NeuralNetwork.proto), and labels."""
    content = spec.neuralNetwork.SerializeToString()
    spec.neuralNetworkClassifier.MergeFromString(content)
    network = spec.neuralNetworkClassifier
    (network.int64ClassLabels if isinstance(labels[0], int) else network.stringClassLabels).vector.extend(labels)
    network.labelProbabilityLayerName = scores
    return scores


def _classify(program: Any, scores: str, labels: list[Any]) -> str:
    """Append the operation `classify`, whose results take the place of the output. Source: the operation in MIL's iOS15 set."""
    (block,) = program.functions["main"].block_specializations.values()
    operation = block.operations.add(type="classify")
    operation.inputs["probabilities"].arguments.add(name=scores)
    classes = operation.inputs["classes"].arguments.add().value
    kind = _INT64 if isinstance(labels[0], int) else _STRING
    classes.type.listType.type.tensorType.dataType = kind
    classes.type.listType.length.constant.size = len(labels)
    for label in labels:
        value = classes.immediateValue.list.values.add()
        value.type.tensorType.dataType = kind
        tensor = value.immediateValue.tensor
        (tensor.longInts if kind == _INT64 else tensor.strings).values.append(label)
    name = operation.attributes["name"]
    name.type.tensorType.dataType = _STRING
    name.immediateValue.tensor.strings.values.append("classify")
    operation.outputs.add(name=LABEL).type.tensorType.dataType = kind
    dictionary = operation.outputs.add(name=SCORES).type.dictionaryType
    dictionary.keyType.tensorType.dataType = kind
    dictionary.valueType.tensorType.dataType = _FLOAT64
    others = [output for output in block.outputs if output != scores]
    del block.outputs[:]
    block.outputs.extend([LABEL, SCORES, *others])
    return SCORES
