"""Pipelines: what flows from stage to stage, nesting, batches, and what they refuse."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlpipe.errors import InvalidInput, NotExecutable
from mlpipe.model_files.protobuf import model_pb2
from mlpipe.runtime import RuntimeModel, load_model, open_model

DOUBLE, FLOAT32 = 65600, 65568


def array(feature: Any, name: str, *shape: int, dtype: int = DOUBLE) -> None:
    feature.name = name
    feature.type.multiArrayType.dataType = dtype
    feature.type.multiArrayType.shape.extend(shape)


def scaler(given: str, output: str, shift: float, scale: float, size: int = 2) -> Any:
    spec = model_pb2().Model(specificationVersion=1)
    array(spec.description.input.add(), given, size)
    array(spec.description.output.add(), output, size)
    spec.scaler.shiftValue.append(shift)
    spec.scaler.scaleValue.append(scale)
    return spec


def relu(given: str, output: str, shape: tuple[int, ...] = (2,)) -> Any:
    spec = model_pb2().Model(specificationVersion=4)
    array(spec.description.input.add(), given, *shape, dtype=FLOAT32)
    array(spec.description.output.add(), output, dtype=FLOAT32)
    spec.neuralNetwork.arrayInputShapeMapping = 1
    spec.neuralNetwork.layers.add(name="relu", input=[given], output=[output]).activation.ReLU.SetInParent()
    return spec


def linear_classifier(given: str) -> Any:
    spec = model_pb2().Model(specificationVersion=1)
    array(spec.description.input.add(), given, 2)
    spec.description.output.add(name="label").type.stringType.SetInParent()
    spec.description.output.add(name="p").type.dictionaryType.stringKeyType.SetInParent()
    spec.description.predictedFeatureName, spec.description.predictedProbabilitiesName = "label", "p"
    spec.glmClassifier.weights.add().value.extend([1.0, -1.0])
    spec.glmClassifier.offset.append(0.5)
    spec.glmClassifier.stringClassLabels.vector.extend(["no", "yes"])
    return spec


def pipeline(*stages: Any, outputs: tuple[str, ...], kind: str = "pipeline") -> Any:
    spec = model_pb2().Model(specificationVersion=4)
    spec.description.input.extend(stages[0].description.input)
    for stage in stages:
        spec.description.output.extend(output for output in stage.description.output if output.name in outputs)
        if kind == "pipelineClassifier" and stage.description.predictedFeatureName:
            spec.description.predictedFeatureName = stage.description.predictedFeatureName
            spec.description.predictedProbabilitiesName = stage.description.predictedProbabilitiesName
    message = getattr(spec, kind)
    (message if kind == "pipeline" else message.pipeline).models.extend(stages)
    return spec


Save = Callable[[Any], Path]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    def write(spec: Any) -> Path:
        path = tmp_path / "Model.mlmodel"
        path.write_bytes(spec.SerializeToString())
        return path

    return write


def test_every_stage_sees_what_was_fed_and_computed_before_it(save: Save) -> None:
    spec = pipeline(scaler("x", "a", -1.0, 2.0), relu("a", "b"), scaler("b", "c", 0.5, 1.0), outputs=("a", "c"))
    model = load_model(save(spec))
    result = model.predict({"x": [0.25, 3.0]})
    assert {name: value.tolist() for name, value in result.items()} == {"a": [-1.5, 4.0], "c": [0.5, 4.5]}
    assert [value.dtype for value in result.values()] == [np.float64, np.float64]


@pytest.mark.parametrize("kind", ["pipelineClassifier", "pipeline"])
def test_a_classifier_at_the_end(save: Save, kind: str) -> None:
    model = load_model(save(pipeline(scaler("x", "a", 0.0, 2.0), linear_classifier("a"), outputs=("label", "p"), kind=kind)))
    yes = 1 / (1 + np.exp(-(2.0 - 0.5 + 0.5)))
    result = model.predict({"x": [1.0, 0.25]})
    assert result["label"] == "yes"
    assert result["p"] == {"no": pytest.approx(1 - yes, rel=1e-12), "yes": pytest.approx(yes, rel=1e-12)}
    np.testing.assert_allclose(model.predict_arrays({"x": [1.0, 0.25]})["p"], [1 - yes, yes], rtol=1e-12)


def test_a_pipeline_in_a_pipeline(save: Save) -> None:
    inner = pipeline(scaler("a", "b", 1.0, 1.0), relu("b", "c"), outputs=("c",))
    model = load_model(save(pipeline(scaler("x", "a", 0.0, 3.0), inner, outputs=("c",), kind="pipelineRegressor")))
    assert model.predict({"x": [1.0, -1.0]})["c"].tolist() == [4.0, 0.0]


def test_several_feeds(save: Save) -> None:
    model = load_model(save(pipeline(scaler("x", "a", 0.0, 2.0), linear_classifier("a"), outputs=("label", "a"))))
    results = model.predict([{"x": [1.0, 0.0]}, {"x": [0.0, 1.0]}])
    assert [result["label"] for result in results] == ["yes", "no"]
    classic = load_model(save(linear_classifier("x")))
    assert [result["label"] for result in classic.predict([{"x": [1.0, 0.0]}, {"x": [0.0, 1.0]}])] == ["yes", "no"]


def test_dimensions_of_one_between_stages_do_not_matter(save: Save) -> None:
    model = load_model(save(pipeline(scaler("x", "a", 0.0, 1.0), relu("a", "b", (1, 1, 2, 1)), outputs=("b",))))
    assert model.predict({"x": [1.0, -2.0]})["b"].reshape(-1).tolist() == [1.0, 0.0]
    with pytest.raises(InvalidInput, match="stage 2 of the pipeline: input 'a' does not fit"):
        load_model(save(pipeline(scaler("x", "a", 0.0, 1.0), relu("a", "b", (1, 3)), outputs=("b",)))).predict({"x": [1.0, -2.0]})


def test_images_between_stages(save: Save) -> None:
    """The first network brightens an image and gives an image, the second takes it: pixels end at 255 in between."""

    def network(given: str, output: str, scale: float, *, image_out: bool) -> Any:
        spec = model_pb2().Model(specificationVersion=4)
        features = [spec.description.input.add(name=given), spec.description.output.add(name=output)]
        for feature in features[: 2 if image_out else 1]:
            feature.type.imageType.width, feature.type.imageType.height, feature.type.imageType.colorSpace = 4, 3, 20
        if not image_out:
            array(features[1], output, dtype=FLOAT32)
            features[1].name = output
        spec.neuralNetwork.imageInputShapeMapping = 1
        spec.neuralNetwork.layers.add(name="scale", input=[given], output=[output]).activation.linear.alpha = scale
        return spec

    model = load_model(save(pipeline(network("x", "brighter", 2.0, image_out=True), network("brighter", "y", 1.0, image_out=False), outputs=("y",))))
    pixels = np.random.default_rng(0).integers(0, 256, (3, 4, 3), np.uint8)
    expected = np.minimum(pixels.astype(np.float32) * 2, 255).transpose(2, 0, 1)
    np.testing.assert_array_equal(model.predict({"x": pixels})["y"].reshape(3, 3, 4), expected)


def unknown() -> Any:
    spec = scaler("a", "b", 0.0, 1.0)
    spec.wordTagger.SetInParent()
    return spec


def test_every_stage_that_cannot_be_executed_is_named(save: Save) -> None:
    broken = relu("b", "c")
    broken.neuralNetwork.layers.add(name="mine", input=["b"], output=["d"]).custom.className = "Mine"
    path = save(pipeline(scaler("x", "a", 0.0, 1.0), unknown(), broken, outputs=("c",)))
    assert [layer.type for layer in open_model(path).unsupported()] == ["wordTagger", "custom"]
    with pytest.raises(NotExecutable, match=r"2 layers: wordTagger .*; custom 'mine'"):
        load_model(path)


def refused(model: RuntimeModel, feed: dict[str, Any]) -> str:
    with pytest.raises(InvalidInput) as raised:
        model.predict(feed)
    return f"{raised.value.what}; {raised.value.why}"


def test_what_is_fed_must_fit(save: Save) -> None:
    model = load_model(save(pipeline(scaler("x", "a", 0.0, 1.0), relu("a", "b"), outputs=("b",))))
    assert "'x' is missing" in refused(model, {})
    assert "no input 'a'" in refused(model, {"x": [1.0, 2.0], "a": [1.0, 2.0]})
    assert "stage 1 of the pipeline: input 'x' does not fit" in refused(model, {"x": [1.0]})


def test_an_output_that_no_stage_computes(save: Save) -> None:
    spec = pipeline(scaler("x", "a", 0.0, 1.0), outputs=("a",))
    array(spec.description.output.add(), "z", 2)
    with pytest.raises(NotExecutable, match="no stage of the pipeline computes the output 'z'"):
        load_model(save(spec)).predict({"x": [1.0, 2.0]})


def test_a_pipeline_without_stages(save: Save) -> None:
    spec = pipeline(scaler("x", "a", 0.0, 1.0), outputs=("a",))
    del spec.pipeline.models[:]
    with pytest.raises(NotExecutable, match="no models"):
        load_model(save(spec))


def test_there_is_nothing_to_tap(save: Save) -> None:
    for spec in (pipeline(scaler("x", "a", 0.0, 1.0), outputs=("a",)), scaler("x", "a", 0.0, 1.0)):
        model = load_model(save(spec))
        assert model.layers == ()
        with pytest.raises(InvalidInput, match="to tap"):
            model.taps(["a"])


WORDS = {"great": "Pos", "excellent": "Pos", "wonderful": "Pos", "bad": "Neg", "worst": "Neg", "boring": "Neg"}


@pytest.mark.needs_models
@pytest.mark.parametrize("word", WORDS)
def test_the_sentiment_of_words(models: Path, word: str) -> None:
    model = load_model(models / "coreml_pipeline_sentiment" / "SentimentPolarity.mlmodel")
    result = model.predict({"input": {word: 1.0}})
    assert result["classLabel"] == WORDS[word]
    assert sum(result["classProbability"].values()) == pytest.approx(1.0)
