from __future__ import annotations

import json
import sys
import types
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mlpipe.errors import InvalidInput, SampleUnreadable, StepFailed
from mlpipe.model_files.protobuf import model_pb2
from mlpipe.samples.predictions import open_predictions
from mlpipe.sources import table
from mlpipe.steps import predict
from mlpipe.steps.step import StepRequest

WEIGHTS = np.asarray([[0.5, -1.25, 2.0], [1.0, 3.0, -0.75]], np.float32)
Request = Callable[..., StepRequest]


def parameters(side: str, samples: dict[str, Any], **more: Any) -> dict[str, Any]:
    source = {"source": {"keras": "m.npz"}} if side == "source" else {"precision": "auto"}
    return {"side": side, "samples": samples, "inputs": {}, "outputs": None, **source, **more}


def model_artifact(folder: Path, dense_model: Callable[..., None], **conversion: Any) -> Path:
    dense_model(folder / "model.mlmodel", WEIGHTS, conversion.pop("image", None))
    described = conversion.pop("described", [{"name": "input", "shape": [None, 3], "dtype": "float32"}])
    table_ = {"inputs": {"input": "x"}, "outputs": {"scores": "y"}, "classifier": None, "images": {}, "image_outputs": {}, "described": {"inputs": described}}
    (folder / "conversion.json").write_text(json.dumps(table_ | conversion))
    return folder


@pytest.fixture
def matrix_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A source artifact whose model is a matrix in an .npz, and a module of the sources' kind that runs it; it refuses negative inputs."""
    module = types.ModuleType("matrix_source")

    def run(_: Any, path: Path, feeds: Iterable[dict[str, np.ndarray]], __: Any) -> Iterator[dict[str, np.ndarray]]:
        weights = np.load(path)["w"]
        for feed in feeds:
            if feed["input"].min() < 0:
                raise InvalidInput("negative numbers")
            flat = feed["input"].reshape(1, -1)
            yield {"scores": flat @ weights.T, "sum": flat.sum(axis=1)}

    module.predict = run  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "matrix_source", module)
    monkeypatch.setitem(table.MODULES, "keras", "matrix_source")
    artifact = tmp_path / "source"
    (artifact / "model").mkdir(parents=True)
    np.savez(artifact / "model" / "m.npz", w=WEIGHTS)
    (artifact / "description.json").write_text(json.dumps({"inputs": [{"name": "input", "shape": [None, 3], "dtype": "float32"}]}))
    return artifact


def save(path: Path, values: np.ndarray) -> dict[str, tuple[Path, ...]]:
    np.save(path, values)
    return {"samples": (path,)}


def test_the_source_and_the_model_give_outputs_that_can_be_subtracted(
    tmp_path: Path, step_request: Request, matrix_source: Path, dense_model: Callable[..., None]
) -> None:
    values = np.abs(np.random.default_rng(0).normal(size=(4, 3))).astype(np.float32)
    files = save(tmp_path / "a.npy", values)
    samples = {"arrays": "a.npy"}
    seen: list[tuple[float, float, str]] = []
    asked = step_request("source", parameters=parameters("source", samples, outputs=["scores"]), inputs={"source": matrix_source}, files=files)
    asked = StepRequest(**{**vars(asked), "progress": lambda *args: seen.append(args)})
    assert predict.run(asked).values == {"n": 4, "errors": 0}
    assert seen == [(1, 4, "0"), (2, 4, "1"), (3, 4, "2"), (4, 4, "3")]
    model = model_artifact(tmp_path / "model", dense_model, classifier={"probabilities": "y", "predicted": "label", "labels": [7, 8]})
    made = step_request("model", parameters=parameters("model", samples), inputs={"model": model}, files=files)
    assert predict.run(made).values == {"n": 4, "errors": 0, "precisions": ["float32", "float16"]}
    source, candidate = open_predictions(asked.output), open_predictions(made.output / "float32")
    assert source.ids == candidate.ids == ["0", "1", "2", "3"]
    assert candidate.manifest["classifier"] == {"output": "scores", "labels": ["7", "8"]}
    for (_, one), (_, two), row in zip(source.rows(), candidate.rows(), values, strict=True):
        assert one.keys() == two.keys() == {"scores"}
        assert two["scores"].shape == one["scores"].shape == (2,)
        assert two["scores"] == pytest.approx(WEIGHTS @ row, rel=1e-6)


def test_float16_is_rounded_and_float32_is_not(tmp_path: Path, step_request: Request, dense_model: Callable[..., None]) -> None:
    files = save(tmp_path / "a.npy", np.asarray([[1.0001, 0.0, 0.0]], np.float32))
    inputs = {"model": model_artifact(tmp_path / "model", dense_model)}
    for precision, folders in (("auto", ["float16", "float32"]), ("band", ["float16", "float32"]), ("float32", ["float32"]), ("float16", ["float16"])):
        made = step_request(precision, parameters=parameters("model", {"arrays": "a"}, precision=precision), inputs=inputs, files=files)
        predict.run(made)
        assert sorted(path.name for path in made.output.iterdir()) == folders
    [(_, exact)], [(_, rounded)] = (list(open_predictions(tmp_path / "outputs" / "band" / name).rows()) for name in ("float32", "float16"))
    assert exact["scores"][1] == np.float32(1.0001)
    assert rounded["scores"][1] == 1.0


def test_layers_that_overflow_float16_are_named(tmp_path: Path, step_request: Request, dense_model: Callable[..., None]) -> None:
    large = np.asarray([[1.0, 0.0, 0.0], [60000.0, 0.0, 0.0], [-9000.0, 30000.0, 20000.0], [0.0, 1.0, 0.0]], np.float32)
    model = model_artifact(tmp_path / "model", dense_model)
    asked = parameters("model", {"arrays": "a"})
    found = predict.run(step_request("large", parameters=asked, inputs={"model": model}, files=save(tmp_path / "a.npy", large)))
    assert found.values["overflows"] == ["y (innerProduct) becomes infinite in 1 element, where float32 has up to 66000"]
    small = predict.run(step_request("small", parameters=asked, inputs={"model": model}, files=save(tmp_path / "a.npy", large[::3])))
    assert "overflows" not in small.values
    alone = parameters("model", {"arrays": "a"}, precision="float32")
    assert "overflows" not in predict.run(step_request("float32", parameters=alone, inputs={"model": model}, files=save(tmp_path / "a.npy", large))).values


def test_a_quantized_variant_takes_the_conversion_of_another_artifact(tmp_path: Path, step_request: Request, dense_model: Callable[..., None]) -> None:
    conversion = model_artifact(tmp_path / "convert", dense_model)
    dense_model(tmp_path / "quantize" / "model.mlmodel", WEIGHTS * 2)
    files = save(tmp_path / "a.npy", np.ones((1, 3), np.float32))
    inputs = {"model": tmp_path / "quantize", "conversion": conversion}
    made = step_request("q", parameters=parameters("model", {"arrays": "a"}), inputs=inputs, files=files)
    predict.run(made)
    [(_, row)] = open_predictions(made.output / "float32").rows()
    assert row["scores"].tolist() == [2.5, 6.5]


def test_images_are_pixels_for_the_model_and_scaled_for_the_source(
    tmp_path: Path, step_request: Request, matrix_source: Path, dense_model: Callable[..., None]
) -> None:
    pixels = np.asarray([[10, 200, 30]], np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    files = {"samples": (tmp_path / "a.png",)}
    described = [{"name": "input", "shape": [None, 1, 3, 1], "dtype": "float32"}]
    (matrix_source / "description.json").write_text(json.dumps({"inputs": described}))
    inputs = {"input": {"image": {"color": "grayscale", "scale": 0.5, "bias": 3.0}}}
    asked = step_request("source", parameters=parameters("source", {"images": "*"}, inputs=inputs), inputs={"source": matrix_source}, files=files)
    predict.run(asked)
    [(_, row)] = open_predictions(asked.output).rows()
    assert row["scores"] == pytest.approx(WEIGHTS @ (pixels[0] * 0.5 + 3.0))
    image = {"color": "grayscale", "scale": [0.5], "bias": [3.0], "layout": "nhwc", "height": 1, "width": 3}
    model = model_artifact(tmp_path / "model", dense_model, image=(1, 3), images={"input": image}, described=described)
    made = step_request("model", parameters=parameters("model", {"images": "*"}, inputs=inputs), inputs={"model": model}, files=files)
    predict.run(made)
    [(name, row)] = open_predictions(made.output / "float32").rows()
    assert name == "a.png"
    assert row["scores"] == pytest.approx(WEIGHTS @ pixels[0])  # this file states no scale: it is the conversion that would write it


def test_samples_that_fail_are_recorded_and_the_others_go_on(
    tmp_path: Path, step_request: Request, matrix_source: Path, dense_model: Callable[..., None]
) -> None:
    files = save(tmp_path / "a.npy", np.asarray([[1, 1, 1], [-1, 0, 0], [2, 2, 2], [0, -1, 0], [3, 3, 3]], np.float32))
    asked = step_request("source", parameters=parameters("source", {"arrays": "a"}), inputs={"source": matrix_source}, files=files)
    assert predict.run(asked).values == {"n": 3, "errors": 2}
    found = open_predictions(asked.output)
    assert (found.ids, found.errors) == (["0", "2", "4"], {"1": "negative numbers", "3": "negative numbers"})
    assert [row["sum"].tolist() for _, row in found.rows()] == [3.0, 6.0, 9.0]

    for name in ("a.png", "c.png"):
        Image.fromarray(np.zeros((1, 3), np.uint8)).save(tmp_path / name)
    (tmp_path / "b.png").write_bytes(b"")
    images = {"samples": tuple(tmp_path / name for name in ("a.png", "b.png", "c.png"))}
    described = [{"name": "input", "shape": [None, 1, 3, 1], "dtype": "float32"}]
    image = {"color": "grayscale", "scale": [1.0], "bias": [0.0], "layout": "nhwc", "height": 1, "width": 3}
    model = model_artifact(tmp_path / "model", dense_model, image=(1, 3), images={"input": image}, described=described)
    made = step_request("model", parameters=parameters("model", {"images": "*"}), inputs={"model": model}, files=images)
    assert predict.run(made).values == {"n": 2, "errors": 1, "precisions": ["float32", "float16"]}
    assert "b.png cannot be read" in open_predictions(made.output / "float16").errors["b.png"]


def test_a_source_that_fails_on_everything_fails_the_step(tmp_path: Path, step_request: Request, matrix_source: Path) -> None:
    files = save(tmp_path / "a.npy", np.full((9, 3), -1, np.float32))
    asked = step_request("source", parameters=parameters("source", {"arrays": "a"}), inputs={"source": matrix_source}, files=files)
    with pytest.raises(InvalidInput, match="negative"):
        predict.run(asked)


def test_no_samples_are_recorded_as_none(step_request: Request, matrix_source: Path) -> None:
    (matrix_source / "description.json").write_text(json.dumps({"inputs": [{"name": "input", "shape": [None, 1, 3, 1], "dtype": "float32"}]}))
    asked = step_request("source", parameters=parameters("source", {"images": "*"}), inputs={"source": matrix_source}, files={"samples": ()})
    assert predict.run(asked).values == {"n": 0, "errors": 0}


def test_outputs_that_do_not_exist_are_refused(tmp_path: Path, step_request: Request, matrix_source: Path) -> None:
    files = save(tmp_path / "a.npy", np.ones((1, 3), np.float32))
    request = step_request("p", parameters=parameters("source", {"arrays": "a"}, outputs=["score"]), inputs={"source": matrix_source}, files=files)
    with pytest.raises(StepFailed, match="no output 'score'; the outputs are scores, sum"):
        predict.run(request)


def test_synthetic_samples_fill_flexible_sizes_from_the_recipe(step_request: Request, matrix_source: Path) -> None:
    (matrix_source / "description.json").write_text(json.dumps({"inputs": [{"name": "input", "shape": [None, None], "dtype": "float32"}]}))
    for shape in ({"shape": [1, {"min": 1, "max": 9, "default": 3}]}, {"enumerated_shapes": [[1, 3], [1, 5]]}):
        inputs = {"input": shape}
        request = step_request(next(iter(shape)), parameters=parameters("source", {"synthetic": {"count": 2}}, inputs=inputs), inputs={"source": matrix_source})
        assert predict.run(request).values == {"n": 2, "errors": 0}


def test_reference_outputs_stand_in_for_a_source(tmp_path: Path, step_request: Request) -> None:
    files = save(tmp_path / "a.npy", np.ones((2, 3), np.float32))
    np.savez(tmp_path / "outputs.npz", scores=np.asarray([[1.0, 2.0], [3.0, 4.0]]), extra=np.zeros((2, 5)))
    files["reference_outputs"] = (tmp_path / "outputs.npz",)
    request = step_request("ok", parameters=parameters("source", {"arrays": "a"}, outputs=["scores"]), files=files)
    assert predict.run(request).values == {"n": 2, "errors": 0}
    assert [(name, row["scores"].tolist()) for name, row in open_predictions(request.output).rows()] == [("0", [1.0, 2.0]), ("1", [3.0, 4.0])]
    np.savez(tmp_path / "outputs.npz", scores=np.zeros((3, 2)))
    with pytest.raises(SampleUnreadable, match="scores has 3 rows, and there are 2 samples"):
        predict.run(step_request("bad", parameters=parameters("source", {"arrays": "a"}), files=files))


def test_a_core_ml_reference_is_fed_pixels(tmp_path: Path, step_request: Request, dense_model: Callable[..., None]) -> None:
    pixels = np.asarray([[1, 2, 3]], np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    dense_model(tmp_path / "reference" / "model" / "r.mlmodel", WEIGHTS, (1, 3))
    description = {"inputs": [{"name": "x", "shape": [1, 1, 1, 3], "dtype": "float32"}]}
    (tmp_path / "reference" / "description.json").write_text(json.dumps(description))
    request = step_request(
        "r",
        parameters=parameters("source", {"images": "*"}, source={"coreml": "r.mlmodel"}),
        inputs={"source": tmp_path / "reference"},
        files={"samples": (tmp_path / "a.png",)},
    )
    predict.run(request)
    [(_, row)] = open_predictions(request.output).rows()
    assert row["y"] == pytest.approx(WEIGHTS @ pixels[0])


@pytest.mark.parametrize("layout", ["nhwc", "nchw"])
def test_an_image_output_comes_in_the_sources_layout_and_units(tmp_path: Path, step_request: Request, layout: str) -> None:
    spec = model_pb2().Model()
    spec.specificationVersion = 4
    for feature in (spec.description.input.add(name="x"), spec.description.output.add(name="y")):
        feature.type.imageType.height, feature.type.imageType.width, feature.type.imageType.colorSpace = 2, 3, 20
    spec.neuralNetwork.imageInputShapeMapping = 1
    activation = spec.neuralNetwork.layers.add(name="half", input=["x"], output=["y"]).activation
    activation.linear.alpha, activation.linear.beta = 0.5, 10.0
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "model.mlmodel").write_bytes(spec.SerializeToString())
    pixels = np.arange(18, dtype=np.uint8).reshape(1, 2, 3, 3) * 10
    image = {"color": "rgb", "scale": [1.0] * 3, "bias": [0.0] * 3, "layout": "nhwc", "height": 2, "width": 3}
    conversion = {
        "inputs": {"image": "x"},
        "outputs": {"styled": "y"},
        "classifier": None,
        "images": {"image": image},
        "image_outputs": {"styled": {"color": "rgb", "clip": True, "scale": 255.0, "layout": layout}},
        "described": {"inputs": [{"name": "image", "shape": [None, 2, 3, 3], "dtype": "float32"}]},
    }
    (tmp_path / "model" / "conversion.json").write_text(json.dumps(conversion))
    asked = parameters("model", {"arrays": "a"}, precision="float32")
    request = step_request("i", parameters=asked, inputs={"model": tmp_path / "model"}, files=save(tmp_path / "a.npy", pixels))
    predict.run(request)
    found = open_predictions(request.output / "float32")
    [(_, row)] = found.rows()
    expected = (pixels[0] * 0.5 + 10.0) / 255.0
    assert row["styled"] == pytest.approx(expected if layout == "nhwc" else expected.transpose(2, 0, 1))
    assert found.manifest["image_outputs"] == conversion["image_outputs"]
