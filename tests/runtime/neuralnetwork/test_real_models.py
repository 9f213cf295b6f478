"""Models that other people made, with the values that other programs measured on them."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mlpipe.runtime.model import load_model

MODELS = Path(os.environ.get("MLPIPE_MODELS", Path(__file__).parents[4] / "shared" / "models"))
pytestmark = [pytest.mark.needs_models, pytest.mark.skipif(not MODELS.is_dir(), reason="NOT RUN: the folder of real models is not there")]
POSE = "Convolutional_Pose_Machine__stage_5_out__0"


def mnist() -> tuple[np.ndarray, np.ndarray]:
    with np.load(MODELS / "samples_mnist" / "mnist_test_0000_0999.npz") as samples:
        return samples["images"], samples["labels"]


def test_simple_mnist_predicts_what_a_numpy_emulation_of_it_predicted() -> None:
    model = load_model(MODELS / "coreml_nn_simplemnist" / "SimpleMnist.mlmodel")
    images, labels = mnist()
    right = [int(model.predict({"input": image})["predictedNumber"]) == label for image, label in zip(images, labels, strict=True)]
    assert sum(right) == 916


def test_simple_mnist_with_the_scale_that_it_should_have(tmp_path: Path) -> None:
    from mlpipe.model_files.read import read_model

    spec = read_model(MODELS / "coreml_nn_simplemnist" / "SimpleMnist.mlmodel").spec
    spec.neuralNetworkClassifier.preprocessing[0].scaler.channelScale = 1 / 255
    fixed = tmp_path / "fixed.mlmodel"
    fixed.write_bytes(spec.SerializeToString())
    model = load_model(fixed)
    images, labels = mnist()
    right = [int(model.predict({"input": image})["predictedNumber"]) == label for image, label in zip(images, labels, strict=True)]
    assert sum(right) == 972


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_pose_model_finds_head_and_neck(precision: str) -> None:
    model = load_model(MODELS / "pose_cpm" / "cpm.mlmodel", precision=precision)
    picture = Image.open(MODELS / "samples_images" / "astronaut.png").convert("RGB").resize((192, 192))
    heat = model.predict({"image__0": picture})[POSE]
    assert heat.shape == (14, 96, 96)
    for part, place, peak in ((0, (0.46, 0.08), 0.69), (1, (0.42, 0.38), 0.63)):
        row, column = divmod(int(heat[part].argmax()), 96)
        assert (round(column / 96, 2), round(row / 96, 2)) == place
        assert abs(float(heat[part].max()) - peak) < 0.005


@pytest.mark.full
def test_pose_model_equals_the_graph_that_it_was_converted_from() -> None:
    import tensorflow as tf

    definition = tf.compat.v1.GraphDef()
    definition.ParseFromString((MODELS / "pose_cpm" / "cpm_frozen.pb").read_bytes())
    graph = tf.Graph()
    with graph.as_default():
        tf.import_graph_def(definition, name="")
    picture = Image.open(MODELS / "samples_images" / "astronaut.png").convert("RGB").resize((192, 192))
    with tf.compat.v1.Session(graph=graph) as session:
        reference = session.run("Convolutional_Pose_Machine/stage_5_out:0", {"image:0": np.asarray(picture, np.float32)[None]})[0]
    heat = load_model(MODELS / "pose_cpm" / "cpm.mlmodel").predict({"image__0": picture})[POSE]
    np.testing.assert_allclose(heat, reference.transpose(2, 0, 1), rtol=0, atol=2e-5)
