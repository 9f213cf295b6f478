"""`mlpipe predict`: every way to give an input and to take an output, against numbers that are computed here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mlpipe import api
from mlpipe.exit_codes import ExitCode
from mlpipe.model_files.protobuf import model_pb2
from mlpipe.model_files.write import write_canonical

PIXELS = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
X = np.asarray([1.5, -2.0, 0.25], np.float32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder with one file of each kind that an input can be read from."""
    made = tmp_path / "given"
    made.mkdir()
    np.save(made / "x.npy", X)
    np.savez(made / "both.npz", x=X, y=X * 2)
    np.savez(made / "one.npz", anything=X)
    (made / "x.json").write_text("[1.5, -2, 0.25]")
    (made / "x.txt").write_text("1.5, -2\n0.25\n")
    Image.fromarray(PIXELS).save(made / "photo.png")
    Image.fromarray(PIXELS).resize((60, 40), Image.Resampling.NEAREST).save(made / "large.png")
    return made


GIVEN: Mapping[str, list[float]] = {
    "[1.5, -2, 0.25]": [1.5, -2.0, 0.25],
    "x.npy": [1.5, -2.0, 0.25],
    "both.npz": [1.5, -2.0, 0.25],
    "both.npz:y": [3.0, -4.0, 0.5],
    "one.npz": [1.5, -2.0, 0.25],
    "x.json": [1.5, -2.0, 0.25],
    "x.txt": [1.5, -2.0, 0.25],
}


@pytest.mark.parametrize("given", GIVEN)
def test_an_array_is_given_as_a_file_or_a_literal(given: str, vectors: Path, folder: Path, mlpipe: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    said = mlpipe("predict", vectors, "--input", f"x={given}", "-i", "y=[0, 0, 1]", "-i", "n=7", "--json")
    assert said.code is ExitCode.DONE, said
    outputs = said.json["outputs"]
    assert outputs["total"]["values"] == [GIVEN[given][0], GIVEN[given][1], GIVEN[given][2] + 1]
    assert (outputs["count"]["values"], outputs["count"]["dtype"], outputs["total"]["shape"]) == ([7], "int32", [3])
    assert said.err == ""


def test_what_is_not_finite_goes_in_and_is_counted(vectors: Path, tmp_path: Path, mlpipe: Any) -> None:
    np.save(tmp_path / "x.npy", np.asarray([np.nan, np.inf, 1], np.float32))
    given = ("-i", f"x={tmp_path / 'x.npy'}", "-i", "y=[NaN, 1, 1]", "-i", "n=0")
    found = mlpipe("predict", vectors, *given, "--json").json["outputs"]["total"]
    assert (found["nan"], found["infinite"], found["values"]) == (1, 1, ["NaN", "Infinity", 2.0])
    assert (found["min"], found["mean"], found["max"]) == (2.0, 2.0, 2.0)
    line = mlpipe("predict", vectors, *given).out.splitlines()[0]
    assert line == "total  float32 3  min 2  mean 2  max 2  1 NaN  1 infinite  first NaN Infinity 2"


def test_a_classifier_names_its_best_labels(photo: Path, folder: Path, mlpipe: Any) -> None:
    shares = PIXELS.reshape(-1, 3).mean(0) / PIXELS.reshape(-1, 3).mean(0).sum()
    said = mlpipe("predict", photo, "-i", f"photo={folder / 'photo.png'}")
    assert said.out.splitlines() == [f"shares  {shares[2]:.2%} blue; {shares[1]:.2%} green; {shares[0]:.2%} red", "label   blue"]
    found = mlpipe("predict", photo, "-i", f"photo={folder / 'photo.png'}", "--json").json["outputs"]
    assert found["label"] == {"kind": "value", "dtype": "str", "values": "blue"}
    np.testing.assert_allclose([found["shares"]["values"][name] for name in ("red", "green", "blue")], shares, rtol=1e-6)
    assert [entry["label"] for entry in found["shares"]["best"]] == ["blue", "green", "red"]


@pytest.mark.parametrize(("fit", "code"), [("exact", ExitCode.STEP_FAILED), ("stretch", ExitCode.DONE), ("crop", ExitCode.DONE), ("pad", ExitCode.DONE)])
def test_an_image_of_another_size_needs_fit(fit: str, code: ExitCode, photo: Path, folder: Path, mlpipe: Any) -> None:
    said = mlpipe("predict", photo, "-i", f"photo={folder / 'large.png'}", "--fit", fit)
    assert said.code is code
    if code is not ExitCode.DONE:
        assert "large.png: the image is 40 x 60 (height x width), the model takes 4 x 6" in said.err
        assert "--fit stretch, crop or pad" in said.err


def test_an_array_of_pixels_feeds_an_image_input(photo: Path, tmp_path: Path, mlpipe: Any) -> None:
    np.save(tmp_path / "pixels.npy", PIXELS)
    Image.fromarray(PIXELS).save(tmp_path / "pixels.png")
    said = [mlpipe("predict", photo, "-i", f"photo={tmp_path / name}").out for name in ("pixels.npy", "pixels.png")]
    assert said[0] == said[1] != ""


def test_an_array_of_pixels_is_fitted_as_a_picture_is(photo: Path, folder: Path, tmp_path: Path, mlpipe: Any) -> None:
    np.save(tmp_path / "large.npy", np.asarray(Image.open(folder / "large.png")))
    said = [mlpipe("predict", photo, "-i", f"photo={path}", "--fit", "crop") for path in (tmp_path / "large.npy", folder / "large.png")]
    assert said[0].code is ExitCode.DONE
    assert said[0].out == said[1].out


@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 1)])
def test_gray_pixels_have_a_channel_or_none(shape: tuple[int, ...], gray: Path, tmp_path: Path, mlpipe: Any) -> None:
    np.save(tmp_path / "pixels.npy", PIXELS[:, :, 1].reshape(shape))
    assert mlpipe("predict", gray, "-i", f"image={tmp_path / 'pixels.npy'}", "-o", tmp_path / "out.png").code is ExitCode.DONE
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "out.png")), PIXELS[:, :, 1])


def test_an_image_feeds_an_array_with_scale_bias_and_colour(planes: Path, folder: Path, tmp_path: Path, mlpipe: Any) -> None:
    for color, channels in (("rgb", [0, 1, 2]), ("bgr", [2, 1, 0])):
        output = tmp_path / f"{color}.npz"
        said = mlpipe("predict", planes, "-i", f"x={folder / 'photo.png'}", "--scale", 0.5, "--bias", -1, "--color", color, "-o", output)
        assert said.code is ExitCode.DONE, said
        expected = 2 * (PIXELS[:, :, channels].astype(np.float32) * 0.5 - 1).transpose(2, 0, 1)[None]
        np.testing.assert_array_equal(np.load(output)["doubled"], expected)


def test_an_image_output_is_written_as_a_picture(style: Path, folder: Path, tmp_path: Path, mlpipe: Any) -> None:
    given = ("predict", style, "-i", f"image={folder / 'photo.png'}", "-i", "gain=[2]")
    said = mlpipe(*given, "-o", tmp_path / "out.png")
    assert said.out.splitlines()[0].startswith("stylized  image 4 x 6 (height x width)  min 0  mean 71  max 142")
    assert mlpipe(*given, "-o", tmp_path / "many").code is ExitCode.DONE
    assert mlpipe(*given, "-o", tmp_path / "out.npz").code is ExitCode.DONE
    for found in (
        np.asarray(Image.open(tmp_path / "out.png")),
        np.asarray(Image.open(tmp_path / "many" / "stylized.png")),
        np.load(tmp_path / "out.npz")["stylized"],
    ):
        np.testing.assert_array_equal(found, PIXELS * 2)


def test_an_optional_input_has_its_default(style: Path, folder: Path, tmp_path: Path, mlpipe: Any) -> None:
    mlpipe("predict", style, "-i", f"image={folder / 'photo.png'}", "-o", tmp_path / "out.png")
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "out.png")), PIXELS)


def test_fit_takes_the_usual_size_where_several_are_allowed(style: Path, folder: Path, mlpipe: Any) -> None:
    given = ("predict", style, "-i", f"image={folder / 'large.png'}", "--json")
    refused = mlpipe(*given)
    assert (refused.code, "got 40x60" in refused.json["error"]["what"]) == (ExitCode.STEP_FAILED, True)
    found = mlpipe(*given, "--fit", "stretch").json["outputs"]["stylized"]
    assert (found["height"], found["width"]) == (4, 6)


def test_outputs_in_a_folder_and_in_json(vectors: Path, photo: Path, folder: Path, tmp_path: Path, mlpipe: Any) -> None:
    mlpipe("predict", vectors, "-i", f"x={folder / 'x.npy'}", "-i", "y=[0, 0, 0]", "-i", "n=1", "-o", tmp_path / "arrays")
    np.testing.assert_array_equal(np.load(tmp_path / "arrays" / "total.npy"), X)
    mlpipe("predict", photo, "-i", f"photo={folder / 'photo.png'}", "-o", tmp_path / "labels")
    assert json.loads((tmp_path / "labels" / "outputs.json").read_text())["label"] == "blue"
    mlpipe("predict", photo, "-i", f"photo={folder / 'photo.png'}", "-o", tmp_path / "out.json")
    written = json.loads((tmp_path / "out.json").read_text())["outputs"]
    assert (written["label"], list(written["shares"])) == ("blue", ["red", "green", "blue"])


def test_a_tap_is_shown_beside_the_outputs(program: Path, mlpipe: Any, tmp_path: Path) -> None:
    said = mlpipe("predict", program, "-i", "x=[0, 1, 2]", "--tap", "doubled", "--tap", "shifted", "-o", tmp_path / "out.npz", "--json")
    assert [said.json["taps"][name]["values"] for name in ("doubled", "shifted")] == [[0, 2, 4], [1, 3, 5]]
    with np.load(tmp_path / "out.npz") as arrays:
        assert sorted(arrays) == ["doubled", "result", "shifted"]
        np.testing.assert_allclose(arrays["result"], np.log([1, 3, 5]), rtol=1e-6)
    assert "tap doubled  float32 3  min 0  mean 2  max 4" in mlpipe("predict", program, "-i", "x=[0, 1, 2]", "--tap", "doubled").out


def test_a_function_is_chosen_and_its_state_starts_with_zeros(program: Path, mlpipe: Any) -> None:
    said = mlpipe("predict", program, "--function", "remember", "-i", "x=[0.1, 2]", "--precision", "float16", "--json").json
    assert (said["function"], said["precision"]) == ("remember", "float16")
    assert said["outputs"]["after"]["values"] == [float(np.float16(0.1)), 2.0]


@pytest.mark.parametrize(("words", "expected"), [((), [[1.0, 2.0], [3.0, 4.0]]), (("--keep-state",), [[1.0, 2.0], [4.0, 6.0]])])
def test_a_state_is_carried_only_where_it_is_asked_for(words: tuple[str, ...], expected: Any, program: Path, tmp_path: Path, mlpipe: Any) -> None:
    np.save(tmp_path / "x.npy", np.asarray([[1, 2], [3, 4]], np.float32))
    said = mlpipe("predict", program, "--function", "remember", "--samples", tmp_path / "x.npy", *words, "--json").json
    assert [sample["outputs"]["after"]["values"] for sample in said["samples"]] == expected


def test_python_takes_values_as_they_are(vectors: Path, photo: Path) -> None:
    (prediction,) = api.predict(vectors, {"x": X, "y": [1, 1, 1], "n": 3})
    np.testing.assert_array_equal(prediction.outputs["total"], X + 1)
    (prediction,) = api.predict(photo, {"photo": Image.fromarray(PIXELS)})
    assert prediction.outputs["label"] == "blue"


def test_overflows_are_named_by_layer(halves: Path, mlpipe: Any) -> None:
    given = ("predict", halves, "--overflows")
    said = mlpipe(*given, "-i", "x=[300, 1]", "--json").json
    assert [(entry["name"], entry["type"]) for entry in said["overflows"]] == [("squared", "mul")]
    assert mlpipe(*given, "-i", "x=[300, 1]").out.splitlines()[-1] == "overflow: squared (mul) becomes infinite in 1 element, where float32 has up to 90000"
    assert mlpipe(*given, "-i", "x=[1, 2]").out.splitlines()[-1] == "no layer comes near the end of float16"


def test_a_reference_stands_in_for_a_custom_layer(custom: Path, mlpipe: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "swish.py").write_text("import numpy as np\n\ndef swish(x, beta):\n    return x / (1 + np.exp(-beta * x))\n")
    said = mlpipe("predict", custom, "-i", "x=[1, -2, 3]", "--custom-layer", "Swish=swish.py:swish", "--json")
    assert said.err == "note: the outputs rest on what was given for Swish, not on the app's own class\n"
    x = np.asarray([1, -2, 3])
    np.testing.assert_allclose(said.json["outputs"]["y"]["values"], x / (1 + np.exp(-2 * x)), rtol=1e-6)
    (prediction,) = api.predict(custom, {"x": [1, -2, 3]}, custom_layers={"Swish": lambda x, beta: x * beta})
    np.testing.assert_array_equal(prediction.outputs["y"], x * 2)


def test_dictionaries_and_text_are_inputs_too(tmp_path: Path, mlpipe: Any) -> None:
    words = model_pb2().Model(specificationVersion=1)
    words.description.input.add(name="counts").type.dictionaryType.stringKeyType.SetInParent()
    vector = words.description.output.add(name="vector").type.multiArrayType
    vector.shape.append(2)
    vector.dataType = 65600
    words.dictVectorizer.stringToIndex.vector.extend(["good", "bad"])
    path = write_canonical(words, tmp_path / "words.mlmodel")
    found = mlpipe("predict", path, "-i", 'counts={"bad": 3, "good": 1.5, "other": 7}', "--json").json["outputs"]["vector"]["values"]
    assert found == [1.5, 3.0]

    words.description.input[0].type.dictionaryType.int64KeyType.SetInParent()
    words.dictVectorizer.int64ToIndex.vector.extend([-4, 2])
    path = write_canonical(words, tmp_path / "numbers.mlmodel")
    assert mlpipe("predict", path, "-i", 'counts={"2": 3, "-4": 1.5}', "--json").json["outputs"]["vector"]["values"] == [1.5, 3.0]

    colors = model_pb2().Model(specificationVersion=1)
    colors.description.input.add(name="color").type.stringType.SetInParent()
    vector = colors.description.output.add(name="vector").type.multiArrayType
    vector.shape.append(2)
    vector.dataType = 65600
    colors.oneHotEncoder.stringCategories.vector.extend(["red", "[1, 2]"])
    path = write_canonical(colors, tmp_path / "colors.mlmodel")
    (tmp_path / "color.txt").write_text("red")
    for given, expected in (("red", [1.0, 0.0]), ("[1, 2]", [0.0, 1.0]), (f"@{tmp_path / 'color.txt'}", [1.0, 0.0])):
        assert mlpipe("predict", path, "-i", f"color={given}", "--json").json["outputs"]["vector"]["values"] == expected
