"""The end of a run, from report.json's data."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from mlpipe.cli.console.table import print_result, report_lines
from mlpipe.engine.run_report import RecipeResult, RunReport
from mlpipe.exit_codes import ExitCode
from mlpipe.reports.model import overall_verdict
from mlpipe.reports.schema import report_schema


def variant(size: int, ratio: float | None, verdict: str, metrics: dict[str, Any], gates: list[dict[str, Any]]) -> dict[str, Any]:
    entries = {
        name: {"value": value, "n": 360, "low": low, "high": high, "worst_sample": "7.png", "band": {}, "outputs": {}}
        for name, (value, low, high) in metrics.items()
    }
    samples = {"n": 360, "error_count": 0, "errors": {}}
    return {
        "artifact": "m.mlmodel",
        "size_bytes": size,
        "size_ratio": ratio,
        "verdict": verdict,
        "metrics": entries,
        "gates": gates,
        "samples": samples,
        "not_computed": {},
        "overflows": [],
        "weights": None,
    }


def gate(metric: str, bound: str, value: float, verdict: str, why: str = "") -> dict[str, Any]:
    return {"metric": metric, "bound": bound, "value": value, "verdict": verdict, "why": why}


CONVERTED = variant(120_300, 1.0, "PASS", {"source.snr_db": (131.25, None, None)}, [gate("source.snr_db", ">= 60", 131.25, "PASS")])
LINEAR_8 = variant(
    31_200,
    0.2594,
    "PASS",
    {"top1_agreement": (0.9972, 0.9845, 0.9992), "snr_db": (48.1, None, None)},
    [gate("top1_agreement", ">= 98%", 0.9972, "PASS", "360 samples are too few")],
)
LINEAR_2 = variant(
    9_000,
    0.0748,
    "FAIL",
    {"top1_agreement": (0.4, 0.35, 0.45), "snr_db": ("nan", None, None)},
    [gate("top1_agreement", ">= 98%", 0.4, "FAIL", "40.00% is not >= 98%; use more bits")],
)
SHOWN_ONLY = LINEAR_2 | {"verdict": "REPORT_ONLY"}
UNGATED = LINEAR_8 | {"verdict": "UNGATED", "gates": []}


def report(**variants: dict[str, Any]) -> dict[str, Any]:
    named = {name.replace("_", "-"): data for name, data in variants.items()}
    verdict = overall_verdict(data["verdict"] for data in named.values())
    made = {"mlpipe": "0.1.0", "recipe": "digits", "passed": verdict == "PASS", "verdict": verdict, "source": {}, "variants": named, "release": None}
    made |= {"not_tested": [], "tasks": {}, "tools": {}, "files": {}}
    jsonschema.validate(made, report_schema())
    return made


def run(made: dict[str, Any] | None, **fields: Any) -> RunReport:
    given: dict[str, Any] = {"tasks": {}, "exit_code": ExitCode.DONE} | fields
    return RunReport((RecipeResult("digits", "recipe.yaml", made, "build/digits", gated=True),), **given)


def shown(result: RunReport, stream: io.StringIO | None = None) -> str:
    stream = stream or io.StringIO()
    print_result(result, stream)
    return stream.getvalue()


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_table_gates_and_path() -> None:
    assert shown(run(report(converted=CONVERTED, linear_8=LINEAR_8, linear_2=LINEAR_2))) == (
        "digits: FAILS its gates\n"
        "variant         size    ratio  source.snr_db         top1_agreement    snr_db  verdict\n"
        "converted  120.30 kB  100.00%      131.25 dB                      -         -  PASS\n"
        "linear-8    31.20 kB   25.94%              -  99.72% (98.5 to 99.9)  48.10 dB  PASS\n"
        "linear-2     9.00 kB    7.48%              -  40.00% (35.0 to 45.0)       nan  FAIL\n"
        "\n"
        "Gates that did not pass:\n"
        "  FAIL linear-2: top1_agreement >= 98%: 40.00% is not >= 98%; use more bits\n"
        "\n"
        "Passed, but note:\n"
        "  linear-8: top1_agreement >= 98%: 360 samples are too few\n"
        "\n"
        "Report: build/digits/report.md\n"
    )


@pytest.mark.parametrize(
    ("variants", "partial", "first"),
    [
        ({"converted": CONVERTED}, False, "digits: passes portable gates"),
        ({"converted": CONVERTED, "linear_2": SHOWN_ONLY}, False, "digits: passes portable gates"),
        ({"converted": UNGATED, "linear_2": SHOWN_ONLY}, False, "digits: UNGATED: no bound was checked, so nothing has passed; write a `gate:` section"),
        ({"converted": LINEAR_2 | {"verdict": "ERROR"}}, False, "digits: could NOT BE JUDGED"),
        ({"converted": CONVERTED}, True, "digits: PARTIAL: only selected tasks ran, so nothing has passed"),
        ({"converted": LINEAR_2}, True, "digits: FAILS its gates (PARTIAL: only selected tasks ran)"),
    ],
)
def test_what_may_be_said(variants: dict[str, Any], partial: bool, first: str) -> None:
    assert shown(run(report(**variants), partial=partial)).splitlines()[0] == first


def test_a_verdict_that_rests_on_python_references_is_conditional() -> None:
    made = report(converted=CONVERTED) | {"verdict": "CONDITIONAL"}
    assert shown(run(made)).startswith("digits: CONDITIONAL: ")


def test_a_gate_of_a_variant_that_is_only_reported_has_not_failed() -> None:
    assert "did not pass" not in shown(run(report(converted=CONVERTED, linear_2=SHOWN_ONLY)))


def test_without_a_report_the_failed_steps_are_named_with_their_logs() -> None:
    tasks = {
        "digits:convert": {"outcome": "failed", "error": {"what": "no such op"}, "log": "/logs/convert.log"},
        "digits:report": {"outcome": "not_run", "error": None, "log": None},
    }
    assert shown(run(None, tasks=tasks, exit_code=ExitCode.STEP_FAILED)) == (
        "digits: has NO REPORT, because a step failed\n\nSteps that failed:\n  digits:convert: no such op (log: /logs/convert.log)\n"
    )
    assert shown(run(None, partial=True)) == "digits: PARTIAL: only selected tasks ran, so nothing has passed\n"


def test_nothing_to_do_says_so() -> None:
    tasks = {f"digits:{number}": {"outcome": "up_to_date", "error": None, "log": None} for number in range(14)}
    assert shown(run(report(converted=CONVERTED), tasks=tasks, nothing_to_do=True)).endswith("\nNothing to do: 14 tasks up to date.\n")


def test_a_narrow_terminal_gets_a_figure_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    text = shown(run(report(converted=CONVERTED, linear_8=LINEAR_8)), Terminal())
    assert "converted: PASS\n  size            120.30 kB\n  ratio           100.00%\n  source.snr_db   131.25 dB\nlinear-8: PASS\n" in text
    assert "\x1b" not in text


def test_a_terminal_gets_colour_and_a_pipe_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    made = report(converted=CONVERTED, linear_2=LINEAR_2)
    coloured = shown(run(made), Terminal())
    assert "\x1b[1;31mFAIL\x1b[0m" in coloured
    assert "\x1b[32mPASS\x1b[0m" in coloured
    assert "\x1b" not in shown(run(made))


def test_several_recipes_stand_one_after_the_other() -> None:
    one = RecipeResult("one", "one.yaml", report(converted=CONVERTED) | {"recipe": "one"}, "build/one", gated=True)
    two = RecipeResult("two", "two.yaml", report(converted=LINEAR_2) | {"recipe": "two"}, "build/two", gated=True)
    text = shown(RunReport((one, two), {}, ExitCode.GATE_FAILED))
    assert "Report: build/one/report.md\n\ntwo: FAILS its gates\n" in text


@pytest.mark.parametrize(("less", "first"), [(0, "variant"), (1, "converted:")])
def test_a_table_is_shown_where_it_fits(monkeypatch: pytest.MonkeyPatch, less: int, first: str) -> None:
    made = report(converted=CONVERTED, linear_8=LINEAR_8)
    width = max(len(line) for line in report_lines(made, Path("report.md"), io.StringIO())[1:4])
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("COLUMNS", str(width - less))
    assert report_lines(made, Path("report.md"), Terminal())[1].split()[0] == first
