"""What `mlpipe inspect` says of the interface of Core ML files: images, sizes that vary, classifiers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from mlpipe.cli.main import cli
from mlpipe.model_files.protobuf import model_pb2


@pytest.fixture
def spec() -> Any:
    made = model_pb2().Model(specificationVersion=5)
    image = made.description.input.add(name="photo").type.imageType
    image.width, image.height, image.colorSpace = 16, 12, 30
    array = made.description.input.add(name="vector").type.multiArrayType
    array.shape.extend([1, 8])
    array.dataType = 65568
    for low, high in ((1, 1), (8, 64)):
        size = array.shapeRange.sizeRanges.add()
        size.lowerBound, size.upperBound = low, high
    choice = made.description.input.add(name="choice").type.multiArrayType
    choice.dataType = 131104
    for length in (3, 5):
        choice.enumeratedShapes.shapes.add().shape.append(length)
    made.description.output.add(name="scores").type.dictionaryType.stringKeyType.SetInParent()
    made.description.output.add(name="label").type.stringType.SetInParent()
    made.description.predictedFeatureName, made.description.predictedProbabilitiesName = "label", "scores"
    made.neuralNetworkClassifier.stringClassLabels.vector.extend(["cat", "dog"])
    layer = made.neuralNetworkClassifier.layers.add(name="act", input=["vector"], output=["scores"])
    layer.softmax.SetInParent()
    return made


def test_the_interface_as_the_app_sees_it(spec: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.mlmodel"
    path.write_bytes(spec.SerializeToString())
    result = CliRunner().invoke(cli, ["inspect", str(path)])
    assert result.exit_code == 0, result.output
    lines = {line.strip() for line in result.output.splitlines()}
    assert {
        "input  photo: bgr image [12, 16, 3]",
        "input  vector: float32 [1, 8..64]",
        "input  choice: int32 [3] or [5]",
        "output scores: string -> float64",
        "output label: string",
    } <= lines
