"""report.md, for pull requests and build pages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from mlpipe.reports.figures import format_bytes, format_entry, format_value

Report = Mapping[str, Any]
_SUMMARY = {
    "PASS": "passes portable gates",
    "FAIL": "fails its gates",
    "ERROR": "could not be judged",
    "UNGATED": "has no gates (UNGATED)",
}


def markdown(report: Report) -> str:
    """Return the report as GitHub-flavoured markdown."""
    sections = [f"# {_text(report['recipe'])} {_SUMMARY[report['verdict']]}", _variants(report)]
    sections += [
        _failed(report),
        _overflows(report),
        _samples(report),
        _not_computed(report),
        _released(report),
        _bounds(report),
        _not_tested(report),
        _tools(report),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def failed_gates(report: Report) -> list[tuple[str, Mapping[str, Any]]]:
    """Return (variant, gate) of every bound that was not met and counts."""
    return [
        (name, gate)
        for name, variant in report["variants"].items()
        if variant["verdict"] in {"FAIL", "ERROR"}
        for gate in variant["gates"]
        if gate["verdict"] != "PASS"
    ]


def metric_names(report: Report) -> list[str]:
    """Return every metric that some variant has, in order of first appearance."""
    return list(dict.fromkeys(name for variant in report["variants"].values() for name in variant["metrics"]))


def gate_value(gate: Mapping[str, Any]) -> str:
    """Return a gate's value with its unit; the gate over the samples themselves counts samples."""
    return str(gate["value"]) if gate["metric"] == "samples" else format_value(gate["metric"], gate["value"])


def _variants(report: Report) -> str:
    metrics = metric_names(report)
    rows = [
        [
            name,
            format_bytes(variant["size_bytes"]),
            format_value("size_ratio", variant["size_ratio"]),
            *(format_entry(metric, variant["metrics"].get(metric)) for metric in metrics),
            variant["verdict"],
        ]
        for name, variant in report["variants"].items()
    ]
    note = "Shares stand with their 95% interval, in percent. Values are the worse end where a model may run in float16 or float32."
    notes = [note, *_source_accuracy(report)] if metrics else []
    return "\n\n".join([_table(["variant", "size", "of fp32", *metrics, "verdict"], rows), *notes])


def _source_accuracy(report: Report) -> Iterator[str]:
    """Yield the source's own value of metrics against ground truth, which is one for all variants."""
    for metric in metric_names(report):
        values = [variant["metrics"].get(metric, {}).get("models", {}).get("source") for variant in report["variants"].values()]
        known = [value for value in values if value is not None]
        if known:
            yield f"The source's own {metric}: {format_value(metric, known[0])}."


def _failed(report: Report) -> str:
    failed = failed_gates(report)
    lines = [f"- **{_text(name)}**: {gate['metric']} {_text(gate['bound'])}: {gate['verdict']}. {_text(gate['why'])}" for name, gate in failed]
    return "## What to do\n\n" + "\n".join(lines) if lines else ""


def _overflows(report: Report) -> str:
    lines = [f"- {_text(name)}: {_text(overflow)}" for name, variant in report["variants"].items() for overflow in variant["overflows"]]
    return "## Layers that overflow float16\n\nThe first of a variant is the first cause.\n\n" + "\n".join(lines) if lines else ""


def _samples(report: Report) -> str:
    lines = [
        f"- {_text(name)}: {_text(sample)}: {_text(message)}"
        for name, variant in report["variants"].items()
        for sample, message in variant["samples"]["errors"].items()
    ]
    return "## Samples that could not be used\n\n" + "\n".join(lines) if lines else ""


def _not_computed(report: Report) -> str:
    lines = [
        f"- {_text(name)}: {_text(metric)}: {_text(why)}" for name, variant in report["variants"].items() for metric, why in variant["not_computed"].items()
    ]
    return "## Metrics that were not computed\n\n" + "\n".join(lines) if lines else ""


def _released(report: Report) -> str:
    release = report["release"]
    if release is None:
        return ""
    if release["released"] is None:
        return f"**Not released:** the gate of {release['variant']} does not pass."
    return f"**Released:** `release/{release['released']}` is the variant {release['variant']}."


def _bounds(report: Report) -> str:
    rows = [
        [name, gate["metric"], gate["bound"], gate_value(gate), gate["verdict"], gate["why"]]
        for name, variant in report["variants"].items()
        for gate in variant["gates"]
    ]
    return "## Bounds\n\n" + _table(["variant", "metric", "bound", "value", "verdict", "note"], rows) if rows else ""


def _not_tested(report: Report) -> str:
    return "## What was not tested\n\n" + "\n".join(f"- {item}" for item in report["not_tested"])


def _tools(report: Report) -> str:
    tools = ", ".join(f"{name} {version}" for name, version in sorted(report["tools"].items()))
    return f"mlpipe {report['mlpipe']}" + (f"; {tools}" if tools else "")


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(_text(cell) if row is not lines[1] else cell for cell in row) + " |" for row in lines)


def _text(value: str) -> str:
    """Return text that stays in its table cell and does not turn into markup."""
    escaped = "".join(f"\\{char}" if char in "\\`*|<[" else char for char in value)
    return " ".join(escaped.split())
