"""The real models beside the repository, in both formats, in float32 on the portable runtime against the source's own outputs."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlpipe.errors import ConversionFailed
from mlpipe.recipe.schema.source import Source

MODELS = Path(os.environ.get("MLPIPE_MODELS") or Path(__file__).parents[3] / "shared" / "models")
pytestmark = [pytest.mark.needs_models, pytest.mark.skipif(not MODELS.is_dir(), reason="NOT RUN: the real models are not beside the repository")]


@dataclass(frozen=True)
class Real:
    """A model, what it is called inside, and the range of values that its input has."""

    path: str
    input: str
    output: str
    shape: tuple[int, ...]
    low: float
    high: float
    section: dict[str, Any] = field(default_factory=dict)


DS_CNN_CUT = {"inputs": {"Mfcc": {"shape": [1, 49, 10], "rename": "mfcc"}}, "outputs": {"labels_softmax": {}}}
REAL = {
    "keras_emotion_mini_xception": Real("fer2013_mini_XCEPTION.119-0.65.hdf5", "input_1", "predictions", (1, 48, 48, 1), -1, 1),
    "keras_cifar10_resnet8": Real("pretrainedResnet.h5", "input_1", "dense", (1, 32, 32, 3), 0, 255),
    "keras_mnist_cnn": Real("mnist_cnn.h5", "conv2d_input", "dense_3", (1, 28, 28, 1), 0, 255),
    "keras_mobilenet_v1_05_160": Real("mobilenet_v1_0.5_160.keras", "image", "probs", (1, 160, 160, 3), -1, 1),
    "tf_frozen_mobilenet_v1_025_128": Real("mobilenet_v1_0.25_128_frozen.pb", "image", "Identity", (1, 128, 128, 3), -1, 1),
    "tf_savedmodel_kws_dscnn": Real("kws_ref_model", "input_1", "dense", (1, 49, 10, 1), -20, 20),
    "tf_frozen_kws_dscnn_s": Real("DS_CNN_S.pb", "Mfcc", "labels_softmax", (1, 49, 10), -20, 20, DS_CNN_CUT),
}


def source_of(name: str, path: str, **section: Any) -> Source:
    """Return the source section for one of the models."""
    kind = {"keras": "keras", "tf": "tensorflow", "stn": "tensorflow", "coreml": "coreml"}[name.split("_", maxsplit=1)[0]]
    return Source.model_validate({kind: str(MODELS / name / path), **section})


def smooth(real: Real) -> np.ndarray:
    """Return an input of the model's shape that is smooth, as photos are: noise drives some of the models into saturation."""
    values = np.random.default_rng(0).random(real.shape)
    for axis in range(1, len(real.shape)):
        if real.shape[axis] > 3:
            values = sum(np.roll(values, step, axis) for step in range(-4, 5)) / 9
    values = (values - values.min()) / (values.max() - values.min())
    return (real.low + values * (real.high - real.low)).astype(np.float32)


@pytest.mark.parametrize("to", [pytest.param("neuralnetwork", marks=pytest.mark.full), "mlprogram"])
@pytest.mark.parametrize("name", REAL)
def test_real_models_keep_their_numbers_and_names(name: str, to: str, tools: Any) -> None:
    real = REAL[name]
    source = source_of(name, real.path, **real.section)
    value = smooth(real)
    expected = tools.predict(source, {real.input: value})[real.output]
    assert expected.max() < 0.9999, "a saturated output would hide errors"
    made = tools.check(source, {real.input: value}, to=to)
    assert made.data["outputs"] == {real.output: real.output}
    assert made.data["inputs"] == {real.input: "mfcc" if name == "tf_frozen_kws_dscnn_s" else real.input}


def test_the_string_front_end_must_be_cut_off(tools: Any) -> None:
    source = source_of("tf_frozen_kws_dscnn_s", "DS_CNN_S.pb")
    assert tools.describe(source)["inputs"] == [{"name": "wav_data", "shape": None, "dtype": "string"}]
    with pytest.raises(ConversionFailed, match="Core ML has no string features"):
        tools.convert(source)


def test_a_graph_that_needs_a_newer_network_says_which(tools: Any) -> None:
    source = source_of("stn_cluttered_mnist", "stn_frozen.pb")
    with pytest.raises(ConversionFailed, match="minimum_deployment_target to iOS14"):
        tools.convert(source, to="neuralnetwork", minimum_deployment_target="iOS13")
    made = tools.convert(source, to="neuralnetwork", minimum_deployment_target="iOS14")
    assert made.data["outputs"] == {"Identity": "Identity"}


def test_a_core_ml_classifier_is_taken_as_it_is(tools: Any) -> None:
    source = source_of("coreml_nn_simplemnist", "SimpleMnist.mlmodel")
    assert tools.describe(source)["outputs"] == [{"name": "probs", "shape": [None, 10], "dtype": "float32"}]
    copy = tools.convert(source)
    assert copy.data["classifier"] == {"probabilities": "probs", "predicted": "predictedNumber", "labels": [str(digit) for digit in range(10)]}
    digits = np.load(MODELS / "samples_mnist" / "mnist_test_0000_0999.npz")
    images, labels = (next(digits[key] for key in digits.files if digits[key].ndim == rank) for rank in (3, 1))
    predicted = [int(np.argmax(copy.run({"input": image})["probs"])) for image in images[:50]]
    assert np.mean(np.array(predicted) == labels[:50]) >= 0.85  # 91.6 % on all 1,000
