"""What the written model says of itself, held against the planned interface; and the record of both, conversion.json."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from mlpipe.errors import ConversionFailed
from mlpipe.sources.conversion.interface import InputPlan, Interface, OutputPlan

_ARRAY_TYPES = {"float32": 65568, "float16": 65552, "int32": 131104}
"""Source: ArrayFeatureType.ArrayDataType in FeatureTypes.proto."""
_COLOR_SPACES = {("grayscale", "float32"): 10, ("rgb", "float32"): 20, ("bgr", "float32"): 30, ("grayscale", "float16"): 40}
"""Source: ImageFeatureType.ColorSpace in FeatureTypes.proto."""


def complete_description(spec: Any, interface: Interface) -> None:
    """Give a NeuralNetwork's features the planned types: coremltools calls all of them float32."""
    if spec.WhichOneof("Type") == "mlProgram":
        return
    plans = {plan.name: plan for plan in interface.features}
    for feature in (*spec.description.input, *spec.description.output):
        if feature.name in plans and feature.type.WhichOneof("Type") == "multiArrayType":
            feature.type.multiArrayType.dataType = _ARRAY_TYPES[plans[feature.name].dtype]


def check_description(spec: Any, interface: Interface) -> None:
    """Hold the model against its plan. Errors: ConversionFailed where coremltools made something else."""
    description = spec.description
    expected_outputs = [plan.name for plan in interface.outputs]
    if interface.classifier is not None:
        expected_outputs.append(interface.classifier.predicted_feature_name)
    for kind, features, expected in (
        ("inputs", description.input, [plan.name for plan in interface.inputs]),
        ("outputs", description.output, expected_outputs),
    ):
        made = [feature.name for feature in features]
        if sorted(made) != sorted(expected):
            raise ConversionFailed(f"the converted model has the {kind} {made} instead of {expected}", why="coremltools dropped or merged some")
    plans = {plan.name: plan for plan in interface.features}
    for feature in (*description.input, *description.output):
        plan = plans.get(feature.name)
        if plan is not None and plan is not interface.scores:
            _check_feature(feature, plan)


def _check_feature(feature: Any, plan: InputPlan | OutputPlan) -> None:
    kind = feature.type.WhichOneof("Type")
    if plan.image is not None:
        fits = kind == "imageType" and feature.type.imageType.colorSpace == _COLOR_SPACES[plan.image.color, plan.dtype]
    else:
        fits = kind == "multiArrayType" and feature.type.multiArrayType.dataType == _ARRAY_TYPES[plan.dtype]
    if not fits:
        wanted = f"an {plan.image.color} image" if plan.image is not None else f"a {plan.dtype} array"
        raise ConversionFailed(f"feature {plan.name} of the converted model is not {wanted}", why=str(feature.type).replace("\n", " ").strip())


def conversion_data(spec: Any, interface: Interface) -> dict[str, Any]:
    """Return the data of conversion.json, see docs/architecture.md."""
    classifier = None
    if interface.classifier is not None and interface.scores is not None:
        labels = list(interface.classifier.class_labels)
        classifier = {"probabilities": interface.scores.name, "predicted": interface.classifier.predicted_feature_name, "labels": labels}
    images = {plan.feature.name: asdict(plan.image) for plan in interface.inputs if plan.image is not None}
    return {
        "inputs": {plan.feature.name: plan.name for plan in interface.inputs},
        "outputs": {plan.feature.name: plan.name for plan in interface.outputs},
        "classifier": classifier,
        "images": {name: image | {"scale": list(image["scale"]), "bias": list(image["bias"])} for name, image in images.items()},
        "image_outputs": {plan.feature.name: _image_output(spec, plan) for plan in interface.outputs if plan.image is not None},
    }


def _image_output(spec: Any, plan: OutputPlan) -> dict[str, Any]:
    """Return how an output becomes pixels: the source's value times `scale`, clipped to 0..255 where `clip`."""
    assert plan.image is not None
    image = next(feature.type.imageType for feature in spec.description.output if feature.name == plan.name)
    return plan.image.model_dump(mode="json") | {"layout": plan.layout, "height": int(image.height) or None, "width": int(image.width) or None}
