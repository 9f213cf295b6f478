from __future__ import annotations

import json

import numpy as np
import pytest

from mlpipe.errors import QuantizationFailed
from mlpipe.model_files.protobuf import model_pb2
from mlpipe.model_files.read import read_model
from mlpipe.model_files.size import size_bytes
from mlpipe.model_files.write import write_canonical
from mlpipe.quantization.selfcheck import snr_db
from mlpipe.recipe.schema.quantize import QuantizeStep
from mlpipe.steps.quantize import run
from mlpipe.steps.step import StepRequest
from mlpipe.weights.inventory import stored_weights


@pytest.fixture
def request_for(tmp_path):
    """A function from steps to the request of a quantize task, whose input is a network of two dense layers."""
    spec = model_pb2().Model(specificationVersion=4)
    generator = np.random.default_rng(3)
    for name, outputs, inputs in (("first", 64, 96), ("second", 10, 64)):
        layer = spec.neuralNetwork.layers.add(name=name)
        layer.innerProduct.inputChannels, layer.innerProduct.outputChannels, layer.innerProduct.hasBias = inputs, outputs, True
        layer.innerProduct.weights.floatValue.extend(generator.normal(size=inputs * outputs))
        layer.innerProduct.bias.floatValue.extend(generator.normal(size=outputs))
    model = write_canonical(spec, tmp_path / "converted" / "model.mlmodel")
    output, folder = tmp_path / "output", tmp_path / "recipe"
    output.mkdir()
    folder.mkdir()

    def make(*steps, progress=lambda *_: None):
        parameters = json.loads(json.dumps({"steps": [QuantizeStep(**step).model_dump(mode="json") for step in steps]}))
        return StepRequest("r:quantize:v", parameters, {"model": model.parent}, {}, {}, folder, output, progress)

    return make


def test_the_artifact_is_a_model_and_a_record_of_each_weight(request_for):
    request = request_for({"method": "linear", "bits": 4})
    result = run(request)
    assert sorted(path.name for path in request.output.iterdir()) == ["model.mlmodel", "weights.json"]
    records = json.loads((request.output / "weights.json").read_text(encoding="utf-8"))
    original = {weight.name: weight for weight in stored_weights(read_model(request.inputs["model"] / "model.mlmodel"))}
    written = {weight.name: weight for weight in stored_weights(read_model(request.output / "model.mlmodel"))}
    assert [record["name"] for record in records] == list(written) == ["first.weights", "first.bias", "second.weights", "second.bias"]
    for record in records:
        assert set(record) == {"name", "shape", "elements", "requested_bits", "stored_bits", "bytes", "snr_db", "bound_db", "skipped"}
        assert record["requested_bits"] == 4
        snr = snr_db(original[record["name"]].values(), written[record["name"]].values())
        assert record["snr_db"] == ("inf" if record["skipped"] else pytest.approx(snr))
    assert records[0]["shape"] == [64, 96]
    assert records[0]["bytes"] == 64 * 96 // 2 + 64 * 8
    summary = result.values["weights"]
    assert (summary["count"], summary["compressed"], summary["skipped"]) == (4, 2, 2)
    assert summary["worst"]["snr_db"] == min(record["snr_db"] for record in records if record["skipped"] is None)
    assert summary["bytes"] == sum(record["bytes"] for record in records) < size_bytes(request.output / "model.mlmodel")
    assert 4 < summary["average_bits"] < 6
    json.dumps(result.values, allow_nan=False)


def test_layers_that_were_skipped_are_told(request_for):
    result = run(request_for({"method": "kmeans", "bits": 8, "skip": ["second"]}))
    assert result.log_notes == ("second.weights stayed as it was: it is listed under skip",)


def test_a_users_function_is_looked_up_beside_the_recipe(request_for):
    request = request_for({"method": "lut", "bits": 2, "function": "tables.py:table"})
    (request.folder / "tables.py").write_text("def table(weights, bits, name):\n    return [-1.5, -0.5, 0.5, 1.5]\n", encoding="utf-8")
    run(request)
    values = next(stored_weights(read_model(request.output / "model.mlmodel"))).values()
    assert set(np.unique(values)) == {-1.5, -0.5, 0.5, 1.5}


def test_progress_names_each_weight(request_for):
    seen = []
    run(request_for({"method": "float16"}, {"method": "linear", "bits": 8}, progress=lambda *state: seen.append(state)))
    assert seen[0] == (0, 2, "float16: first.weights")
    assert seen[4] == (1, 2, "linear 8 bits: first.weights")
    assert seen[-1] == (2, 2, "checked")
    assert [done for done, _, _ in seen] == sorted(done for done, _, _ in seen)


def test_a_failed_step_leaves_no_model(request_for):
    request = request_for({"method": "linear", "bits": 2, "minimum_snr_db": 60})
    with pytest.raises(QuantizationFailed, match="worse than their bound"):
        run(request)
    assert not (request.output / "weights.json").exists()


@pytest.mark.parametrize("step", [{"method": "kmeans", "bits": 8}, {"method": "kmeans", "bits": 4}, {"method": "linear", "bits": 8}])
def test_a_tiny_model_is_compressed_as_asked_and_says_that_it_gained_nothing(request_for, step):
    request = request_for(step)
    file = request.inputs["model"] / "model.mlmodel"
    spec = read_model(file).spec
    del spec.neuralNetwork.layers[:]
    layer = spec.neuralNetwork.layers.add(name="only")
    layer.innerProduct.inputChannels, layer.innerProduct.outputChannels = 2, 3
    layer.innerProduct.weights.floatValue.extend([1.0, -2.0, 0.5, 0.25, 3.0, -1.0])
    write_canonical(spec, file)
    result = run(request)
    (record,) = json.loads((request.output / "weights.json").read_text(encoding="utf-8"))
    assert (record["stored_bits"], record["skipped"]) == (step["bits"], None)
    assert record["snr_db"] == "inf" or record["snr_db"] > 40
    (note,) = result.log_notes
    assert "no smaller" in note
