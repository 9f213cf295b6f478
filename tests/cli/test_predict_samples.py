"""`mlpipe predict --samples`: many predictions, from folders, globs and array files, each bad sample by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mlpipe.exit_codes import ExitCode
from mlpipe.model_files.protobuf import model_pb2

ROWS = np.random.default_rng(1).integers(0, 200, (5, 3)).astype(np.float32)
FIXED = ("-i", "y=[1, 1, 1]", "-i", "n=[0]")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Return a folder of pictures, each with one strongest colour, and files that are none."""
    made = tmp_path / "pictures"
    for name, color in (("a/red.png", 0), ("a/green.png", 1), ("b/blue.png", 2)):
        pixels = np.full((4, 6, 3), 10, np.uint8)
        pixels[:, :, color] = 200
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(made / name)
    (made / "labels.csv").write_text("file,label\n")
    (made / ".hidden.png").write_text("")
    return made


def test_a_folder_of_pictures(pictures: Path, photo: Path, mlpipe: Any) -> None:
    said = mlpipe("predict", photo, "--samples", pictures)
    assert said.code is ExitCode.DONE
    assert [line for line in said.out.splitlines() if line.endswith(".png:")] == ["a/green.png:", "a/red.png:", "b/blue.png:"]
    assert [line.split()[-1] for line in said.out.splitlines() if "label" in line] == ["green", "red", "blue"]
    assert said.err.splitlines() == ["note: passed over, neither images nor arrays: labels.csv"]
    (found,) = mlpipe("predict", photo, "--samples", pictures / "a" / "*.png", "--limit", 1, "--json").json["samples"]
    assert (found["sample"], found["outputs"]["label"]["values"]) == ("green.png", "green")


def test_a_bad_sample_is_named_and_the_others_go_on(pictures: Path, photo: Path, mlpipe: Any, tmp_path: Path) -> None:
    Image.fromarray(np.zeros((5, 5, 3), np.uint8)).save(pictures / "b" / "size.png")
    (pictures / "b" / "broken.png").write_text("no picture")
    said = mlpipe("predict", photo, "--samples", pictures, "-o", tmp_path / "out.npz")
    assert said.code is ExitCode.STEP_FAILED
    assert "b/broken.png: broken.png cannot be read as an image" in said.err
    assert "b/size.png: size.png: the image is 5 x 5 (height x width), the model takes 4 x 6; say --fit" in said.err
    assert said.err.splitlines()[-1] == "2 of 5 samples failed"
    assert "label   blue" in said.out
    with np.load(tmp_path / "out.npz") as arrays:
        assert (arrays["samples"].tolist(), arrays["label"].tolist()) == (["a/green.png", "a/red.png", "b/blue.png"], ["green", "red", "blue"])
        assert arrays["shares"].shape == (3, 3)
    found = mlpipe("predict", photo, "--samples", pictures, "--json").json
    assert (found["failed"], [entry["sample"] for entry in found["samples"] if "error" in entry]) == (2, ["b/broken.png", "b/size.png"])


@pytest.mark.parametrize("name", ["rows.npz", "rows.npz:x", "rows.npy", "one.npz"])
def test_an_array_file_has_samples_along_its_first_axis(name: str, vectors: Path, tmp_path: Path, mlpipe: Any) -> None:
    np.savez(tmp_path / "rows.npz", x=ROWS, labels=np.arange(5))
    np.savez(tmp_path / "one.npz", anything=ROWS)
    np.save(tmp_path / "rows.npy", ROWS)
    said = mlpipe("predict", vectors, "--samples", f"{tmp_path / name}", *FIXED, "-o", tmp_path / "out.npz")
    assert said.code is ExitCode.DONE, said
    assert said.err == ("note: passed over, no inputs: labels\n" if name == "rows.npz" else "")
    with np.load(tmp_path / "out.npz") as arrays:
        np.testing.assert_array_equal(arrays["total"], ROWS + 1)
        assert arrays["samples"].tolist() == ["0", "1", "2", "3", "4"]


def test_an_array_file_feeds_several_inputs(vectors: Path, tmp_path: Path, mlpipe: Any) -> None:
    np.savez(tmp_path / "all.npz", x=ROWS, y=ROWS * 2, n=np.arange(5)[:, None])
    mlpipe("predict", vectors, "--samples", tmp_path / "all.npz", "--limit", 3, "-o", tmp_path / "out.json")
    written = json.loads((tmp_path / "out.json").read_text())["samples"]
    assert [entry["outputs"]["count"] for entry in written] == [[0], [1], [2]]
    assert [entry["outputs"]["total"] for entry in written] == (ROWS[:3] * 3).tolist()


@pytest.mark.parametrize("place", ["all.npz", "folder"])
def test_an_optional_input_is_fed_where_its_array_is_there(place: str, style: Path, tmp_path: Path, mlpipe: Any) -> None:
    pixels = np.random.default_rng(0).integers(0, 100, (2, 4, 6, 3)).astype(np.uint8)
    np.savez(tmp_path / "all.npz", image=pixels, gain=np.asarray([[2], [2]], np.float32))
    (tmp_path / "folder").mkdir()
    for number in range(2):
        np.savez(tmp_path / "folder" / f"{number}.npz", image=pixels[number], gain=np.asarray([2], np.float32))
    assert mlpipe("predict", style, "--samples", tmp_path / place, "-o", tmp_path / "out.npz").code is ExitCode.DONE
    np.testing.assert_array_equal(np.load(tmp_path / "out.npz")["stylized"], pixels * 2)


def test_rows_without_the_batch_axis_get_it(planes: Path, tmp_path: Path, mlpipe: Any) -> None:
    values = np.random.default_rng(0).normal(size=(2, 3, 4, 6)).astype(np.float32)
    for rows in (values, values[:, None]):
        np.save(tmp_path / "rows.npy", rows)
        assert mlpipe("predict", planes, "--samples", tmp_path / "rows.npy", "-o", tmp_path / "out.npz").code is ExitCode.DONE
        np.testing.assert_array_equal(np.load(tmp_path / "out.npz")["doubled"], values[:, None] * 2)


def test_a_folder_of_arrays_has_a_file_a_sample(vectors: Path, tmp_path: Path, mlpipe: Any) -> None:
    folder = tmp_path / "arrays"
    folder.mkdir()
    for number, row in enumerate(ROWS[:2]):
        np.savez(folder / f"{number}.npz", x=row, y=row, n=[number])
    assert mlpipe("predict", vectors, "--samples", folder, "-o", tmp_path / "out").code is ExitCode.DONE
    for number, row in enumerate(ROWS[:2]):
        np.testing.assert_array_equal(np.load(tmp_path / "out" / f"{number}.npz" / "total.npy"), row * 2)


def test_pictures_go_out_as_they_came_in(pictures: Path, style: Path, tmp_path: Path, mlpipe: Any) -> None:
    assert mlpipe("predict", style, "--samples", pictures, "-o", tmp_path / "out").code is ExitCode.DONE
    for name in ("a/red.png", "b/blue.png"):
        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "out" / name / "stylized.png")), np.asarray(Image.open(pictures / name)))


@pytest.mark.parametrize(
    ("arrays", "code", "words"),
    [
        ({"x": ROWS[:0], "y": ROWS[:0], "n": ROWS[:0, :1]}, ExitCode.STEP_FAILED, "rows.npz has no samples"),
        ({"x": ROWS}, ExitCode.STEP_FAILED, "has no array 'y'\n  why: its arrays are x\n  fix: name the arrays as the inputs"),
        ({"x": ROWS, "y": ROWS[:2], "n": np.zeros((5, 1), np.int32)}, ExitCode.STEP_FAILED, "different numbers of samples (x 5, y 2, n 5)"),
        ({"x": ROWS[:, :2], "y": ROWS, "n": np.zeros((5, 1), np.int32)}, ExitCode.STEP_FAILED, "has samples of shape [2]"),
        ({"x": ROWS, "y": ROWS, "n": np.full((5, 1), 0.5)}, ExitCode.STEP_FAILED, "5 of 5 samples failed"),
        ({"x": np.asarray(["a"]), "y": ROWS, "n": ROWS}, ExitCode.STEP_FAILED, "not numbers"),
    ],
)
def test_an_array_file_that_does_not_fit(arrays: dict[str, np.ndarray], code: ExitCode, words: str, vectors: Path, tmp_path: Path, mlpipe: Any) -> None:
    np.savez(tmp_path / "rows.npz", **arrays)
    said = mlpipe("predict", vectors, "--samples", tmp_path / "rows.npz")
    assert (said.code, words in said.err) == (code, True), said


def test_pictures_for_a_model_of_several_inputs_say_what_to_do(pictures: Path, vectors: Path, mlpipe: Any) -> None:
    said = mlpipe("predict", vectors, "--samples", pictures)
    assert said.code is ExitCode.STEP_FAILED
    assert "the model takes 'x', 'y', 'n'" in said.err
    assert "give the others with --input" in said.err


def test_an_npz_cannot_hold_outputs_of_several_shapes(style: Path, tmp_path: Path, mlpipe: Any) -> None:
    folder = tmp_path / "sizes"
    folder.mkdir()
    for size in (3, 5):
        Image.fromarray(np.zeros((size, size, 3), np.uint8)).save(folder / f"{size}.png")
    said = mlpipe("predict", style, "--samples", folder, "-o", tmp_path / "out.npz")
    assert (said.code, "'stylized' has different shapes" in said.err) == (ExitCode.RECIPE_WRONG, True)
    assert mlpipe("predict", style, "--samples", folder, "-o", tmp_path / "out.json").code is ExitCode.DONE


def test_an_array_of_another_name_can_be_named(planes: Path, tmp_path: Path, mlpipe: Any) -> None:
    np.savez(tmp_path / "rows.npz", images=np.zeros((2, 3, 4, 6), np.float32), labels=np.arange(2))
    said = mlpipe("predict", planes, "--samples", tmp_path / "rows.npz")
    place = f"{tmp_path / 'rows.npz'}:images"
    assert (said.code, f"fix: name it: --samples {place}" in said.err) == (ExitCode.STEP_FAILED, True), said
    found = mlpipe("predict", planes, "--samples", place, "-o", tmp_path / "out.npz", "--json").json
    assert (found["written"], len(found["samples"]), found["failed"]) == (str(tmp_path / "out.npz"), 2, 0)
    assert "written" not in mlpipe("predict", planes, "--samples", place, "--json").json


def test_a_folder_of_json_feeds_dictionaries(words: Path, tmp_path: Path, mlpipe: Any) -> None:
    folder = tmp_path / "counts"
    folder.mkdir()
    (folder / "0.json").write_text('{"good": 2, "other": 1}')
    (folder / "1.json").write_text('{"bad": 0.5}')
    found = mlpipe("predict", words, "--samples", folder, "--json").json["samples"]
    assert [(entry["sample"], entry["outputs"]["vector"]["values"]) for entry in found] == [("0.json", [2, 0]), ("1.json", [0, 0.5])]


def test_a_json_names_the_inputs_of_one_sample(pipeline: Path, tmp_path: Path, mlpipe: Any) -> None:
    folder = tmp_path / "pairs"
    folder.mkdir()
    for number, text in enumerate(['{"a": 1, "b": 2}', '{"a": 2, "b": 1}', '{"a": 2}', '{"a": 2, "b": 1, "c": 3}', "[1, 2]"]):
        (folder / f"{number}.json").write_text(text)
    said = mlpipe("predict", pipeline, "--samples", folder)
    assert [line.split()[-1] for line in said.out.splitlines() if "greater" in line] == ["second", "first"]
    assert said.code is ExitCode.STEP_FAILED
    for words in ("2.json has no value for the input 'b'", "3.json does not name the model's inputs", "4.json feeds one input", "3 of 5 samples failed"):
        assert words in said.err
    only = mlpipe("predict", pipeline, "--samples", folder / "[4].json", "-i", "a=1")
    assert "input 'b' does not fit" in only.err


def test_json_beside_arrays_is_no_sample(planes: Path, tmp_path: Path, mlpipe: Any) -> None:
    folder = tmp_path / "planes"
    folder.mkdir()
    np.save(folder / "x.npy", np.zeros((1, 3, 4, 6), np.float32))
    (folder / "notes.json").write_text("{}")
    assert mlpipe("predict", planes, "--samples", folder).err.splitlines() == ["note: passed over, neither images nor arrays: notes.json"]


def test_text_files_feed_strings(tmp_path: Path, mlpipe: Any) -> None:
    spec = model_pb2().Model(specificationVersion=1)
    spec.description.input.add(name="word").type.stringType.SetInParent()
    spec.description.output.add(name="number").type.int64Type.SetInParent()
    spec.categoricalMapping.stringToInt64Map.map["3"] = 7
    (tmp_path / "map.mlmodel").write_bytes(spec.SerializeToString())
    (tmp_path / "word.txt").write_text("3")
    (found,) = mlpipe("predict", tmp_path / "map.mlmodel", "--samples", tmp_path / "word.txt", "--json").json["samples"]
    assert found["outputs"]["number"]["values"] == 7
