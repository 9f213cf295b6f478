"""The step `gate`: bounds held against metrics and sizes. It never fails as a task; its verdict is data.

Parameters: `variant`, `rules` (GateRules, or null where the recipe has no gate). Values: `compare` (none without samples) and `package`.
Runs in the main process: imports no numpy and no framework.
"""

from __future__ import annotations

import json
import math
import operator
from collections.abc import Callable, Container, Mapping
from typing import Any

from mlpipe.metrics.wilson import CONFIDENCE, samples_needed, wilson_interval
from mlpipe.reports.advice import advice, advice_for_errors, worst
from mlpipe.reports.figures import format_apart, format_value, unit_of
from mlpipe.steps.step import Json, StepRequest, StepResult

_OPERATORS: Mapping[str, Callable[[float, float], bool]] = {">=": operator.ge, ">": operator.gt, "<=": operator.le, "<": operator.lt, "==": operator.eq}


def run(request: StepRequest) -> StepResult:
    """Write verdict.json: PASS, FAIL or ERROR with every bound, REPORT_ONLY, or UNGATED where there is no bound."""
    rules: Mapping[str, Any] | None = request.parameters["rules"]
    compare: Mapping[str, Json] | None = request.values.get("compare")
    sizes = sizes_of(request.values["package"])
    variant = request.parameters["variant"]
    gates: list[dict[str, Json]] = []
    if rules is not None and (rules["bounds"] or rules["report_only"]):
        entries = {**(compare["metrics"] if compare else {}), **{name: {"value": value} for name, value in sizes.items() if value is not None}}
        gates = [*samples_gates(compare), *(judge(bound, entries, compare, variant) for bound in rules["bounds"])]
        gates += metrics_gates(compare, {bound["metric"] for bound in rules["bounds"]})
    result = {"variant": variant, "verdict": overall(rules, gates), "gates": gates, **sizes}
    (request.output / "verdict.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    return StepResult(result)


def sizes_of(package: Mapping[str, Json]) -> dict[str, Json]:
    """Return the size metrics: bytes, and bytes over those of the fp32 conversion where these are known."""
    size, whole = package["size_bytes"], package.get("float32_size_bytes")
    return {"size_bytes": size, "size_ratio": size / whole if whole else None}


def overall(rules: Mapping[str, Any] | None, gates: list[dict[str, Json]]) -> str:
    """Return the verdict on a variant: the worst of its bounds'."""
    if rules is not None and rules["report_only"]:
        return "REPORT_ONLY"
    verdicts = {gate["verdict"] for gate in gates}
    if rules is None or not rules["bounds"]:
        return "UNGATED"
    return next((verdict for verdict in ("ERROR", "FAIL") if verdict in verdicts), "PASS")


def samples_gates(compare: Mapping[str, Json] | None) -> list[dict[str, Json]]:
    """Return a gate of its own for samples that are missing: no metric may pass on the ones that happened to work."""
    if compare is None:
        return []
    count = compare["error_count"]
    if count:
        name, message = next(iter(compare["errors"].items()))
        why = f"{count} sample(s) could not be used, e.g. {name}: {message}; mend or remove them"
        return [_gate("samples", "all readable", count, "ERROR", why)]
    if compare["n"] == 0:
        return [_gate("samples", "at least one", 0, "ERROR", "there are no samples; check the pattern under compare.samples")]
    return []


def metrics_gates(compare: Mapping[str, Json] | None, bounded: Container[str]) -> list[dict[str, Json]]:
    """Return a gate of its own for each metric without a bound that the recipe lists and that has no value: nothing passes in silence."""
    missing = {} if compare is None else compare["not_computed"]
    return [_gate(metric, "computed", None, "ERROR", f"{metric} was not computed: {why}") for metric, why in missing.items() if metric not in bounded]


def judge(bound: Mapping[str, Any], entries: Mapping[str, Any], compare: Mapping[str, Json] | None, variant: str) -> dict[str, Json]:
    """Return the verdict on one bound, and why."""
    metric, limit = bound["metric"], bound["value"]
    entry = entries.get(metric)
    if entry is None:
        reason = (compare or {}).get("not_computed", {}).get(metric)
        return _gate(metric, bound["text"], None, "ERROR", f"{metric} was not computed: {advice_for_errors(reason)}")
    value = float(entry["value"])
    if math.isnan(value):
        return _gate(metric, bound["text"], "nan", "ERROR", f"the value is NaN: outputs hold NaN or infinities{worst(entry)}; look for overflow in float16")
    interval = _interval(bound, entry, value)
    judged = value
    if interval is not None:
        judged = interval[0] if bound["operator"] in {">=", ">"} else interval[1]
    passes = _OPERATORS[bound["operator"]](judged, limit)
    why = _why(bound, entry, judged, value, passes=passes, variant=variant)
    return _gate(metric, bound["text"], entry["value"], "PASS" if passes else "FAIL", why)


def _interval(bound: Mapping[str, Any], entry: Mapping[str, Any], value: float) -> tuple[float, float] | None:
    """Return the interval that has to pass; None where the bound demands no confidence. Only shares have one (the recipe's reader sees to it)."""
    confidence = bound.get("confidence")
    return None if confidence is None else wilson_interval(value, entry["n"], confidence)


def _why(bound: Mapping[str, Any], entry: Mapping[str, Any], judged: float, value: float, *, passes: bool, variant: str) -> str:
    metric, limit = bound["metric"], bound["value"]
    parts = []
    shown = format_apart(metric, value, limit)
    if unit_of(metric) == "share":
        shown += f" ({round(value * entry['n'])} of {entry['n']})"
    if bound.get("confidence") is not None:
        shown += f", of which {bound['confidence'] * 100:g}% confidence leaves {format_apart(metric, judged, limit)}"
    if not passes:
        ends = {precision: float(end) for precision, end in entry.get("band", {}).items()}
        float32 = ends.get("float32")
        only_float16 = len(ends) > 1 and float32 is not None and bound.get("confidence") is None and _OPERATORS[bound["operator"]](float32, limit)
        parts.append(f"{shown} is not {bound['text']}{worst(entry)}; {advice(metric, variant, only_float16_fails=only_float16)}")
    elif bound.get("confidence") is not None:
        parts.append(shown)
    note = _too_few(bound, entry)
    return "; ".join([*parts, note] if note else parts)


def _too_few(bound: Mapping[str, Any], entry: Mapping[str, Any]) -> str | None:
    """Return a warning where even a perfect result on so many samples could not show that the bound is met."""
    metric, limit, n = bound["metric"], bound["value"], entry.get("n")
    if unit_of(metric) != "share" or bound["operator"] not in {">=", ">"} or not n or limit <= 0:
        return None
    confidence = bound.get("confidence") or CONFIDENCE
    best = wilson_interval(1.0, n, confidence)[0]
    if limit >= 1:
        return f"on {n} samples even a perfect result shows no more than {format_value(metric, best, 1)} at {confidence * 100:g}% confidence"
    needed = samples_needed(limit, confidence)
    if n >= needed:
        return None
    return f"{n} samples are too few for this bound to mean anything: it takes {needed} for a perfect result to show it at {confidence * 100:g}% confidence"


def _gate(metric: str, bound: str, value: Json, verdict: str, why: str) -> dict[str, Json]:
    return {"metric": metric, "bound": bound, "value": value, "verdict": verdict, "why": why}
