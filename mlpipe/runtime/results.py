"""What the graph computed, as the model's features: arrays, images, labels and dictionaries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mlpipe.runtime.features import Feature
from mlpipe.runtime.lowered import Classifier
from mlpipe.runtime.precision import half_grid


def as_features(outputs: Sequence[Feature], values: Mapping[str, np.ndarray], classifier: Classifier | None) -> dict[str, Any]:
    """Return what coremltools' `MLModel.predict` returns.

    Float16 arrays come as float32; a tensor without dimensions as an array of one element; images as Pillow images, colour ones RGBA with
    full alpha; a classifier's label and dictionary as Python values.
    """
    results: dict[str, Any] = {}
    for feature in outputs:
        if classifier and feature.name == classifier.predicted:
            results[feature.name] = classifier.labels[int(np.argmax(values[classifier.scores]))]
        elif classifier and feature.name == classifier.probabilities:
            results[feature.name] = dict(zip(classifier.labels, map(float, values[classifier.scores].reshape(-1)), strict=True))
        elif feature.kind == "image":
            results[feature.name] = _image(feature, values[feature.name])
        elif feature.kind in ("int64", "double"):
            number = values[feature.name].reshape(-1)[0]
            results[feature.name] = int(number) if feature.kind == "int64" else float(number)
        else:
            results[feature.name] = shown_array(feature, values[feature.name])
    return results


def as_arrays(outputs: Sequence[Feature], values: Mapping[str, np.ndarray], classifier: Classifier | None) -> dict[str, np.ndarray]:
    """Return every numeric output as an array: scores of a classifier as a vector in label order, images as they were computed, unclipped.

    The label itself is left out, unless it is all that the classifier declares: then the scores stand under its name.
    """
    results: dict[str, np.ndarray] = {}
    for feature in outputs:
        if classifier and feature.name in (classifier.predicted, classifier.probabilities):
            if feature.name == (classifier.probabilities or classifier.predicted):
                results[feature.name] = values[classifier.scores].reshape(-1)
        else:
            results[feature.name] = shown_array(feature, values[feature.name])
    return results


def shown_array(feature: Feature, value: np.ndarray) -> np.ndarray:
    """Return an array in the type that coremltools gives for the feature, with a dimension at least."""
    dtype = np.dtype(np.float32 if feature.dtype in ("", "float16") else feature.dtype)
    if dtype.kind == "i" and value.dtype.kind == "f":
        value = np.trunc(value)
    return np.atleast_1d(value.astype(dtype, copy=False))


def _image(feature: Feature, value: np.ndarray) -> Any:
    from PIL import Image

    planes = value.reshape(value.shape[-3:])
    if feature.color == "grayscale_float16":
        return Image.fromarray(half_grid(planes[0]))
    pixels = np.rint(np.clip(np.nan_to_num(planes, nan=0.0), 0, 255)).astype(np.uint8)
    if feature.color == "grayscale":
        return Image.fromarray(pixels[0])
    if feature.color == "bgr":
        pixels = pixels[::-1]
    alpha = np.full((1, *pixels.shape[1:]), 255, np.uint8)
    return Image.fromarray(np.ascontiguousarray(np.concatenate([pixels, alpha]).transpose(1, 2, 0)))
