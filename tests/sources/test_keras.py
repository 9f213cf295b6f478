from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf

from mlpipe.errors import SourceUnreadable, UserCodeFailed
from mlpipe.recipe.schema.convert import Convert
from mlpipe.recipe.schema.source import Source
from mlpipe.sources import keras as keras_source
from mlpipe.sources.conversion.interface import plan_interface
from mlpipe.sources.conversion.trace import trace

FORMATS = ("neuralnetwork", "mlprogram")
layers = keras.layers


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 1, shape).astype(np.float32)


def several() -> keras.Model:
    """Three inputs of two types, two outputs in a dictionary whose keys are not in the order in which they were made."""
    keras.utils.set_random_seed(3)
    vector, image = keras.Input((4,), name="vector"), keras.Input((8, 8, 3), name="image")
    words = keras.Input((5,), dtype="int32", name="words")
    parts = [vector, layers.GlobalAveragePooling2D()(layers.SeparableConv2D(4, 3)(image)), layers.Flatten()(layers.Embedding(10, 4)(words))]
    joined = layers.Concatenate()(parts)
    return keras.Model([vector, image, words], {"second": layers.Dense(2)(joined), "first": layers.Dense(3)(joined)})


SEVERAL_FEEDS = {"vector": random(1, 4), "image": random(1, 8, 8, 3), "words": np.array([[1, 2, 3, 9, 0]], np.int32)}


def test_description_has_the_models_own_names_shapes_and_types(tools: Any, keras_file: Callable[..., Source]) -> None:
    description = tools.describe(keras_file(several()))
    assert description["kind"] == "keras"
    assert description["inputs"] == [
        {"name": "vector", "shape": [None, 4], "dtype": "float32"},
        {"name": "image", "shape": [None, 8, 8, 3], "dtype": "float32"},
        {"name": "words", "shape": [None, 5], "dtype": "int32"},
    ]
    assert {output["name"]: output["shape"] for output in description["outputs"]} == {"first": [None, 3], "second": [None, 2]}
    assert description["tools"] == {"tensorflow": tf.__version__, "keras": keras.__version__}


@pytest.mark.parametrize("name", ["model.keras", "model.h5", "model.hdf5"])
def test_predictions_are_keras_own(name: str, tools: Any, keras_file: Callable[..., Source]) -> None:
    model = several()
    feeds = {
        key: np.repeat(value, 3, axis=0) * np.arange(1, 4, dtype=value.dtype).reshape(3, *[1] * (value.ndim - 1)) % 10 for key, value in SEVERAL_FEEDS.items()
    }
    expected = model.predict(feeds, verbose=0)
    source = keras_file(model, name)
    got = tools.predict(source, feeds)
    outputs = [output["name"] for output in tools.describe(source)["outputs"]]
    assert len(outputs) == 2
    for name_in_file, key in zip(outputs, sorted(expected), strict=True):
        np.testing.assert_allclose(got[name_in_file], expected[key], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("to", FORMATS)
def test_several_inputs_and_outputs_convert(to: str, tools: Any, keras_file: Callable[..., Source]) -> None:
    made = tools.check(keras_file(several()), SEVERAL_FEEDS, to=to)
    assert [feature.name for feature in made.spec.description.input] == ["vector", "image", "words"]
    assert {feature.name for feature in made.spec.description.output} == {"first", "second"}


@pytest.mark.parametrize("to", FORMATS)
def test_convolutional_classifier_converts(to: str, tools: Any, small_cnn: Source) -> None:
    made = tools.check(small_cnn, {"image": random(1, 8, 8, 3)}, to=to)
    assert made.data["inputs"] == {"image": "image"}
    assert made.data["outputs"] == {"scores": "scores"}
    assert made.path.name == ("model.mlpackage" if to == "mlprogram" else "model.mlmodel")


def test_a_name_that_the_model_uses_inside_is_no_obstacle(tools: Any, keras_file: Callable[..., Source]) -> None:
    first, second = keras.Input((3,), name="dense_BiasAdd"), keras.Input((3,), name="Identity")
    model = keras.Model([first, second], [layers.Dense(2, name="mlpipe_input_1")(first), layers.Dense(2, name="Identity_1")(second)])
    for to in FORMATS:
        tools.check(keras_file(model), {"dense_BiasAdd": random(1, 3), "Identity": random(1, 3, seed=1)}, to=to)


RECURRENT: dict[str, Callable[[], list[keras.Layer]]] = {
    "LSTM": lambda: [layers.LSTM(5, return_sequences=True), layers.LSTM(4)],
    "GRU": lambda: [layers.GRU(5)],
    "SimpleRNN": lambda: [layers.SimpleRNN(5, go_backwards=True)],
    "Bidirectional": lambda: [layers.Bidirectional(layers.LSTM(5))],
}


@pytest.mark.parametrize("kind", RECURRENT)
def test_recurrent_layers_convert_as_loops_that_compute_what_keras_computes(kind: str, tools: Any, keras_file: Callable[..., Source]) -> None:
    keras.utils.set_random_seed(5)
    parts = RECURRENT[kind]()
    model = keras.Sequential([keras.Input((6, 3), name="sequence"), *parts, layers.Dense(2, name="result")])
    source = keras_file(model)
    traceable = keras_source.load(source, Path(source.location))
    traced = trace(traceable, plan_interface(Convert(), traceable.inputs, traceable.outputs, {}))
    values = random(1, 6, 3)
    np.testing.assert_allclose(traced.function(tf.constant(values))[0], model.predict(values, verbose=0), rtol=1e-6, atol=1e-6)
    loops = 2 if kind in ("LSTM", "Bidirectional") else 1
    block = next(iter(tools.convert(source).spec.mlProgram.functions["main"].block_specializations.values()))
    assert [operation.type for operation in block.operations].count("while_loop") == loops
    network = tools.convert(source, to="neuralnetwork", minimum_deployment_target="iOS14").spec.neuralNetwork
    assert [layer.WhichOneof("layer") for layer in network.layers].count("loop") == loops


def depthwise(groups: int, *, name: str, keras_file: Callable[..., Source]) -> tuple[keras.Model, Source]:
    """A model whose file has the key `groups` that Keras 2 wrote."""
    keras.utils.set_random_seed(6)
    model = keras.Sequential([keras.Input((6, 6, 2), name="image"), layers.DepthwiseConv2D(3), layers.Conv2DTranspose(2, 2)])
    source = keras_file(model, name)

    def edit(text: str) -> str:
        config = json.loads(text)
        for layer in config["config"]["layers"]:
            if layer["class_name"] in ("DepthwiseConv2D", "Conv2DTranspose"):
                layer["config"]["groups"] = groups
        return json.dumps(config)

    path = Path(source.location)
    if name.endswith(".h5"):
        with h5py.File(path, "r+") as file:
            file.attrs["model_config"] = edit(file.attrs["model_config"])
        return model, source
    with zipfile.ZipFile(path) as archive:
        members = {member: archive.read(member) for member in archive.namelist()}
    members["config.json"] = edit(members["config.json"].decode()).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for member, content in members.items():
            archive.writestr(member, content)
    return model, source


@pytest.mark.parametrize("name", ["model.h5", "model.keras"])
def test_keys_that_keras_2_wrote_are_read(name: str, tools: Any, keras_file: Callable[..., Source]) -> None:
    model, source = depthwise(1, name=name, keras_file=keras_file)
    with pytest.raises((TypeError, ValueError), match="groups"):
        keras.models.load_model(source.location, compile=False)  # the reason for it, in case Keras learns to
    value = random(2, 6, 6, 2)
    result = next(iter(tools.predict(source, {"image": value}).values()))
    np.testing.assert_allclose(result, model.predict(value, verbose=0), rtol=1e-6, atol=1e-6)
    with pytest.raises((TypeError, ValueError), match="groups"):
        keras.models.load_model(source.location, compile=False)  # Keras is left as it was


def test_a_key_that_means_something_is_not_dropped(tools: Any, keras_file: Callable[..., Source]) -> None:
    _, source = depthwise(2, name="model.h5", keras_file=keras_file)
    with pytest.raises(SourceUnreadable, match="groups"):
        tools.describe(source)


@pytest.mark.parametrize("name", ["model.keras", "model.h5"])
def test_code_in_a_file_needs_consent(name: str, tools: Any, keras_file: Callable[..., Source]) -> None:
    model = keras.Sequential([keras.Input((3,), name="x"), layers.Lambda(lambda x: x * 2.0, name="twice", output_shape=(3,))])
    source = keras_file(model, name)
    with pytest.raises(SourceUnreadable, match="allow_code: true"):
        tools.describe(source)
    allowed = source.model_copy(update={"allow_code": True})
    np.testing.assert_array_equal(tools.predict(allowed, {"x": np.ones((1, 3), np.float32)})["twice"], np.full((1, 3), 2.0))


CUSTOM = """
import keras
from {neighbour} import FACTOR

class Scaled(keras.layers.Layer):
    def call(self, inputs):
        return inputs * FACTOR

@keras.saving.register_keras_serializable(package="theirs{neighbour}")
class Shifted(keras.layers.Layer):
    def call(self, inputs):
        return inputs + 1.0
"""


@pytest.fixture
def custom(tmp_path: Path) -> Path:
    """A module with two layers, one of them registered, that imports its neighbour."""
    (tmp_path / "scaling_factor.py").write_text("FACTOR = 3.0\n")
    module = tmp_path / "keras_layers.py"
    module.write_text(CUSTOM.format(neighbour="scaling_factor"))
    return module


def test_custom_layers_come_from_the_named_files(custom: Path, tools: Any, keras_file: Callable[..., Source]) -> None:
    from mlpipe.sources.user_modules import load_objects

    objects = load_objects([str(custom)])
    assert sorted(objects) == ["Scaled", "Shifted"]
    model = keras.Sequential([keras.Input((2,), name="x"), objects["Scaled"](), objects["Shifted"](name="y")])
    for name in ("model.keras", "model.h5"):
        source = keras_file(model, name, modules=[str(custom)])
        np.testing.assert_array_equal(tools.predict(source, {"x": np.ones((1, 2), np.float32)})["y"], np.full((1, 2), 4.0))
        with pytest.raises(SourceUnreadable, match=r"source\.modules"):
            tools.describe(source.model_copy(update={"modules": []}))


def test_modules_that_clash_or_fail_say_so(custom: Path, tmp_path: Path, tools: Any, keras_file: Callable[..., Source]) -> None:
    other, broken = tmp_path / "other.py", tmp_path / "broken.py"
    other.write_text("class Scaled:\n    pass\n")
    broken.write_text("1 / 0\n")
    source = keras_file(keras.Sequential([keras.Input((2,)), layers.Dense(1)]))
    for modules, message in (
        ([custom, other], "two files of source.modules define Scaled"),
        ([broken], "ZeroDivisionError"),
        ([tmp_path / "gone.py"], "cannot be read"),
    ):
        with pytest.raises((SourceUnreadable, UserCodeFailed), match=message):
            tools.describe(source.model_copy(update={"modules": [str(module) for module in modules]}))


def test_files_that_are_no_model_say_so(tmp_path: Path, tools: Any, small_cnn: Source) -> None:
    content = Path(small_cnn.location).read_bytes()
    for name, data, message in (
        ("cut.keras", content[: len(content) // 2], "damaged, truncated or no .keras"),
        ("empty.h5", b"", "damaged, truncated or no .h5"),
        ("model.onnx", content, "ends in .keras, .h5 or .hdf5"),
    ):
        path = tmp_path / name
        path.write_bytes(data)
        with pytest.raises(SourceUnreadable, match=message):
            tools.describe(Source(keras=str(path)))


def test_a_model_written_as_a_class_has_the_shape_it_was_built_with(tools: Any, keras_file: Callable[..., Source], tmp_path: Path) -> None:
    module = tmp_path / "own_model.py"
    module.write_text(
        "import keras\n"
        "class Own(keras.Model):\n"
        "    def __init__(self, **keywords):\n"
        "        super().__init__(**keywords)\n"
        "        self.dense = keras.layers.Dense(2)\n"
        "    def call(self, inputs):\n"
        "        return {'sum': self.dense(inputs), 'same': inputs}\n"
    )
    from mlpipe.sources.user_modules import load_objects

    model = load_objects([str(module)])["Own"]()
    value = random(1, 3)
    expected = model(value)
    source = keras_file(model, modules=[str(module)])
    description = tools.describe(source)
    assert description["inputs"] == [{"name": "input_0", "shape": [1, 3], "dtype": "float32"}]
    got = tools.predict(source, {"input_0": value})
    assert sorted(array.shape for array in got.values()) == [(1, 2), (1, 3)]
    np.testing.assert_allclose(got["sum"], expected["sum"], rtol=1e-6)


def test_channels_first_is_computed_where_tensorflow_itself_cannot(tools: Any, keras_file: Callable[..., Source], tmp_path: Path) -> None:
    """TensorFlow convolves so on GPUs only, unless oneDNN's kernels are on; workers have them off, as a process of its own does here."""
    keras.utils.set_random_seed(5)
    first = {"data_format": "channels_first"}
    convolutions = [layers.Conv2D(3, 3, **first), layers.MaxPooling2D(2, **first), layers.Conv2DTranspose(2, 2, strides=2, **first)]
    source = keras_file(keras.Sequential([keras.Input((2, 8, 10), name="image"), *convolutions]))
    image = np.random.default_rng(3).normal(size=(2, 2, 8, 10)).astype(np.float32)
    np.save(tmp_path / "image.npy", image)
    script = (
        "import sys, numpy as np\nfrom pathlib import Path\nfrom mlpipe.recipe.schema.source import Source\nfrom mlpipe.sources import keras\n"
        "model, image, output = sys.argv[1:]\n"
        "(made,) = keras.predict(Source(keras=model), Path(model), [{'image': np.load(image)}], lambda *_: None)\nnp.save(output, *made.values())\n"
    )
    arguments = [sys.executable, "-c", script, source.location, str(tmp_path / "image.npy"), str(tmp_path / "output.npy")]
    subprocess.run(arguments, check=True, capture_output=True, env={**os.environ, "TF_ENABLE_ONEDNN_OPTS": "0"})
    for to in FORMATS:
        made = tools.convert(source, to=to)
        got = np.concatenate([next(iter(made.run({"image": image[index : index + 1]}).values())) for index in range(2)])
        assert tools.snr_db(np.load(tmp_path / "output.npy"), got) >= 100
