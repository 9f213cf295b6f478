"""What `mlpipe predict` says of what it cannot take: what, why, what to do, and the exit code. 2: the command line is wrong; 3: the data or the model are."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mlpipe.exit_codes import ExitCode
from mlpipe.model_files.protobuf import model_pb2

WRONG, FAILED = ExitCode.RECIPE_WRONG, ExitCode.STEP_FAILED
Y_AND_N = ("-i", "y=[0, 0, 0]", "-i", "n=1")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the working directory, with files that are wrong in one way each."""
    made = tmp_path / "given"
    made.mkdir()
    np.save(made / "short.npy", np.zeros(2, np.float32))
    np.save(made / "row.npy", np.zeros((1, 3), np.float32))
    np.save(made / "text.npy", np.asarray(["a", "b", "c"]))
    np.save(made / "complex.npy", np.zeros(3, np.complex64))
    np.save(made / "objects.npy", np.asarray([{}, {}, {}]), allow_pickle=True)
    np.save(made / "half.npy", np.asarray([0.5], np.float32))
    np.save(made / "huge.npy", np.asarray([2**40], np.int64))
    np.save(made / "nan.npy", np.asarray([np.nan], np.float32))
    np.savez(made / "several.npz", a=np.zeros(3), b=np.zeros(3))
    np.save(made / "whole.npy", np.zeros(1000, np.float32))
    whole = (made / "whole.npy").read_bytes()
    (made / "cut.npy").write_bytes(whole[: len(whole) // 2])
    (made / "no.npy").write_bytes(b"this is no array")
    np.savez(made / "whole.npz", x=np.zeros(1000, np.float32))
    (made / "cut.npz").write_bytes((made / "whole.npz").read_bytes()[:700])
    with zipfile.ZipFile(made / "flipped.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x.npy", whole)
    data = bytearray((made / "flipped.npz").read_bytes())
    data[60] ^= 0xFF
    (made / "flipped.npz").write_bytes(data)
    (made / "bad.json").write_text("[1, 2,")
    (made / "words.txt").write_text("1 2 three")
    (made / "sound.wav").write_bytes(b"RIFF")
    Image.fromarray(np.zeros((4, 6, 3), np.uint8)).save(made / "photo.png")
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (4, 6, 3), np.uint8)).save(made / "cut.png")
    (made / "cut.png").write_bytes((made / "cut.png").read_bytes()[:80])
    (made / "no.png").write_text("this is no picture")
    Image.fromarray(np.zeros((4, 6, 4), np.uint8)).save(made / "clear.png")
    monkeypatch.chdir(made)
    return made


ROWS = [
    # what is given for x of the three-vector model, exit code, words that the message has
    ("x=missing.npy", WRONG, ["input 'x': 'missing.npy' is neither a file nor a value", "fix: give a .npy"]),
    ("x=several.npz:", WRONG, ["neither a file nor a value"]),
    ("x=[1, 2", WRONG, ["'[1, 2' is neither a file nor a value", "why: as JSON"]),
    ("x", WRONG, ["expected NAME=VALUE"]),
    ("=3", WRONG, ["expected NAME=VALUE"]),
    ("x=", WRONG, ["expected NAME=VALUE"]),
    ("xx=[1, 2, 3]", WRONG, ["the model has no input 'xx'", "did you mean 'x'?", "'x', 'y', 'n'"]),
    ("x=[1, 2]", FAILED, ["'x' does not fit: expected float32 array 3, got shape 2"]),
    ("x=[[1, 2, 3]]", FAILED, ["got shape 1x3"]),
    ("x=3", FAILED, ["got shape ()"]),
    ("x=short.npy", FAILED, ["got shape 2"]),
    ("x=row.npy", FAILED, ["got shape 1x3"]),
    ("x=[[1], [2, 3]]", FAILED, ["input 'x': the lists have different lengths"]),
    ('x=["a", "b", "c"]', FAILED, ["input 'x' takes numbers"]),
    ('x={"a": 1}', FAILED, ["input 'x' takes numbers"]),
    ("x=null", WRONG, ["'null' is neither a file nor a value"]),
    ("x=[100000000000000000000, 1, 2]", FAILED, ["whole numbers beyond 64 bits"]),
    ("x=text.npy", FAILED, ["an array of <U1"]),
    ("x=complex.npy", FAILED, ["an array of complex64"]),
    ("x=objects.npy", FAILED, ["objects.npy is damaged, or holds no numbers"]),
    ("x=cut.npy", FAILED, ["cut.npy is damaged"]),
    ("x=no.npy", FAILED, ["no.npy is no .npy or .npz"]),
    ("x=cut.npz", FAILED, ["cut.npz is no .npy or .npz"]),
    ("x=flipped.npz", FAILED, ["flipped.npz is damaged"]),
    ("x=several.npz", FAILED, ["has no array 'x'", "its arrays are a, b", "several.npz:a"]),
    ("x=several.npz:c", FAILED, ["has no array 'c'", "a, b"]),
    ("x=bad.json", FAILED, ["bad.json is no JSON"]),
    ("x=words.txt", FAILED, ["words.txt holds something that is no number", "three"]),
    ("x=sound.wav", FAILED, ["sound.wav is no file that inputs are read from"]),
    ("x=photo.png", FAILED, ["photo.png is an image, and input 'x' is a float32 array 3"]),
]


@pytest.mark.parametrize(("given", "code", "words"), ROWS, ids=[row[0] for row in ROWS])
def test_a_wrong_array(given: str, code: ExitCode, words: list[str], vectors: Path, folder: Path, mlpipe: Any) -> None:  # noqa: ARG001
    said = mlpipe("predict", vectors, "--input", given, *Y_AND_N)
    assert said.code is code, said
    assert said.out == ""
    for word in words:
        assert word in said.err
    error = mlpipe("predict", vectors, "--input", given, *Y_AND_N, "--json")
    assert (error.code, error.json["error"]["code"][0]) == (code, "E")


@pytest.mark.parametrize(
    ("given", "words"),
    [("n=0.5", "not whole"), ("n=half.npy", "not whole"), ("n=nan.npy", "not whole"), ("n=huge.npy", "1099511627776"), ("n=[1, 2]", "got shape 2")],
)
def test_a_wrong_whole_number(given: str, words: str, vectors: Path, folder: Path, mlpipe: Any) -> None:  # noqa: ARG001
    given = given.replace("=0.5", "=[0.5]")
    said = mlpipe("predict", vectors, "-i", "x=[0, 0, 0]", "-i", "y=[0, 0, 0]", "-i", given)
    assert (said.code, words in said.err) == (FAILED, True), said


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("cut.png", "cut.png cannot be read as an image"),
        ("no.png", "no.png cannot be read as an image"),
        ("clear.png", "clear.png has transparent pixels"),
        ("short.npy", "expected rgb image 4x6"),
        ("sound.wav", "sound.wav is no file"),
        ("3", "expected rgb image 4x6"),
    ],
)
def test_a_wrong_image(given: str, words: str, photo: Path, folder: Path, mlpipe: Any) -> None:  # noqa: ARG001
    said = mlpipe("predict", photo, "-i", f"photo={given}")
    assert (said.code, words in said.err) == (FAILED, True), said


@pytest.mark.parametrize("words", [("--scale", "2"), ("--bias", "-1"), ("--color", "bgr")])
def test_pixels_of_image_inputs_are_not_changed(words: tuple[str, ...], photo: Path, folder: Path, mlpipe: Any) -> None:  # noqa: ARG001
    said = mlpipe("predict", photo, "-i", "photo=photo.png", *words)
    assert (said.code, "image inputs take pixels as they are" in said.err) == (WRONG, True), said


def test_missing_inputs_are_all_named_with_what_they_take(vectors: Path, mlpipe: Any) -> None:
    said = mlpipe("predict", vectors, "-i", "y=[1, 2, 3]")
    assert said.code is WRONG
    assert "inputs are missing: 'x', a float32 array 3; 'n', a int32 array 1" in said.err
    assert "fix: give them: --input x=values.npy --input n=values.npy" in said.err
    assert "an input is missing: 'n'" in mlpipe("predict", vectors, "-i", "y=[1, 2, 3]", "-i", "x=[1, 2, 3]").err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("-i", "x=[1]", "-i", "x=[2]"), "--input x is given twice"),
        (("--limit", "2"), "--limit is for --samples"),
        (("--keep-state",), "--keep-state is for --samples"),
        (("--crop-fraction", "0.5"), "--crop-fraction is for --fit crop"),
        (("-o", "out.csv"), "no form that outputs are written in"),
        (("-o", "out.png"), "there is no image of 8 bits to write"),
        (("--tap", "zzz"), "mlpipe inspect --values lists what can be tapped"),
        (("--tap", "dubled"), "did you mean 'doubled'"),
        (("--function", "triple"), "its functions are 'double', 'remember'"),
        (("--precision", "float64"), "'float64' is not one of"),
        (("--fit", "squeeze"), "'squeeze' is not one of"),
        (("--crop-fraction", "0"), "not in the range"),
        (("--samples", "nowhere/*.npy"), "there are no samples at 'nowhere/*.npy'"),
    ],
)
def test_a_wrong_command_line(words: tuple[str, ...], message: str, program: Path, mlpipe: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    given = () if "--samples" in words or "-i" in words else ("-i", "x=[1, 2, 3]")
    said = mlpipe("predict", program, *given, *words)
    assert (said.code, message in said.err) == (WRONG, True), said


def test_a_file_that_is_no_model(tmp_path: Path, mlpipe: Any) -> None:
    assert mlpipe("predict", tmp_path / "none.mlmodel").code is WRONG
    keras = tmp_path / "model.keras"
    keras.write_bytes(b"PK")
    said = mlpipe("predict", keras)
    assert (said.code, "only Core ML models are executed" in said.err, "convert it first" in said.err) == (WRONG, True, True)


def test_a_truncated_model(program: Path, mlpipe: Any) -> None:
    inside = program / "Data" / "com.apple.CoreML" / "model.mlmodel"
    inside.write_bytes(inside.read_bytes()[:-20])
    said = mlpipe("predict", program, "-i", "x=[1, 2, 3]")
    assert (said.code, "damaged, truncated or no Core ML model" in said.err) == (FAILED, True), said
    shutil.rmtree(program / "Data")
    assert mlpipe("predict", program, "-i", "x=[1, 2, 3]").code is FAILED


def test_every_layer_that_is_not_supported_is_named(vectors: Path, mlpipe: Any) -> None:
    spec = model_pb2().Model.FromString(vectors.read_bytes())
    for name in ("one", "two"):
        custom = spec.neuralNetwork.layers.add(name=name, input=["x"], output=[name])
        custom.custom.className = "Mine"
    vectors.write_bytes(spec.SerializeToString())
    said = mlpipe("predict", vectors, "-i", "x=[1, 2, 3]")
    assert said.code is FAILED
    assert "cannot execute 2 layers" in said.err
    assert "'one'" in said.err
    assert "'two'" in said.err


def test_an_output_that_cannot_be_written(program: Path, tmp_path: Path, mlpipe: Any) -> None:
    (tmp_path / "file").write_text("")
    for place in ("file/out.npz", "file/out.json", "file/folder"):
        said = mlpipe("predict", program, "-i", "x=[1, 2, 3]", "-o", tmp_path / place)
        assert (said.code, "the outputs cannot be written" in said.err) == (FAILED, True), said


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ((), FAILED, "say what stands in for a class: --custom-layer CLASS=FILE.py:FUNCTION"),
        (("--custom-layer", "Swish"), WRONG, "expected CLASS=FILE.py:FUNCTION"),
        (("--custom-layer", "Swish=nowhere.py:swish"), FAILED, "cannot be read"),
        (("--custom-layer", "Swash=swish.py:broken"), WRONG, "no custom class 'Swash'"),
        (("--custom-layer", "Swish=swish.py:mish"), WRONG, "swish.py has no function mish"),
        (("--custom-layer", "Swish=swish.py:broken"), FAILED, "ZeroDivisionError"),
    ],
)
def test_a_custom_layer_without_a_reference_that_works(words: tuple[str, ...], code: ExitCode, message: str, custom: Path, folder: Path, mlpipe: Any) -> None:
    (folder / "swish.py").write_text("def broken(x, beta):\n    return 1 / 0\n")
    said = mlpipe("predict", custom, "-i", "x=[1, -2, 3]", *words)
    assert (said.code, message in said.err) == (code, True), said


def test_classic_models_and_pipelines_have_nothing_to_tap_or_export(pipeline: Path, words: Path, tmp_path: Path, mlpipe: Any) -> None:
    for model, given, message in ((pipeline, ("-i", "a=1", "-i", "b=2"), "no layers of its own"), (words, ("-i", 'counts={"bad": 1}'), "no layers to tap")):
        said = mlpipe("predict", model, *given, "--tap", "both")
        assert (said.code, message in said.err, "--values" in said.err) == (WRONG, True, False), said
        export = mlpipe("export", model, "-o", tmp_path / "out.onnx")
        assert (export.code, "neither is one graph" in export.err) == (FAILED, True), export


@pytest.mark.parametrize(
    ("given", "words_said"), [("[1]", "expected dictionary of string keys and numbers, got list"), ('{"bad": "x"}', "the value 'x' of 'bad'")]
)
def test_a_wrong_dictionary(given: str, words_said: str, words: Path, mlpipe: Any) -> None:
    said = mlpipe("predict", words, "-i", f"counts={given}")
    assert (said.code, words_said in said.err) == (FAILED, True), said
