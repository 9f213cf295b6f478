"""Core ML files as sources: described and copied without coremltools, run by a function that the step gives."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from mlpipe.model_files.read import ModelFile, read_model
from mlpipe.model_files.write import write_canonical
from mlpipe.recipe.schema.convert import Convert
from mlpipe.recipe.schema.source import Source
from mlpipe.sources.coreml_features import image_of, inputs_of, labels_of, outputs_of
from mlpipe.weights.inventory import float32_size_bytes
from mlpipe.weights.program import check_weight_file

Arrays = dict[str, np.ndarray]
Runtime = Callable[[Path, Iterable[Arrays]], Iterator[Arrays]]
"""Runs a Core ML file: (path, feeds) -> outputs."""


def describe(source: Source, path: Path) -> dict[str, Any]:
    """Return the inputs and outputs of the model, for description.json. Errors: ModelFileInvalid, also where the weights are not whole."""
    del source
    model = read_model(path)
    spec = model.spec
    if model.kind == "mlprogram":  # other kinds hold their weights in the file that was just read
        check_weight_file(spec.mlProgram, model.weights_folder)
    inputs, outputs = ([feature.as_dict() for feature in features] for features in (inputs_of(spec), outputs_of(spec)))
    return {"kind": "coreml", "inputs": inputs, "outputs": outputs, "tools": {"coremltools": version("coremltools")}}


def predict(
    source: Source, path: Path, feeds: Iterable[Arrays], progress: Callable[[float, float, str], None], runtime: Runtime | None = None
) -> Iterator[Arrays]:
    """Return what the runtime that the caller gives computes: this part of mlpipe has none of its own."""
    del source
    if runtime is None:
        raise TypeError("a Core ML source needs a runtime")
    progress(0, 1, "loading the Core ML model")
    yield from runtime(path, feeds)


def convert(source: Source, path: Path, convert: Convert | None, output: Path) -> dict[str, Any]:
    """Write a copy with canonical bytes; return the data of conversion.json, which says of names, labels and images what the file says.

    Errors: ModelFileInvalid.
    """
    del source, convert
    model = read_model(path)
    copy = write_canonical(model.spec, output / f"model{path.suffix}", model.weights_folder)
    return _conversion_data(model) | {"float32_size_bytes": float32_size_bytes(read_model(copy))}


def _conversion_data(model: ModelFile) -> dict[str, Any]:
    description = model.spec.description
    predicted, scores = description.predictedFeatureName, description.predictedProbabilitiesName
    inputs = {feature.name: image_of(feature) for feature in description.input}
    outputs = {feature.name: image_of(feature) for feature in description.output}
    return {
        "inputs": {name: name for name in inputs},
        "outputs": {name: name for name in outputs if name != predicted},
        "classifier": {"probabilities": scores, "predicted": predicted, "labels": labels_of(model.spec)} if predicted and scores else None,
        # Such a model is fed the pixels themselves, so that nothing is left to scale.
        "images": {name: {**image, "scale": [1.0] * _channels(image), "bias": [0.0] * _channels(image)} for name, image in inputs.items() if image},
        "image_outputs": {name: {**image, "scale": 1.0, "clip": False} for name, image in outputs.items() if image},
    }


def _channels(image: dict[str, Any]) -> int:
    return 1 if image["color"] == "grayscale" else 3
