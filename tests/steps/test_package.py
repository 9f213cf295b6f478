from __future__ import annotations

import json

import pytest

from mlpipe.errors import RecipeError
from mlpipe.model_files.protobuf import model_pb2
from mlpipe.model_files.read import read_model
from mlpipe.model_files.write import write_canonical
from mlpipe.recipe.schema.convert import Metadata
from mlpipe.steps.package import run
from mlpipe.steps.step import StepRequest, no_progress


@pytest.fixture
def request_for(tmp_path):
    """A function from metadata to the request of a package task for a network in float16."""
    spec = model_pb2().Model(specificationVersion=4)
    spec.description.input.add(name="image").type.doubleType.SetInParent()
    spec.description.output.add(name="Identity").type.doubleType.SetInParent()
    layer = spec.neuralNetwork.layers.add(name="dense")
    layer.innerProduct.inputChannels, layer.innerProduct.outputChannels = 20, 30
    layer.innerProduct.weights.float16Value = bytes(2 * 20 * 30)
    model = write_canonical(spec, tmp_path / "model" / "model.mlmodel")
    (tmp_path / "output").mkdir()

    def make(metadata, **conversion):
        content = {"inputs": {"pixels": "image"}, "outputs": {"scores": "Identity"}, **conversion}
        (model.parent / "conversion.json").write_text(json.dumps(content), encoding="utf-8")
        parameters = {"metadata": None if metadata is None else metadata.model_dump(mode="json")}
        inputs = {"model": model.parent, "conversion": model.parent}
        return StepRequest("r:package:v", parameters, inputs, {}, {}, tmp_path, tmp_path / "output", no_progress)

    return make


@pytest.mark.parametrize("metadata", [None, Metadata()])
def test_without_metadata_the_copy_is_identical(request_for, metadata):
    request = request_for(metadata)
    result = run(request)
    source, target = request.inputs["model"] / "model.mlmodel", request.output / "model.mlmodel"
    assert target.read_bytes() == source.read_bytes()
    assert result.values["size_bytes"] == source.stat().st_size


def test_metadata_is_stamped_under_the_names_of_the_source_or_of_the_model(request_for):
    request = request_for(Metadata(author="A. Author", inputs={"pixels": "in"}, outputs={"Identity": "out"}))
    result = run(request)
    model = read_model(request.output / "model.mlmodel")
    assert model.spec.description.metadata.author == "A. Author"
    assert model.spec.description.input[0].shortDescription == "in"
    assert model.spec.description.output[0].shortDescription == "out"
    assert result.values["size_bytes"] == model.path.stat().st_size
    assert [path.name for path in request.output.iterdir()] == ["model.mlmodel"]


def test_the_size_that_ratios_are_to_is_that_of_the_float32_model(request_for):
    assert run(request_for(None, float32_size_bytes=12345)).values["float32_size_bytes"] == 12345
    (request_for(None).output / "model.mlmodel").unlink()
    values = run(request_for(None)).values
    assert values["float32_size_bytes"] == values["size_bytes"] + 2 * 20 * 30


def test_a_description_of_nothing_is_a_mistake(request_for):
    with pytest.raises(RecipeError, match="describes the input imgae"):
        run(request_for(Metadata(inputs={"imgae": "text"})))
