"""`mlpipe export`: valid ONNX models that give what `mlpipe predict` gives, in plain onnxruntime."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

import mlpipe as package
from mlpipe.exit_codes import ExitCode
from mlpipe.model_files.protobuf import model_pb2


def run(path: Path, feed: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return what onnxruntime gives with no options at all, for a model that onnx finds valid."""
    onnx.checker.check_model(str(path), full_check=True)
    session = onnxruntime.InferenceSession(str(path))
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, feed), strict=True))


def metadata(path: Path) -> dict[str, str]:
    return {entry.key: entry.value for entry in onnx.load(path, load_external_data=False).metadata_props}


def test_a_program_and_its_header(program: Path, tmp_path: Path, mlpipe: Any) -> None:
    output = tmp_path / "out" / "double.onnx"
    said = mlpipe("export", program, "-o", output)
    assert (said.code, said.err) == (ExitCode.DONE, "")
    assert said.out.splitlines()[0].endswith("bytes): opset 21, IR version 10")
    assert said.out.splitlines()[1:] == ["  input  x: float32 array 3", "  output result: float32 array 3"]
    x = np.asarray([0, 1, 2], np.float32)
    np.testing.assert_allclose(run(output, {"x": x})["result"], np.log(2 * x + 1), rtol=1e-6)
    header = metadata(output)
    assert header["mlpipe.version"] == package.__version__
    assert (header["mlpipe.source"], header["mlpipe.function"], header["mlpipe.precision"]) == ("program.mlpackage", "double", "float32")
    nodes = {node.name.rsplit("/", 1)[0] for node in onnx.load(output).graph.node}
    assert {"mul/doubled", "add/shifted"} <= nodes, "nodes are named after the operations that they compute"


def test_states_become_inputs_and_outputs(program: Path, tmp_path: Path, mlpipe: Any) -> None:
    output = tmp_path / "remember.onnx"
    found = mlpipe("export", program, "-o", output, "--function", "remember", "--precision", "float16", "--json").json
    assert found["inputs"] == {
        "x": "float16 array 2, fed as float32",
        "total": "float16 state 2, fed as float32: its value before, zeros at first",
    }
    states = json.loads(metadata(output)["mlpipe.states"])
    total, x = np.asarray([1000, 2048], np.float32), np.asarray([0.1, 1], np.float32)
    results = run(output, {"x": x, "total": total})
    expected = total.astype(np.float16) + x.astype(np.float16)
    np.testing.assert_array_equal(results[states["total"]], expected)
    np.testing.assert_array_equal(results["after"], expected)


def test_float16_rounds_in_plain_onnxruntime_too(program: Path, tmp_path: Path, mlpipe: Any) -> None:
    x = {"x": np.asarray([0.1, 60000], np.float32), "total": np.asarray([0, 10000], np.float32)}
    results = {}
    for precision in ("float32", "float16"):
        mlpipe("export", program, "-o", tmp_path / "out.onnx", "--function", "remember", "--precision", precision)
        results[precision] = run(tmp_path / "out.onnx", x)["after"]
    assert results["float32"].tolist() == [np.float32(0.1), 70000]
    assert results["float16"].tolist() == [np.float16(0.1), np.inf]


def test_a_classifier_gives_scores_and_its_labels(photo: Path, tmp_path: Path, mlpipe: Any) -> None:
    output = tmp_path / "photo.onnx"
    mlpipe("export", photo, "-o", output)
    pixels = np.random.default_rng(0).integers(0, 256, (4, 6, 3)).astype(np.uint8)
    shares = run(output, {"photo": pixels.transpose(2, 0, 1)[None].astype(np.float32)})["shares"]
    np.testing.assert_array_equal(shares, package.load_model(photo).predict_arrays({"photo": pixels})["shares"])
    found = json.loads(metadata(output)["mlpipe.classifier"])
    assert found == {"output": "shares", "predicted": "label", "labels": ["red", "green", "blue"]}
    assert "fed as float32 1 x 3 x height x width, 0 to 255, red first" in json.loads(metadata(output)["mlpipe.inputs"])["photo"]


def test_images_of_any_size_and_defaults(style: Path, tmp_path: Path, mlpipe: Any) -> None:
    output = tmp_path / "style.onnx"
    mlpipe("export", style, "-o", output)
    for height, width in ((2, 8), (5, 3)):
        pixels = np.random.default_rng(0).uniform(0, 255, (1, 3, height, width)).astype(np.float32)
        np.testing.assert_array_equal(run(output, {"image": pixels})["stylized"], pixels)
        np.testing.assert_array_equal(run(output, {"image": pixels, "gain": np.asarray([2], np.float32)})["stylized"], pixels * 2)


def test_whole_numbers_stay_whole_numbers(vectors: Path, tmp_path: Path, mlpipe: Any) -> None:
    mlpipe("export", vectors, "-o", tmp_path / "vectors.onnx")
    x = np.asarray([1, 2, 3], np.float32)
    results = run(tmp_path / "vectors.onnx", {"x": x, "y": x, "n": np.asarray([7], np.int32)})
    assert (results["count"].dtype, results["count"].tolist(), results["total"].tolist()) == (np.int32, [7], [2, 4, 6])


@pytest.fixture
def large(planes: Path) -> Path:
    """Return a model with 1.7 MB of weights."""
    spec = model_pb2().Model.FromString(planes.read_bytes())
    layer = spec.neuralNetwork.layers[0]
    layer.ClearField("activation")
    layer.convolution.outputChannels, layer.convolution.kernelChannels = 3, 3
    layer.convolution.kernelSize.extend([219, 219])
    layer.convolution.valid.paddingAmounts.borderAmounts.add(startEdgeSize=109, endEdgeSize=109)
    layer.convolution.valid.paddingAmounts.borderAmounts.add(startEdgeSize=109, endEdgeSize=109)
    layer.convolution.weights.floatValue.extend(np.random.default_rng(0).normal(size=3 * 3 * 219 * 219).astype(np.float32))
    planes.write_bytes(spec.SerializeToString())
    return planes


def test_weights_may_stand_beside_the_model(large: Path, tmp_path: Path, mlpipe: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    x = {"x": np.random.default_rng(0).normal(size=(1, 3, 4, 6)).astype(np.float32)}
    mlpipe("export", large, "-o", tmp_path / "inside.onnx")
    found = mlpipe("export", large, "-o", tmp_path / "beside.onnx", "--external-data", "--json").json
    assert found["data_size_bytes"] >= 4 * 9 * 219 * 219 > found["size_bytes"]
    inside = run(tmp_path / "inside.onnx", x)["doubled"]
    np.testing.assert_array_equal(run(tmp_path / "beside.onnx", x)["doubled"], inside)
    np.testing.assert_array_equal(inside, package.load_model(large).predict_arrays(x)["doubled"])
    assert sorted(path.name for path in tmp_path.glob("*side*")) == ["beside.onnx", "beside.onnx.data", "inside.onnx"]
    places = [
        int(entry.value)
        for tensor in onnx.load(tmp_path / "beside.onnx", load_external_data=False).graph.initializer
        for entry in tensor.external_data
        if entry.key == "offset"
    ]
    assert places, "constants of more than 1 kB stand outside"
    assert all(place % 4096 == 0 for place in places), "pages can be mapped"
    monkeypatch.setattr("mlpipe.runtime.onnx_file.LARGEST_INLINE", 1_000_000)
    assert mlpipe("export", large, "-o", tmp_path / "auto.onnx", "--json").json["data"] == str(tmp_path / "auto.onnx.data")


def test_the_same_model_gives_the_same_bytes(program: Path, photo: Path, tmp_path: Path) -> None:
    for model in (program, photo):
        made = []
        for seed in ("1", "2"):
            output = tmp_path / f"{seed}.onnx"
            environment = {**os.environ, "PYTHONHASHSEED": seed}
            subprocess.run([sys.executable, "-c", f"import mlpipe; mlpipe.export({str(model)!r}, {str(output)!r})"], env=environment, check=True)
            made.append(output.read_bytes())
        assert made[0] == made[1]


def test_every_layer_that_cannot_be_lowered_is_named(vectors: Path, tmp_path: Path, mlpipe: Any) -> None:
    spec = model_pb2().Model.FromString(vectors.read_bytes())
    for name in ("one", "two"):
        spec.neuralNetwork.layers.add(name=name, input=["x"], output=[name]).custom.className = "Mine"
    vectors.write_bytes(spec.SerializeToString())
    said = mlpipe("export", vectors, "-o", tmp_path / "out.onnx")
    assert (said.code, "cannot execute 2 layers" in said.err, "'one'" in said.err, "'two'" in said.err) == (ExitCode.STEP_FAILED, True, True, True)
    assert "a custom layer is code of the app" in said.err
    assert not (tmp_path / "out.onnx").exists()


def test_a_model_without_a_graph_is_refused(tmp_path: Path, mlpipe: Any) -> None:
    spec = model_pb2().Model(specificationVersion=1)
    spec.description.input.add(name="color").type.stringType.SetInParent()
    spec.oneHotEncoder.stringCategories.vector.append("red")
    (tmp_path / "colors.mlmodel").write_bytes(spec.SerializeToString())
    said = mlpipe("export", tmp_path / "colors.mlmodel", "-o", tmp_path / "out.onnx")
    assert (said.code, "oneHotEncoder cannot be exported to ONNX" in said.err) == (ExitCode.STEP_FAILED, True), said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("-o", "out.txt"), "an ONNX model's name ends in .onnx"),
        ((), "Missing option '--output'"),
        (("-o", "out.onnx", "--function", "triple"), "its functions are 'double', 'remember'"),
    ],
)
def test_a_wrong_command_line(words: tuple[str, ...], message: str, program: Path, mlpipe: Any) -> None:
    said = mlpipe("export", program, *words)
    assert (said.code, message in said.err) == (ExitCode.RECIPE_WRONG, True), said


def test_a_place_that_cannot_be_written(program: Path, tmp_path: Path, mlpipe: Any) -> None:
    (tmp_path / "file").write_text("")
    said = mlpipe("export", program, "-o", tmp_path / "file" / "out.onnx")
    assert (said.code, "the ONNX model cannot be written" in said.err) == (ExitCode.STEP_FAILED, True), said
