"""Every mistake of mistakes.txt: its message and its place. A block is a recipe, then `=> message` lines; `shape` where the JSON Schema sees it too."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest

from mlpipe.errors import RecipeErrors
from mlpipe.exit_codes import ExitCode
from mlpipe.recipe.json_schema import json_schema
from mlpipe.recipe.loader import parse
from mlpipe.recipe.plan import Plan

_BLOCKS = Path(__file__).with_name("mistakes.txt").read_text(encoding="utf-8").split("---\n")


def _parts(block: str) -> tuple[str, list[str], bool]:
    lines = block.splitlines()
    recipe = [line for line in lines if not line.startswith("=>") and line != "shape"]
    return "\n".join(recipe) + "\n", [line[3:] for line in lines if line.startswith("=>")], "shape" in lines


CASES = [_parts(block) for block in _BLOCKS]
IDS = [re.sub(r"^[^ ]* ", "", expected[0])[:60] for _, expected, _ in CASES]


@pytest.mark.parametrize(("recipe", "expected", "_shape"), CASES, ids=IDS)
def test_a_mistake_has_this_message_at_this_place(recipe: str, expected: list[str], _shape: bool, mistakes_of: Callable[[str], list[str]]) -> None:
    assert mistakes_of(recipe) == expected


@pytest.mark.parametrize(("recipe", "expected", "_shape"), CASES, ids=IDS)
def test_the_place_is_where_the_word_in_question_stands(recipe: str, expected: list[str], _shape: bool) -> None:
    for message in expected:
        where, _, what = message.partition(": ")
        line, column = (int(part) for part in where.split(":")[1:])
        text = recipe.splitlines()[line - 1][column - 1 :] if line <= recipe.count("\n") else ""
        word = re.search(r"(?:unknown key|duplicate key|no such file:|no file matches) '([^']*)'|got '?([^':]+)'?(?:$|,|:)", what)
        if word and (found := word[1] or word[2]) not in {"nothing", "a list", "keys and values", "a single value", "none", "nan"} and " and " not in found:
            assert found in text.split("}")[0]
            assert text.lstrip("'\"").startswith(found) or found in ("dB", "%")


@pytest.mark.parametrize(("recipe", "expected", "shape"), CASES, ids=IDS)
def test_the_json_schema_sees_mistakes_of_shape_and_only_those(recipe: str, expected: list[str], shape: bool) -> None:
    if any(word in expected[0] for word in ("YAML", "duplicate key", "at the top", "alias", "the tag", "a key must", "is empty")):
        return  # not data yet
    validator = jsonschema.Draft202012Validator(json_schema())
    assert validator.is_valid(parse(recipe, Path("recipe.yaml")).plain()) is not shape


def test_all_mistakes_are_shown_at_once_in_the_order_of_the_file(plan_of: Callable[[str], Plan]) -> None:
    recipe = """
name: a/b
source: {keras: ${here}, sha256: x}
convert: {to: neuralnetwrk}
quantize:
  a: {method: liner}
  b: {method: linear, bits: 12}
gate:
  a: {snr_db: "=> 3"}
release: {variant: zz, nam: y}
""".replace("${here}", '"${here}"')
    with pytest.raises(RecipeErrors) as raised:
        plan_of(recipe)
    assert raised.value.exit_code == ExitCode.RECIPE_WRONG
    where = [(error.where.line, error.where.column) for error in raised.value.errors]  # type: ignore[union-attr]
    assert where == [(2, 7), (3, 17), (3, 36), (4, 15), (6, 15), (7, 29), (9, 15), (10, 24)]


def test_a_file_below_the_working_directory_is_shown_relative_to_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch, mistakes_of: Callable[[str], list[str]]
) -> None:
    assert mistakes_of("sourc: {}")[0].startswith("recipe.yaml:1:1: ")
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")
    assert mistakes_of("sourc: {}")[0].startswith(f"{folder}/recipe.yaml:1:1: ")


def test_a_mistake_of_the_shared_defaults_is_placed_there(mistakes_of: Callable[[str, str], list[str]]) -> None:
    pipeline = "defaults:\n  convert: {to: neuralnet}\n  quantize:\n    lut: {method: kmeans, bits: many}\n"
    assert mistakes_of("source: {keras: model.keras}\n", pipeline) == [
        "pipeline.yaml:2:17: convert.to: expected neuralnetwork or mlprogram, got 'neuralnet', did you mean 'neuralnetwork'?",
        "pipeline.yaml:4:33: quantize.lut.bits: expected a whole number, got 'many'",
    ]


@pytest.mark.parametrize(
    ("pipeline", "expected"),
    [
        ("recipe: []\n", "pipeline.yaml:1:1: recipe: unknown key 'recipe', did you mean 'recipes'?"),
        ("defaults: {convrt: {}}\n", "pipeline.yaml:1:12: defaults.convrt: unknown key 'convrt', did you mean 'convert'?"),
        ("cache: {size: 20 GiBi}\n", "pipeline.yaml:1:15: cache.size: expected a size such as '4 GB' or '500 MiB', got '20 GiBi'"),
        ("cache: {siz: 20 GB}\n", "pipeline.yaml:1:9: cache.siz: unknown key 'siz', did you mean 'size'?"),
        ("env: HOME\n", "pipeline.yaml:1:6: env: expected a list, got 'HOME'"),
        ("workers: {jobs: many}\n", "pipeline.yaml:1:17: workers.jobs: expected a whole number, got 'many'"),
    ],
)
def test_mistakes_of_a_workspace_file(pipeline: str, expected: str, mistakes_of: Callable[[str, str], list[str]]) -> None:
    assert mistakes_of("source: {keras: model.keras}\n", pipeline) == [expected]


def test_what_cannot_be_read_as_a_file_is_said_to_be_there(folder: Path, mistakes_of: Callable[[str], list[str]]) -> None:
    os.mkfifo(folder / "pipe.keras")
    (folder / "photos").mkdir()
    found = mistakes_of("source: {keras: pipe.keras}\nconvert: {classifier: {class_labels: photos}}\n")
    assert found == [
        "recipe.yaml:1:17: source.keras: 'pipe.keras' is a pipe or a device, not a file",
        "recipe.yaml:2:38: convert.classifier.class_labels: 'photos' is a folder, not a file",
    ]


@pytest.mark.skipif(os.geteuid() == 0, reason="NOT RUN: nothing is closed to root")
def test_a_file_in_a_closed_folder_is_not_said_to_be_missing(folder: Path, mistakes_of: Callable[[str], list[str]]) -> None:
    closed = folder / "closed"
    closed.mkdir()
    (closed / "model.keras").touch()
    closed.chmod(0)
    found = mistakes_of("source: {keras: closed/model.keras}\n")
    closed.chmod(0o700)
    assert found == ["recipe.yaml:1:17: source.keras: 'closed/model.keras' cannot be read: Permission denied"]
