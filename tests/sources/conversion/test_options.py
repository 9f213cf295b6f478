"""What `convert:` can ask for beyond images: classifiers, names, types, precision."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from mlpipe.errors import ConversionFailed, RecipeError
from mlpipe.recipe.schema.source import Source

FORMATS = ("neuralnetwork", "mlprogram")
IMAGE = np.random.default_rng(2).normal(0, 1, (1, 8, 8, 3)).astype(np.float32)
FLOAT32, FLOAT16, INT32 = 65568, 65552, 131104


@pytest.mark.parametrize("to", FORMATS)
@pytest.mark.parametrize("labels", [["cat", "dog", "owl", "yak"], [7, 3, 5, 1]])
def test_a_classifier_keeps_the_names_of_the_source(labels: list[str] | list[int], to: str, tools: Any, small_cnn: Source) -> None:
    made = tools.convert(small_cnn, to=to, classifier={"class_labels": labels, "predicted_feature_name": "animal"})
    expected = tools.predict(small_cnn, {"image": IMAGE})["scores"][0]
    np.testing.assert_allclose(made.run({"image": IMAGE})["scores"].ravel(), expected, rtol=1e-4)
    assert made.data["classifier"] == {"probabilities": "scores", "predicted": "animal", "labels": labels}
    assert made.data["outputs"] == {"scores": "scores"}
    description = made.spec.description
    assert {feature.name for feature in description.output} == {"scores", "animal"}
    assert (description.predictedFeatureName, description.predictedProbabilitiesName) == ("animal", "scores")
    again = tools.describe(Source(coreml=str(made.path)))
    assert again["outputs"] == [{"name": "scores", "shape": [None, 4], "dtype": "float32"}]
    copied = tools.convert(Source(coreml=str(made.path)))
    assert copied.data["classifier"] == made.data["classifier"]


def test_a_classifier_with_a_second_output(tools: Any, keras_file: Callable[..., Source]) -> None:
    keras.utils.set_random_seed(8)
    vector = keras.Input((3,), name="vector")
    hidden = keras.layers.Dense(5, activation="relu", name="hidden")(vector)
    source = keras_file(keras.Model(vector, [hidden, keras.layers.Dense(2, activation="softmax", name="scores")(hidden)]))
    value = np.array([[1.0, -2.0, 0.5]], np.float32)
    expected = tools.predict(source, {"vector": value})
    for to in FORMATS:
        with pytest.raises(RecipeError, match=r"classifier\.probabilities.*one of: hidden, scores"):
            tools.convert(source, to=to, classifier={"class_labels": ["no", "yes"]})
        made = tools.convert(source, to=to, classifier={"class_labels": ["no", "yes"], "probabilities": "scores"}, outputs={"hidden": {"rename": "features"}})
        got = made.run({"vector": value})
        np.testing.assert_allclose(got["features"].ravel(), expected["hidden"][0], rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(got["scores"].ravel(), expected["scores"][0], rtol=1e-4)
        types = {feature.name: feature.type.multiArrayType.dataType for feature in made.spec.description.output if feature.name == "features"}
        assert types == {"features": FLOAT32}


@pytest.mark.parametrize("to", FORMATS)
def test_renamed_features(to: str, tools: Any, small_cnn: Source) -> None:
    made = tools.check(small_cnn, {"image": IMAGE}, to=to, inputs={"image": {"rename": "scores"}}, outputs={"scores": {"rename": "image"}})
    assert made.data["inputs"] == {"image": "scores"}
    assert made.data["outputs"] == {"scores": "image"}


def test_types_of_features(tools: Any, small_cnn: Source) -> None:
    made = tools.convert(small_cnn, inputs={"image": {"dtype": "float16"}}, outputs={"scores": {"dtype": "float16"}})
    description = made.spec.description
    assert description.input[0].type.multiArrayType.dataType == FLOAT16
    assert description.output[0].type.multiArrayType.dataType == FLOAT16
    default = tools.convert(small_cnn, compute_precision="float16", minimum_deployment_target="iOS17").spec.description
    assert default.input[0].type.multiArrayType.dataType == FLOAT32
    assert default.output[0].type.multiArrayType.dataType == FLOAT32


@pytest.mark.parametrize("to", FORMATS)
def test_integers_and_booleans(to: str, tools: Any, keras_file: Callable[..., Source]) -> None:
    flags, numbers = keras.Input((3,), dtype="bool", name="flags"), keras.Input((3,), dtype="int64", name="numbers")
    kept = keras.ops.where(flags, numbers, numbers * 2)
    source = keras_file(keras.Model([flags, numbers], {"kept": kept, "large": kept > 5}))
    feeds = {"flags": np.array([[True, False, True]]), "numbers": np.array([[2, 3, 9]], np.int64)}
    assert tools.predict(source, feeds)["large"].dtype == np.bool_
    made = tools.convert(source, to=to)
    assert {feature.type.multiArrayType.dataType for feature in (*made.spec.description.input, *made.spec.description.output)} == {INT32}
    got = made.run({"flags": feeds["flags"].astype(np.int32), "numbers": feeds["numbers"].astype(np.int32)})
    np.testing.assert_array_equal(got["kept"].ravel(), [2, 6, 9])
    np.testing.assert_array_equal(got["large"].ravel(), [0, 1, 1])


def operation_types(spec: Any) -> dict[str, int]:
    """Return the type of the first output of each operation that is no constant, by operation type."""
    block = next(iter(spec.mlProgram.functions["main"].block_specializations.values()))
    return {operation.type: operation.outputs[0].type.tensorType.dataType for operation in block.operations if operation.type != "const"}


def test_float16_is_the_default_and_exceptions_stay_float32(tools: Any, small_cnn: Source) -> None:
    half, full = 10, 11
    everything = operation_types(tools.convert(small_cnn, compute_precision=None).spec)
    assert (everything["softmax"], everything["conv"]) == (half, half)
    for rule in ({"types": ["softmax"]}, {"names": ["*Softmax*"]}):
        types = operation_types(tools.convert(small_cnn, compute_precision="float16", keep_float32=rule).spec)
        assert (types["softmax"], types["conv"]) == (full, half)
    with pytest.raises(RecipeError, match=r"keep_float32\.types: no operation matches 'softmaxx'.*near: softmax"):
        tools.convert(small_cnn, compute_precision="float16", keep_float32={"types": ["softmaxx"]})


@pytest.mark.parametrize("to", FORMATS)
def test_the_size_with_float32_weights(to: str, tools: Any, small_cnn: Source) -> None:
    def size(path: Path) -> int:
        return sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) if path.is_dir() else path.stat().st_size

    full = tools.convert(small_cnn, to=to)
    assert full.data["float32_size_bytes"] == size(full.path)
    if to == "mlprogram":
        half = tools.convert(small_cnn, to=to, compute_precision="float16")
        weights = "Data/com.apple.CoreML/weights/weight.bin"
        grown = half.data["float32_size_bytes"] - size(half.path)
        assert grown == pytest.approx((full.path / weights).stat().st_size - (half.path / weights).stat().st_size, abs=64 * 8)  # but for alignment
        assert grown > 0


MISTAKES: list[tuple[dict[str, Any], str]] = [
    ({"inputs": {"picture": {}}}, r"convert\.inputs\.picture: the source has no such input; its inputs are: image"),
    ({"outputs": {"probabilities": {}}}, r"convert\.outputs\.probabilities: the source has no such output; its outputs are: scores"),
    ({"inputs": {"image": {"shape": [1, 9, 8, 3]}}}, r"shape \[1, 9, 8, 3\] does not fit the source's \[None, 8, 8, 3\]"),
    ({"inputs": {"image": {"shape": [1, 8, {"min": 4, "max": 8}, 3]}}}, r"shape \[1, 8, '4..8', 3\] does not fit"),
    ({"inputs": {"image": {"enumerated_shapes": [[1, 8, 8, 3], [1, 4, 4, 3]]}}}, r"shape \[1, 4, 4, 3\] does not fit the source's \[None, 8, 8, 3\]"),
    ({"inputs": {"image": {"image": {"color": "grayscale"}}}}, "has no axis of 1 channel"),
    ({"inputs": {"image": {"rename": "my.image"}}}, r"'my\.image' is no name for an ML Program .*call it my_image"),
    ({"inputs": {"image": {"rename": "same"}}, "outputs": {"scores": {"rename": "same"}}}, "two features of the Core ML model would be called same"),
    ({"outputs": {"scores": {"image": {}}}}, r"shape \[None, 4\] has no axis of 3"),
    ({"classifier": {"class_labels": ["a", "b", "c"]}}, "3 labels for 4 scores in output scores"),
    ({"classifier": {"class_labels": ["a", "b", "b", "a"]}}, "a, b stands there twice"),
    ({"classifier": {"class_labels": ["a", "b", "c", "d"], "probabilities": "other"}}, "say which output holds the scores; one of: scores"),
    ({"to": "neuralnetwork", "outputs": {"scores": {"dtype": "float16"}}}, "a NeuralNetwork has no float16 features"),
    ({"to": "neuralnetwork", "compute_precision": "float16"}, "does not state a compute precision"),
    ({"compute_precision": "float32", "keep_float32": {"types": ["conv"]}}, "float32 already"),
    ({"minimum_deployment_target": "iOS12"}, "there is no target iOS12"),
]


@pytest.mark.parametrize(("convert", "message"), MISTAKES, ids=[message[:40] for _, message in MISTAKES])
def test_mistakes_are_said_before_anything_is_converted(convert: dict[str, Any], message: str, tools: Any, small_cnn: Source) -> None:
    with pytest.raises(RecipeError, match=message):
        tools.convert(small_cnn, **convert)


def test_an_older_format_than_the_operations_need_names_the_target(tools: Any, keras_file: Callable[..., Source]) -> None:
    sequence = keras.Sequential([keras.Input((4, 2)), keras.layers.GRU(2)])
    with pytest.raises(ConversionFailed, match=r"set convert\.minimum_deployment_target to iOS14 or later"):
        tools.convert(keras_file(sequence), to="neuralnetwork", minimum_deployment_target="iOS13")
