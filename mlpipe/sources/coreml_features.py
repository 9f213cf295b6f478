"""A Core ML description read as features: shapes, types, images and labels."""

from __future__ import annotations

from typing import Any

from mlpipe.model_files.describe import class_labels
from mlpipe.sources.feature import Feature

ARRAY_TYPES = {65568: "float32", 65600: "float64", 131104: "int32", 65552: "float16", 131080: "int8"}
"""Source: ArrayFeatureType.ArrayDataType in FeatureTypes.proto."""
OTHER_TYPES = {"int64Type": "int64", "doubleType": "float64", "stringType": "string", "dictionaryType": "dictionary", "sequenceType": "sequence"}
COLORS = {10: "grayscale", 20: "rgb", 30: "bgr", 40: "grayscale"}
"""Source: ImageFeatureType.ColorSpace in FeatureTypes.proto; 40 is grayscale in float16."""


def inputs_of(spec: Any) -> list[Feature]:
    """Return the model's inputs."""
    return [_feature(entry) for entry in spec.description.input]


def outputs_of(spec: Any) -> list[Feature]:
    """Return the model's numeric outputs: a classifier's scores are a vector in label order, and its predicted label is none of them."""
    description = spec.description
    features = []
    for entry in description.output:
        if entry.name == description.predictedFeatureName and description.predictedFeatureName:
            continue
        if entry.type.WhichOneof("Type") == "dictionaryType":
            features.append(Feature(entry.name, (None, len(labels_of(spec)) or None), "float32"))
        else:
            features.append(_feature(entry))
    return features


def _feature(entry: Any) -> Feature:
    kind = entry.type.WhichOneof("Type")
    if kind == "imageType":
        image = image_of(entry)
        assert image is not None
        return Feature(entry.name, (1, 1 if image["color"] == "grayscale" else 3, image["height"], image["width"]), "float32")
    if kind == "multiArrayType":
        array = entry.type.multiArrayType
        return Feature(entry.name, _shape(array), ARRAY_TYPES.get(array.dataType, "float32"))
    scalar = {"int64Type": "int64", "doubleType": "float64", "stringType": "string", "dictionaryType": "dictionary", "sequenceType": "sequence"}.get(
        str(kind), str(kind)
    )
    return Feature(entry.name, (), scalar)


def _shape(array: Any) -> tuple[int | None, ...] | None:
    """Return the declared shape, None where a size is flexible, and None for a shape that is not declared at all."""
    flexibility = array.WhichOneof("ShapeFlexibility")
    default: tuple[int | None, ...] = tuple(int(size) for size in array.shape)
    if flexibility == "enumeratedShapes":
        shapes = [tuple(shape.shape) for shape in array.enumeratedShapes.shapes]
        return tuple(int(sizes[0]) if len(set(sizes)) == 1 else None for sizes in zip(*shapes, strict=True))
    if flexibility == "shapeRange":
        ranges = array.shapeRange.sizeRanges
        return tuple(int(size.lowerBound) if size.lowerBound == size.upperBound else None for size in ranges)
    return default or None


def image_of(entry: Any) -> dict[str, Any] | None:
    """Return colour, layout, height and width of an image feature; None for any other. A flexible size is None."""
    if entry.type.WhichOneof("Type") != "imageType":
        return None
    image = entry.type.imageType
    flexible = image.WhichOneof("SizeFlexibility") is not None
    height, width = (None, None) if flexible else (int(image.height), int(image.width))
    return {"color": COLORS.get(image.colorSpace, "rgb"), "layout": "nchw", "height": height, "width": width}


def labels_of(spec: Any) -> list[str] | list[int]:
    """Return a classifier's labels in the order of its scores; empty where the file has none."""
    return class_labels(spec) or []
