from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf  # noqa: F401 (before others import coremltools, which converts only where TensorFlow came first)

from mlpipe.errors import RecipeError
from mlpipe.model_files.protobuf import model_pb2
from mlpipe.model_files.read import read_model
from mlpipe.recipe.schema.convert import Convert
from mlpipe.steps import convert as convert_step
from mlpipe.steps import source as source_step
from mlpipe.steps.step import StepRequest, StepResult

DIGITS = Path(__file__).parents[2] / "recipes" / "digits"


def run(folder: Path, model: Path, section: dict[str, Any], convert: dict[str, Any] | None, labels: Path | None = None) -> tuple[StepResult, Path]:
    """Run the steps `source` and `convert` as the engine does; return what the latter gives, and its artifact."""
    source, output = folder / "source", folder / "convert"
    source.mkdir()
    output.mkdir()
    source_step.run(StepRequest("r:source", {"source": section}, {}, {}, {"model": (model,)}, folder, source))
    parameters = {"source": section, "convert": convert and Convert.model_validate(convert).model_dump(mode="json", exclude={"metadata"})}
    files = {} if labels is None else {"labels": (labels,)}
    return convert_step.run(StepRequest("r:convert", parameters, {"source": source}, {}, files, folder, output)), output


@pytest.mark.parametrize(("to", "name"), [("neuralnetwork", "model.mlmodel"), ("mlprogram", "model.mlpackage")])
def test_a_keras_model_becomes_a_classifier_with_the_labels_of_a_file(to: str, name: str, tmp_path: Path) -> None:
    labels = tmp_path / "labels.txt"
    labels.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(f"Ziffer {digit}" for digit in range(10)).encode() + b"\r\n\n")
    declared = {"to": to, "inputs": {"image": {"image": {"color": "grayscale", "scale": 0.0625}}}, "classifier": {"class_labels": "labels.txt"}}
    result, output = run(tmp_path, DIGITS / "digits.keras", {"keras": "digits.keras"}, declared, labels)
    conversion = json.loads((output / "conversion.json").read_text())
    assert result.values == {"conversion": conversion}
    assert conversion["classifier"] == {"probabilities": "probabilities", "predicted": "classLabel", "labels": [f"Ziffer {digit}" for digit in range(10)]}
    assert conversion["images"]["image"]["scale"] == [0.0625]
    assert sorted(path.name for path in output.iterdir()) == ["conversion.json", name]
    assert str(tmp_path) not in (output / "conversion.json").read_text()
    spec = read_model(output / name).spec
    assert spec.description.predictedProbabilitiesName == "probabilities"
    assert "com.github.apple.coremltools.conversion_date" not in spec.description.metadata.userDefined


@pytest.mark.parametrize(("content", "message"), [("", "the file is empty"), ("a\n\nb\n", "line 2 is empty"), (b"n\xf6in", "not UTF-8 text")])
def test_a_file_of_labels_with_gaps_or_in_another_encoding_is_refused(content: str | bytes, message: str, tmp_path: Path) -> None:
    labels = tmp_path / "labels.txt"
    labels.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(RecipeError, match=message):
        run(tmp_path, DIGITS / "digits.keras", {"keras": "digits.keras"}, {"classifier": {"class_labels": "labels.txt"}}, labels)


def test_a_core_ml_file_is_taken_as_it_is(tmp_path: Path) -> None:
    spec = model_pb2().Model(specificationVersion=4)
    spec.description.input.add(name="x").type.multiArrayType.shape.extend([2])
    spec.neuralNetwork.SetInParent()
    model = tmp_path / "Model.mlmodel"
    model.write_bytes(spec.SerializeToString())
    result, output = run(tmp_path, model, {"coreml": "Model.mlmodel"}, None)
    assert read_model(output / "model.mlmodel").spec == spec
    assert result.values["conversion"]["inputs"] == {"x": "x"}
