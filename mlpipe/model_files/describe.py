"""What a Core ML model takes and gives, as JSON-able data."""

from __future__ import annotations

from typing import Any

from mlpipe.model_files.read import ModelFile

_DTYPES = {65568: "float32", 65600: "float64", 131104: "int32", 131080: "int8", 65552: "float16"}
"""`ArrayDataType` in FeatureTypes.proto."""
_COLORS = {10: "grayscale", 20: "rgb", 30: "bgr", 40: "grayscale_float16"}
"""`ColorSpace` in FeatureTypes.proto."""
_PLAIN = {"int64Type": ("int64", "int64"), "doubleType": ("double", "float64"), "stringType": ("string", "string")}


def describe_model(model: ModelFile) -> dict[str, Any]:
    """Return kind, specification version, inputs, outputs, states, functions and classifier.

    A feature has `name`, `kind` (`multiarray`, `image`, `dictionary`, `sequence`, `int64`, `double`, `string`), `shape` and `dtype`; a shape is
    None where the file does not say it (outputs of NeuralNetworks) and [height, width, channels] for an image, which also has `color`, `height`
    and `width`. Flexible sizes stand in `shape_ranges` ([low, high] a dimension, high None where unbounded) or `enumerated_shapes`. A dictionary
    has `key_dtype`. `optional` and `description` are there where the file sets them.
    """
    description = model.spec.description
    holder = _function(description)
    return {
        "kind": model.kind,
        "specification_version": int(model.spec.specificationVersion),
        "inputs": [describe_feature(feature) for feature in holder.input],
        "outputs": [describe_feature(feature) for feature in holder.output],
        "states": [describe_feature(feature) for feature in holder.state],
        "functions": [function.name for function in description.functions],
        "classifier": _classifier(model.spec, holder),
    }


def describe_feature(feature: Any) -> dict[str, Any]:
    """Return one input, output or state as `describe_model` lists it."""
    described: dict[str, Any] = {"name": feature.name, **_type(feature.type)}
    if feature.type.isOptional:
        described["optional"] = True
    if feature.shortDescription:
        described["description"] = feature.shortDescription
    return described


def class_labels(spec: Any) -> list[str] | list[int] | None:
    """Return a classifier's labels in the order of its scores; None where the model has none."""
    kind = spec.WhichOneof("Type")
    if kind == "mlProgram":
        return _program_labels(spec.mlProgram)
    if kind == "pipelineClassifier":
        found = (class_labels(model) for model in reversed(spec.pipelineClassifier.pipeline.models))
        return next((labels for labels in found if labels is not None), None)
    holder = getattr(spec, kind)
    if "ClassLabels" not in {oneof.name for oneof in holder.DESCRIPTOR.oneofs} or holder.WhichOneof("ClassLabels") is None:
        return None
    return list(getattr(holder, holder.WhichOneof("ClassLabels")).vector)


def _function(description: Any) -> Any:
    """Return where features stand: the description itself, or the default function of a model with several."""
    default = [function for function in description.functions if function.name == description.defaultFunctionName]
    return default[0] if default else description


def _classifier(spec: Any, holder: Any) -> dict[str, Any] | None:
    labels = class_labels(spec)
    if labels is None:
        return None
    return {"predicted": holder.predictedFeatureName, "probabilities": holder.predictedProbabilitiesName or None, "labels": labels}


def _type(feature_type: Any) -> dict[str, Any]:
    kind = feature_type.WhichOneof("Type")
    if kind in _PLAIN:
        name, dtype = _PLAIN[kind]
        return {"kind": name, "shape": [], "dtype": dtype}
    if kind == "multiArrayType":
        return _multiarray(feature_type.multiArrayType)
    if kind == "stateType":
        return _multiarray(feature_type.stateType.arrayType)
    if kind == "imageType":
        return _image(feature_type.imageType)
    if kind == "dictionaryType":
        key = feature_type.dictionaryType.WhichOneof("KeyType")
        return {"kind": "dictionary", "shape": None, "dtype": "float64", "key_dtype": "int64" if key == "int64KeyType" else "string"}
    if kind == "sequenceType":
        items = feature_type.sequenceType.WhichOneof("Type")
        sizes = [_range(feature_type.sequenceType.sizeRange)]
        return {"kind": "sequence", "shape": None, "dtype": "int64" if items == "int64Type" else "string", "shape_ranges": sizes}
    return {"kind": str(kind), "shape": None, "dtype": None}


def _multiarray(array: Any) -> dict[str, Any]:
    shape: list[int] | None = [int(size) for size in array.shape] or None
    described: dict[str, Any] = {"kind": "multiarray", "shape": shape, "dtype": _DTYPES.get(array.dataType)}
    flexibility = array.WhichOneof("ShapeFlexibility")
    if flexibility == "enumeratedShapes":
        shapes = [[int(size) for size in item.shape] for item in array.enumeratedShapes.shapes]
        described |= {"shape": shape or shapes[0], "enumerated_shapes": shapes}
    elif flexibility == "shapeRange":
        ranges = [_range(item) for item in array.shapeRange.sizeRanges]
        described |= {"shape": shape or [low or 0 for low, _ in ranges], "shape_ranges": ranges}
    return described


def _image(image: Any) -> dict[str, Any]:
    color = _COLORS.get(image.colorSpace)
    channels = 3 if color in ("rgb", "bgr") else 1
    described: dict[str, Any] = {"kind": "image", "color": color, "dtype": "float16" if color == "grayscale_float16" else "uint8"}
    height, width = int(image.height), int(image.width)
    flexibility = image.WhichOneof("SizeFlexibility")
    if flexibility == "enumeratedSizes":
        described["enumerated_shapes"] = [[int(size.height), int(size.width), channels] for size in image.enumeratedSizes.sizes]
    elif flexibility == "imageSizeRange":
        size = image.imageSizeRange
        described["shape_ranges"] = [_range(size.heightRange), _range(size.widthRange), [channels, channels]]
    if not height or not width:
        first = described.get("enumerated_shapes", [[0, 0]])[0]
        lows = [low for low, _ in described.get("shape_ranges", ())] or first
        height, width = height or lows[0], width or lows[1]
    return described | {"shape": [height, width, channels], "height": height, "width": width}


def _range(size: Any) -> list[int | None]:
    return [int(size.lowerBound), None if size.upperBound < 0 else int(size.upperBound)]


def _program_labels(program: Any) -> list[str] | list[int] | None:
    """Return the labels that the program's `classify` operation is given."""
    for name in sorted(program.functions):
        function = program.functions[name]
        operations = function.block_specializations[function.opset].operations
        constants = {op.outputs[0].name: op.attributes["val"] for op in operations if op.type == "const"}
        for op in operations:
            if op.type == "classify":
                binding = op.inputs["classes"].arguments[0]
                value = binding.value if binding.WhichOneof("binding") == "value" else constants[binding.name]
                return [_scalar(item.immediateValue.tensor) for item in value.immediateValue.list.values]
    return None


def _scalar(tensor: Any) -> Any:
    return getattr(tensor, tensor.WhichOneof("value")).values[0]
