"""The command line's frame: help without imports, exit codes, errors on the right stream."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from mlpipe.cli import main
from mlpipe.exit_codes import ExitCode, combine

HEAVY = ("tensorflow", "keras", "coremltools", "onnx", "onnxruntime", "rich", "numpy", "pydantic", "yaml", "doit")


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys; from mlpipe.cli.main import run; code = run(['--help']); "
        f"print([name for name in {HEAVY!r} if name in sys.modules], int(code), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[] 0"
    assert "Exit codes:" in done.stdout


@pytest.mark.parametrize("name", list(main.COMMANDS))
def test_every_command_has_help_with_an_example_and_json(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run([name, "--help"]) is ExitCode.DONE
    text = capsys.readouterr().out
    assert "Example" in text
    assert "--json" in text
    assert "--debug" in text


@pytest.mark.parametrize(("words", "said"), [(["frobnicate"], "No such command"), (["run", "--frobnicate"], "No such option"), (["show"], "Missing argument")])
def test_a_wrong_command_line_is_exit_code_2(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.run(words) is ExitCode.RECIPE_WRONG
    assert said in capsys.readouterr().err
    assert main.run([*words, "--json"]) is ExitCode.RECIPE_WRONG
    assert said in json.loads(capsys.readouterr().out)["error"]["what"]


def test_a_bug_leaves_a_file_for_an_issue(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("the cause")

    monkeypatch.setattr(main.cli, "main", broken)
    assert main.run(["doctor"]) is ExitCode.BUG
    said = capsys.readouterr().err
    assert "Traceback" not in said
    report = Path(said.rsplit(" ", 1)[1].strip())
    assert "ZeroDivisionError: the cause" in report.read_text()
    report.unlink()


def test_the_most_important_exit_code_wins() -> None:
    order = [130, 70, 2, 5, 4, 3, 1]
    for position, code in enumerate(order):
        assert combine([ExitCode(other) for other in reversed(order[position:])]) == code
    assert combine([]) is ExitCode.DONE


def test_doctor_names_what_is_missing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from importlib import metadata

    real = metadata.version

    def without_onnx(name: str) -> str:
        if name == "onnx":
            raise metadata.PackageNotFoundError(name)
        return real(name)

    assert main.run(["doctor"]) is ExitCode.DONE
    capsys.readouterr()
    monkeypatch.setattr(metadata, "version", without_onnx)
    assert main.run(["doctor", "--json"]) is ExitCode.ENVIRONMENT_LACKS_TOOL
    checks = {check["name"]: check for check in json.loads(capsys.readouterr().out)["checks"]}
    assert checks["onnx"] == {"name": "onnx", "state": "missing", "detail": "not installed", "fix": "pip install onnx"}
    assert checks["numpy"]["state"] == "ok"
