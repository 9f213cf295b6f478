"""Errors on the console: every part in its place, and a caret that points."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from mlpipe.cli.console.errors import error_lines, print_error, source_lines
from mlpipe.errors import ConversionFailed, Location, MlpipeError, RecipeError, RecipeErrors


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "recipe.yaml"
    path.write_text("mlpipe: 1\nconvert:\n\tto: neuralnetwerk\nname: ünïcode ✓\n" + "x" * 300 + "HERE" + "y" * 300 + "\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return path


def test_an_error_with_a_place_shows_it_with_a_caret(recipe: Path, capsys: pytest.CaptureFixture[str]) -> None:
    print_error(RecipeError("convert.to: unknown value", where=Location(str(recipe), 3, 6), why="no such target", fix="use neuralnetwork"))
    out, err = capsys.readouterr()
    assert out == ""
    assert err == ("recipe.yaml:3:6: convert.to: unknown value\n  3 |  to: neuralnetwerk\n    |      ^\n  why: no such target\n  fix: use neuralnetwork\n")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MlpipeError("it broke"), "error: it broke\n"),
        (ConversionFailed("it broke", where="layer conv_1", fix="mend it"), "layer conv_1: it broke\n  fix: mend it\n"),
        (RecipeError("gone", where=Location("absent.yaml", 3, 4)), "absent.yaml:3:4: gone\n"),
        (RecipeError("past the end", where=Location("recipe.yaml", 99, 1)), "recipe.yaml:99:1: past the end\n"),
        (RecipeError("line only", where=Location("recipe.yaml", 1)), "recipe.yaml:1: line only\n  1 | mlpipe: 1\n"),
        (RecipeError("file only", where=Location("recipe.yaml")), "recipe.yaml: file only\n"),
        (MlpipeError("two\nlines"), "error: two\nlines\n"),
    ],
)
def test_an_error_shows_the_parts_it_has(recipe: Path, capsys: pytest.CaptureFixture[str], error: MlpipeError, expected: str) -> None:
    assert recipe.exists()
    print_error(error)
    assert capsys.readouterr().err == expected


def test_a_long_line_is_cut_around_the_column(recipe: Path) -> None:
    text, caret = source_lines(f"{recipe}:5:301", io.StringIO())
    assert len(text) <= 120
    assert text[caret.index("^") :].startswith("HEREy")
    assert text.startswith("  5 | …x")
    assert text.endswith("y…")


def test_several_errors_are_all_shown(capsys: pytest.CaptureFixture[str]) -> None:
    print_error(RecipeErrors([RecipeError("first"), RecipeError("second")]))
    assert capsys.readouterr().err == "error: first\nerror: second\n"


def test_json_goes_to_stdout_with_every_part(capsys: pytest.CaptureFixture[str]) -> None:
    print_error(RecipeErrors([RecipeError("ärst", where=Location("a.yaml", 1, 2), fix="mend")]), as_json=True)
    out, err = capsys.readouterr()
    error = json.loads(out)["error"]
    assert err == ""
    assert (error["code"], error["type"]) == ("E101", "RecipeErrors")
    assert error["errors"] == [{"code": "E100", "type": "RecipeError", "what": "ärst", "where": "a.yaml:1:2", "why": None, "fix": "mend"}]


def test_a_stream_without_unicode_gets_ascii(recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = io.BytesIO()
    monkeypatch.setattr("sys.stderr", io.TextIOWrapper(written, encoding="ascii"))
    print_error(RecipeError("schön", where=Location(str(recipe), 4, 7)))
    assert written.getvalue().decode("ascii").splitlines() == ["recipe.yaml:4:7: sch\\xf6n", "  4 | name: \\xfcn\\xefcode +", "    |       ^"]


def test_a_workers_error_is_shown_like_any_other() -> None:
    data = {"code": "E300", "type": "StepFailed", "what": "killed by SIGSEGV", "where": None, "why": "native code crashed", "fix": None, "kind": "signal"}
    assert error_lines(data, io.StringIO()) == ["error: killed by SIGSEGV", "  why: native code crashed"]
