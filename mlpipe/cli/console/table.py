"""The end of a run on stdout: per recipe a table of variants, the gates that failed with what to do next, and the report's path. From report.json."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from mlpipe.cli.console.errors import shorten
from mlpipe.cli.console.streams import columns, encodable, paint
from mlpipe.engine.run_report import RunReport
from mlpipe.reports.figures import format_bytes, format_entry, format_value
from mlpipe.reports.markdown import failed_gates, metric_names

Report = Mapping[str, Any]
_COLOURS = {"PASS": "green", "FAIL": "red", "ERROR": "red", "CONDITIONAL": "yellow", "UNGATED": "yellow"}
_CONCLUSIONS = {
    "PASS": ("passes portable gates", "green"),
    "FAIL": ("FAILS its gates", "red"),
    "ERROR": ("could NOT BE JUDGED", "red"),
    "UNGATED": ("UNGATED: no bound was checked, so nothing has passed; write a `gate:` section", "yellow"),
    "CONDITIONAL": ("CONDITIONAL: passes portable gates if the Python references of its custom layers are right", "yellow"),
    "NO_REPORT": ("has NO REPORT, because a step failed", "red"),
    "PARTIAL": ("PARTIAL: only selected tasks ran, so nothing has passed", "yellow"),
}
_GAP = "  "


def print_result(result: RunReport, stream: TextIO | None = None) -> None:
    """Print what a run came to, recipe by recipe."""
    stream = sys.stdout if stream is None else stream
    for line in result_lines(result, stream):
        stream.write(encodable(line, stream) + "\n")


def result_lines(result: RunReport, stream: TextIO) -> list[str]:
    """Return the lines that `print_result` prints."""
    lines = []
    for number, recipe in enumerate(result.recipes):
        lines += [""] if number else []
        if recipe.report is None:
            lines += _without_report(recipe.name, result, stream)
        else:
            lines += report_lines(recipe.report, Path(recipe.report_folder, "report.md"), stream, partial=result.partial)
    failed = {name: task["error"] for name, task in result.tasks.items() if task["outcome"] == "failed" and task["error"]}
    if failed:
        lines += ["", "Steps that failed:"]
        for name, error in failed.items():
            log = result.tasks[name]["log"]
            lines.append(f"  {paint(name, 'red', stream)}: {error['what']}" + (f" (log: {shorten(log)})" if log else ""))
    if result.nothing_to_do:
        lines += ["", f"Nothing to do: {len(result.tasks)} tasks up to date."]
    return lines


def _without_report(recipe: str, result: RunReport, stream: TextIO) -> list[str]:
    """Return the conclusion of a recipe that has no report, and the gates that did not pass among those that were judged all the same."""
    judged = [task["judged"] for name, task in result.tasks.items() if name.startswith(f"{recipe}:") and task.get("judged")]
    verdicts = {variant["verdict"] for variant in judged}
    verdict = next((verdict for verdict in ("ERROR", "FAIL") if verdict in verdicts), "PASS")
    text, colour = conclusion({"verdict": verdict}, partial=True) if result.partial else _CONCLUSIONS["NO_REPORT"]
    failed = failed_gates({"variants": {variant["variant"]: variant for variant in judged}})
    return [_heading(recipe, text, colour, stream), *_failed_lines(failed, stream)]


def _failed_lines(failed: Sequence[tuple[str, Mapping[str, Any]]], stream: TextIO) -> list[str]:
    lines = [f"  {paint(gate['verdict'], _COLOURS.get(gate['verdict']), stream)} {_gate(variant, gate)}" for variant, gate in failed]
    return ["", "Gates that did not pass:", *lines] if lines else []


def report_lines(report: Report, path: Path, stream: TextIO, *, partial: bool = False) -> list[str]:
    """Return one recipe's conclusion, table and gates; `path` is where people read more."""
    text, colour = conclusion(report, partial=partial)
    lines = [_heading(report["recipe"], text, colour, stream)]
    rows = _rows(report)
    width = columns(stream)
    lines += _table(rows, stream) if width is None or _width(rows) <= width else _blocks(rows, stream)
    lines += _failed_lines(failed_gates(report), stream)
    warnings = [(name, gate) for name, data in report["variants"].items() for gate in data["gates"] if gate["verdict"] == "PASS" and gate["why"]]
    if warnings:
        lines += ["", "Passed, but note:", *(f"  {_gate(variant, gate)}" for variant, gate in warnings)]
    return [*lines, "", f"Report: {shorten(str(path))}"]


def conclusion(report: Report, *, partial: bool = False) -> tuple[str, str]:
    """Return what may be said of a recipe in one line, and its colour. A part of a run has never passed."""
    verdict = report["verdict"]
    if verdict in {"FAIL", "ERROR"}:
        text, colour = _CONCLUSIONS[verdict]
        return f"{text} (PARTIAL: only selected tasks ran)" if partial else text, colour
    return _CONCLUSIONS["PARTIAL" if partial else verdict]


def _heading(recipe: str, text: str, colour: str, stream: TextIO) -> str:
    return f"{paint(recipe, 'bold', stream)}: {paint(text, colour, stream)}"


def _gate(variant: str, gate: Mapping[str, Any]) -> str:
    return f"{variant}: {gate['metric']} {gate['bound']}: {gate['why']}"


def _rows(report: Report) -> list[list[str]]:
    metrics = metric_names(report)
    rows = [["variant", "size", "ratio", *metrics, "verdict"]]
    for name, variant in report["variants"].items():
        figures = [format_entry(metric, variant["metrics"].get(metric)) for metric in metrics]
        rows.append([name, format_bytes(variant["size_bytes"]), format_value("size_ratio", variant["size_ratio"]), *figures, variant["verdict"]])
    return rows


def _widths(rows: Sequence[Sequence[str]]) -> list[int]:
    return [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]


def _width(rows: Sequence[Sequence[str]]) -> int:
    return sum(_widths(rows)) + len(_GAP) * (len(rows[0]) - 1)


def _table(rows: Sequence[Sequence[str]], stream: TextIO) -> list[str]:
    """Return a table: names and verdicts to the left, figures to the right of their columns."""
    widths = _widths(rows)
    lines = []
    for number, row in enumerate(rows):
        name, *figures, verdict = row
        cells = [name.ljust(widths[0]), *(figure.rjust(width) for figure, width in zip(figures, widths[1:-1], strict=True))]
        last = verdict if number == 0 else paint(verdict, _COLOURS.get(verdict), stream)
        line = _GAP.join((*cells, last))
        lines.append(paint(line, "dim", stream) if number == 0 else line)
    return lines


def _blocks(rows: Sequence[Sequence[str]], stream: TextIO) -> list[str]:
    """Return the same rows for a narrow terminal: a variant a paragraph, a figure a line."""
    header, *variants = rows
    widest = max(len(name) for name in header)
    lines = []
    for name, *figures, verdict in variants:
        lines.append(f"{name}: {paint(verdict, _COLOURS.get(verdict), stream)}")
        lines += [f"  {title.ljust(widest)}  {figure}" for title, figure in zip(header[1:-1], figures, strict=True) if figure != "-"]
    return lines
