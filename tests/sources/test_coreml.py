from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from mlpipe.errors import ModelFileInvalid
from mlpipe.model_files.protobuf import model_pb2
from mlpipe.model_files.read import read_model
from mlpipe.recipe.schema.source import Source
from mlpipe.runtime import load_model
from mlpipe.sources import coreml
from mlpipe.steps.step import no_progress

FORMATS = ("neuralnetwork", "mlprogram")
IMAGE = np.random.default_rng(5).integers(0, 256, (8, 8, 3), np.uint8)


@pytest.mark.parametrize("to", FORMATS)
def test_a_file_is_described_copied_and_run(to: str, tools: Any, small_cnn: Source) -> None:
    declared = {"image": {"image": {"color": "bgr", "scale": 0.5}}}
    made = tools.convert(small_cnn, to=to, inputs=declared, classifier={"class_labels": ["a", "b", "c", "d"]})
    source = Source(coreml=str(made.path))
    description = tools.describe(source)
    assert description["kind"] == "coreml"
    assert description["inputs"] == [{"name": "image", "shape": [1, 3, 8, 8], "dtype": "float32"}]
    assert description["outputs"] == [{"name": "scores", "shape": [None, 4], "dtype": "float32"}]
    copy = tools.convert(source)
    assert copy.data["images"] == {"image": {"color": "bgr", "layout": "nchw", "height": 8, "width": 8, "scale": [1.0] * 3, "bias": [0.0] * 3}}
    assert copy.data["inputs"] == {"image": "image"}
    assert copy.data["outputs"] == {"scores": "scores"}
    assert copy.data["float32_size_bytes"] == made.data["float32_size_bytes"]
    files = [sorted(path.rglob("*")) if path.is_dir() else [path] for path in (made.path, copy.path)]
    for ours, theirs in zip(*files, strict=True):
        assert ours.is_dir() or ours.read_bytes() == theirs.read_bytes()

    def runtime(path: Path, feeds: Iterable[dict[str, Any]]) -> Iterator[dict[str, np.ndarray]]:
        model = load_model(path)
        return (model.predict_arrays(feed) for feed in feeds)

    (result,) = coreml.predict(source, copy.path, [{"image": IMAGE}], no_progress, runtime)
    np.testing.assert_array_equal(result["scores"], made.run({"image": IMAGE})["scores"])


def test_flexible_shapes_have_none_where_they_vary(tools: Any, image_to_image: Source, keras_file: Callable[..., Source]) -> None:
    size = {"min": 4, "max": 32}
    made = tools.convert(image_to_image, inputs={"picture": {"shape": [1, size, 8, 3]}})
    assert tools.describe(Source(coreml=str(made.path)))["inputs"] == [{"name": "picture", "shape": [1, None, 8, 3], "dtype": "float32"}]
    made = tools.convert(image_to_image, inputs={"picture": {"enumerated_shapes": [[1, 8, 8, 3], [1, 8, 9, 3]]}})
    assert tools.describe(Source(coreml=str(made.path)))["inputs"] == [{"name": "picture", "shape": [1, 8, None, 3], "dtype": "float32"}]
    made = tools.convert(image_to_image, inputs={"picture": {"shape": [1, size, size, 3], "image": {}}})
    assert tools.describe(Source(coreml=str(made.path)))["inputs"][0]["shape"] == [1, 3, None, None]
    words = keras_file(keras.Sequential([keras.Input((3,), dtype="int32", name="words"), keras.layers.Embedding(5, 2)]))
    assert tools.describe(Source(coreml=str(tools.convert(words).path)))["inputs"] == [{"name": "words", "shape": [1, 3], "dtype": "int32"}]


def test_float16_weights_of_a_network_count_as_float32(tools: Any, small_cnn: Source, tmp_path: Path) -> None:
    made = tools.convert(small_cnn, to="neuralnetwork")
    spec, weights = read_model(made.path).spec, 0
    for layer in spec.neuralNetwork.layers:
        if layer.WhichOneof("layer") == "convolution":
            kernel = layer.convolution.weights
            weights += len(kernel.floatValue)
            kernel.float16Value = np.array(kernel.floatValue, np.float16).tobytes()
            del kernel.floatValue[:]
    path = tmp_path / "half.mlmodel"
    path.write_bytes(spec.SerializeToString())
    size = tools.convert(Source(coreml=str(path))).data["float32_size_bytes"]
    assert weights > 0
    assert path.stat().st_size < made.path.stat().st_size
    assert size == path.stat().st_size + 2 * weights


def test_an_extension_that_mlpipe_does_not_know_says_so(tools: Any, tmp_path: Path) -> None:
    path = tmp_path / "damaged.mlmodel"
    path.write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(ModelFileInvalid):
        tools.describe(Source(coreml=str(path)))


def test_describing_needs_no_coremltools(tmp_path: Path) -> None:
    spec = model_pb2().Model(specificationVersion=4)
    spec.description.input.add(name="x").type.multiArrayType.shape.extend([2, 3])
    spec.neuralNetwork.SetInParent()
    (tmp_path / "x.mlmodel").write_bytes(spec.SerializeToString())
    code = (
        "import sys; from pathlib import Path; from mlpipe.sources import coreml; from mlpipe.recipe.schema.source import Source\n"
        "path = sys.argv[1]; print(coreml.describe(Source(coreml=path), Path(path))['inputs'])\n"
        "assert not {'coremltools', 'tensorflow', 'keras', 'onnx', 'onnxruntime'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "x.mlmodel")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[{'name': 'x', 'shape': [2, 3], 'dtype': 'float32'}]"


@pytest.mark.parametrize("damage", ["gone", "short", "other"])
def test_a_package_whose_weights_are_not_whole_is_refused(damage: str, tools: Any, small_cnn: Source) -> None:
    package = tools.convert(small_cnn, to="mlprogram").path
    (weights,) = package.rglob("weight.bin")
    data = weights.read_bytes()
    assert coreml.describe(Source(coreml=str(package)), package)
    weights.write_bytes(data[: len(data) // 2] if damage == "short" else bytes(len(data)))
    if damage == "gone":
        weights.unlink()
    with pytest.raises(ModelFileInvalid, match=r"lacks its weight file|truncated|does not fit its program"):
        coreml.describe(Source(coreml=str(package)), package)
