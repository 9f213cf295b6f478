"""`mlpipe init` on files that need no framework: what it writes loads as a recipe that the model can carry out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mlpipe.cli.main import run
from mlpipe.exit_codes import ExitCode
from mlpipe.model_files.protobuf import model_pb2
from mlpipe.model_files.write import write_canonical
from mlpipe.recipe.template import recipe_text
from mlpipe.recipe.workspace import load_plan


def model(folder: Path, specification: int, kind: str) -> Path:
    """Return a model with one input and nothing in it."""
    spec = model_pb2().Model(specificationVersion=specification)
    for feature in (spec.description.input.add(name="x"), spec.description.output.add(name="y")):
        feature.type.multiArrayType.shape.extend([2])
        feature.type.multiArrayType.dataType = 65568
    getattr(spec, kind).SetInParent()
    return write_canonical(spec, folder / ("model.mlpackage" if kind == "mlProgram" else "model.mlmodel"))


@pytest.mark.parametrize(
    ("specification", "kind", "variants"),
    [
        (1, "neuralNetwork", ["linear-8", "lut-8", "lut-6"]),
        (7, "mlProgram", ["linear-8", "lut-8", "lut-6"]),
        (6, "mlProgram", []),  # iOS 15 has no compressed weights
    ],
)
def test_a_recipe_asks_for_no_more_than_the_file_can_hold(specification: int, kind: str, variants: list[str], tmp_path: Path) -> None:
    path = model(tmp_path, specification, kind)
    assert run(["init", str(path)]) is ExitCode.DONE
    plan = load_plan(tmp_path / "recipe.yaml")
    assert [variant.name for variant in plan.variants] == variants
    assert plan.source.coreml == str(path)


@pytest.mark.parametrize(("shape", "written"), [([None, None, None, 3], [1, 64, 64, 3]), ([2, None, 5], [1, 64, 5]), ([None, 8, 8, 3], None)])
def test_sizes_that_the_source_leaves_open_are_chosen(shape: list[int | None], written: list[int] | None, tmp_path: Path) -> None:
    (tmp_path / "m.keras").touch()
    feature = {"dtype": "float32", "shape": shape}
    text = recipe_text("m", "keras", "m.keras", {"inputs": [{"name": "image", **feature}], "outputs": [{"name": "y", **feature}]})
    (tmp_path / "recipe.yaml").write_text(text, encoding="utf-8")
    convert = load_plan(tmp_path / "recipe.yaml").convert
    assert convert is not None
    assert {name: entry.shape for name, entry in convert.inputs.items()} == ({} if written is None else {"image": written})


@pytest.mark.parametrize(
    ("shape", "dtype", "is_one"), [([None, 4], "float32", True), ([1, 4], "float32", True), ([3, 4], "float32", False), ([None, 4], "int32", False)]
)
def test_only_scores_are_held_against_each_other_by_class(shape: list[int | None], dtype: str, is_one: bool) -> None:
    feature = {"name": "y", "dtype": dtype, "shape": shape}
    text = recipe_text("m", "keras", "m.keras", {"inputs": [{"name": "x", "dtype": "float32", "shape": [None, 2]}], "outputs": [feature]})
    assert ("top1_agreement" in text) is is_one


def test_a_folder_stands_for_the_recipe_in_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["init", str(model(tmp_path, 4, "neuralNetwork"))]) is ExitCode.DONE
    capsys.readouterr()
    for words in (["show"], ["plan"]):
        assert run([*words, str(tmp_path)]) is ExitCode.DONE
        of_folder = capsys.readouterr().out
        assert run([*words, str(tmp_path / "recipe.yaml")]) is ExitCode.DONE
        assert of_folder == capsys.readouterr().out


def test_a_recipe_that_is_there_stays(tmp_path: Path, capsys: pytest.CaptureFixture[Any]) -> None:
    path = model(tmp_path, 4, "neuralNetwork")
    (tmp_path / "recipe.yaml").write_text("mine")
    assert run(["init", str(path), "--json"]) is ExitCode.RECIPE_WRONG
    assert "exists already" in json.loads(capsys.readouterr().out)["error"]["what"]
    assert (tmp_path / "recipe.yaml").read_text() == "mine"
    assert run(["init", str(path), "--force"]) is ExitCode.DONE
    assert (tmp_path / "recipe.yaml").read_text() != "mine"


@pytest.mark.parametrize("words", [["init", "model.onnx"], ["run", "recipe.yaml"], ["plan", "recipe.yaml"]])
def test_a_kind_of_source_without_a_reader_is_no_bug(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.onnx").write_bytes(b"anything")
    if words[0] != "init":
        (tmp_path / "recipe.yaml").write_text("source: {onnx: model.onnx}\n")
    assert run(words) is ExitCode.RECIPE_WRONG
    assert "source.onnx: this version of mlpipe cannot read such a model" in capsys.readouterr().err
