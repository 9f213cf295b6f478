"""TensorFlow, imported once, and small real models that several tests read.

It is imported while tests are collected: coremltools converts TensorFlow models only where it could import TensorFlow itself, and other tests of
the same process import coremltools and spare themselves what has not been imported by then.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlpipe.recipe.schema.convert import Convert
from mlpipe.recipe.schema.source import Source
from mlpipe.runtime import load_model
from mlpipe.sources.table import module_of
from mlpipe.steps.step import no_progress

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
logging.disable(logging.WARNING)
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import keras
    import tensorflow as tf  # noqa: F401
logging.disable(logging.NOTSET)
logging.getLogger("coremltools").setLevel(logging.ERROR)

Arrays = Mapping[str, np.ndarray]
FORMATS = ("neuralnetwork", "mlprogram")


def snr_db(reference: np.ndarray, candidate: np.ndarray) -> float:
    """Return the ratio of the reference to the difference, in decibels; inf where there is none."""
    reference, candidate = (np.asarray(value, np.float64) for value in (reference, candidate))
    assert reference.shape == candidate.shape
    noise = float(((reference - candidate) ** 2).sum())
    return float("inf") if noise == 0 else float(10 * np.log10((reference**2).sum() / noise))


@dataclass(frozen=True)
class Made:
    """A converted model on disk."""

    path: Path
    data: dict[str, Any]
    spec: Any

    def run(self, feeds: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Return what the portable runtime computes, feeds and outputs under the Core ML model's names."""
        return load_model(self.path).predict_arrays(feeds)


class SourceTools:
    """Describe, predict and convert a source file, in one line each."""

    snr_db = staticmethod(snr_db)

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.count = 0

    def describe(self, source: Source) -> dict[str, Any]:
        return module_of(source).describe(source, Path(source.location))

    def predict(self, source: Source, feeds: Arrays) -> dict[str, np.ndarray]:
        return next(iter(module_of(source).predict(source, Path(source.location), [dict(feeds)], no_progress)))

    def convert(self, source: Source, **convert: Any) -> Made:
        """Convert; ML Programs in float32 unless asked otherwise, so that nothing but the conversion can lose accuracy."""
        from mlpipe.model_files.read import read_model

        if convert.get("to", "mlprogram") == "mlprogram":
            convert.setdefault("compute_precision", "float32")
        self.count += 1
        output = self.folder / f"made_{self.count}"
        output.mkdir()
        data = module_of(source).convert(source, Path(source.location), Convert.model_validate(convert), output)
        path = next(output.glob("model.*"))
        spec = read_model(path).spec
        if spec.WhichOneof("Type") == "mlProgram":
            (block,) = spec.mlProgram.functions["main"].block_specializations.values()
            assert sorted(block.outputs) == sorted(feature.name for feature in spec.description.output)
        return Made(path, data, spec)

    def check(self, source: Source, feeds: Arrays, *, minimum_snr_db: float = 100.0, **convert: Any) -> Made:
        """Convert, and hold every output of the Core ML model against the source's own."""
        made = self.convert(source, **convert)
        expected = self.predict(source, feeds)
        got = made.run({made.data["inputs"][name]: value for name, value in feeds.items()})
        assert set(made.data["outputs"]) == set(expected)
        for name, value in expected.items():
            assert snr_db(value, got[made.data["outputs"][name]].reshape(value.shape)) >= minimum_snr_db, name
        return made


@pytest.fixture
def tools(tmp_path: Path) -> SourceTools:
    """Describe, predict and convert."""
    return SourceTools(tmp_path)


@pytest.fixture(scope="session")
def keras_file(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Source]:
    """Save a Keras model; return it as a source."""
    folder = tmp_path_factory.mktemp("keras")

    def save(model: Any, name: str = "model.keras", **source: Any) -> Source:
        path = folder / str(len(list(folder.iterdir()))) / name
        path.parent.mkdir()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Keras calls its own HDF5 format legacy
            model.save(path)
        return Source(keras=str(path), **source)

    return save


@pytest.fixture(scope="session")
def small_cnn(keras_file: Callable[..., Source]) -> Source:
    """A convolutional classifier with batch normalisation: image 8 x 8 x 3 -> 4 scores."""
    layers = keras.layers
    keras.utils.set_random_seed(0)
    image = keras.Input((8, 8, 3), name="image")
    hidden = layers.Conv2D(6, 3, padding="same")(image)
    hidden = layers.BatchNormalization()(hidden)
    hidden = layers.DepthwiseConv2D(3, strides=2, padding="same", activation="relu")(hidden)
    hidden = layers.GlobalAveragePooling2D()(hidden)
    model = keras.Model(image, layers.Dense(4, activation="softmax", name="scores")(hidden))
    generator = np.random.default_rng(0)
    model.set_weights([generator.normal(0.4, 0.3, weight.shape) ** 2 for weight in model.get_weights()])
    return keras_file(model)


@pytest.fixture(scope="session")
def image_to_image(keras_file: Callable[..., Source]) -> Source:
    """A network from image to image, of any size: picture h x w x 3 -> styled h x w x 3, values well outside 0..255 too."""
    keras.utils.set_random_seed(1)
    picture = keras.Input((None, None, 3), name="picture")
    return keras_file(keras.Model(picture, keras.layers.Conv2D(3, 3, padding="same", name="styled")(picture)))
