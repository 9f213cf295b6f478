from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlpipe.model_files.protobuf import model_pb2
from mlpipe.samples.predictions import PredictionWriter
from mlpipe.steps.step import StepRequest


@pytest.fixture
def step_request(tmp_path: Path) -> Callable[..., StepRequest]:
    """A request with an empty output folder of its own."""

    def make(name: str, **fields: Any) -> StepRequest:
        output = tmp_path / "outputs" / name
        output.mkdir(parents=True)
        complete = {"parameters": {}, "inputs": {}, "values": {}, "files": {}, **fields}
        return StepRequest(task=f"demo:{name}", folder=tmp_path, output=output, **complete)

    return make


@pytest.fixture
def predictions(tmp_path: Path) -> Callable[..., Path]:
    """A folder of outputs: rows are sample -> output -> array."""

    def make(name: str, rows: dict[str, dict[str, np.ndarray]], errors: dict[str, str] | None = None, **extra: Any) -> Path:
        folder = tmp_path / "predictions" / name
        folder.mkdir(parents=True)
        writer = PredictionWriter(folder)
        for sample, outputs in rows.items():
            writer.add(sample, outputs)
        for sample, message in (errors or {}).items():
            writer.fail(sample, message)
        writer.close(**{"classifier": None, "image_outputs": {}, **extra})
        return folder

    return make


@pytest.fixture
def dense_model() -> Callable[..., Any]:
    """A NeuralNetwork that multiplies its input, an array or a gray image, by a matrix."""

    def make(path: Path, weights: np.ndarray, image: tuple[int, int] | None = None) -> None:
        spec = model_pb2().Model()
        spec.specificationVersion = 4
        features, scores = spec.description.input.add(name="x"), spec.description.output.add(name="y")
        scores.type.multiArrayType.dataType = 65568
        network = spec.neuralNetwork
        network.arrayInputShapeMapping = 1
        flat = "x"
        if image is None:
            features.type.multiArrayType.shape.extend([1, weights.shape[1]])
            features.type.multiArrayType.dataType = 65568
        else:
            features.type.imageType.height, features.type.imageType.width = image
            features.type.imageType.colorSpace = 10
            network.imageInputShapeMapping = 1
            flatten = network.layers.add(name="flatten", input=["x"], output=["flat"])
            flatten.flattenTo2D.axis = 1
            flat = "flat"
        dense = network.layers.add(name="dense", input=[flat], output=["y"])
        dense.innerProduct.outputChannels, dense.innerProduct.inputChannels = weights.shape
        dense.innerProduct.weights.floatValue.extend(weights.ravel().tolist())
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(spec.SerializeToString())

    return make
