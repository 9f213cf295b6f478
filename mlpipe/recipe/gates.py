"""`gate:` to the rules of each variant: globs merged from the least to the most specific, metric by metric."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from mlpipe.recipe.bounds import metric_of, parse_bound
from mlpipe.recipe.metrics_table import METRICS, SOURCE_PREFIX
from mlpipe.recipe.mistakes import Mistakes, did_you_mean, shown, unknown
from mlpipe.recipe.nodes import KeyPath, Node
from mlpipe.recipe.plan import CONVERTED
from mlpipe.recipe.schema.gate import Bound, GateRules
from mlpipe.recipe.units import split_quantity

_SETTINGS = ("report_only", "confidence")


@dataclass(frozen=True)
class GateContext:
    """What a gate has to agree with."""

    variants: Sequence[str]
    """`converted` first."""
    has_source_comparison: bool
    """False for a `coreml:` source without `reference:`."""
    recipe_file: object
    """Globs that come from another file (shared defaults) may match nothing."""


class _Section(NamedTuple):
    """One key of `gate:`, parsed."""

    glob: str
    bounds: dict[str, Bound | None]
    """None takes an inherited bound away."""
    report_only: bool | None
    confidence: float | None


def merge_gates(section: Node, context: GateContext, mistakes: Mistakes) -> dict[str, GateRules]:
    """Return the rules of every variant, those without any included."""
    parsed = []
    for glob, node in section.mapping.items():
        path: KeyPath = ("gate", glob)
        if not any(_matches(glob, name) for name in context.variants) and node.place.file == context.recipe_file:
            others = f"; there are {', '.join(context.variants[:20])}" if len(context.variants) > 1 else ": the recipe makes none"
            mistakes.key(node, path, f"matches no variant{did_you_mean(glob, context.variants) or others}")
        elif isinstance(node.value, dict):
            parsed.append(_parse(glob, node, path, context, mistakes))
    parsed.sort(key=lambda rules: _specificity(rules.glob))  # stable: of equals the later one wins
    matchers = [(re.compile(fnmatch.translate(rules.glob)), rules) for rules in parsed]
    merged: dict[tuple[str, ...], GateRules] = {}
    result = {}
    for name in context.variants:
        matching = [rules for pattern, rules in matchers if (rules.glob == name if name == CONVERTED else pattern.match(name) or rules.glob == name)]
        key = tuple(rules.glob for rules in matching)
        if key not in merged:
            merged[key] = _merge(matching)
        result[name] = merged[key]
    return result


def _matches(glob: str, name: str) -> bool:
    """Return whether a key of `gate:` means a variant; `converted` answers to its own name only."""
    return glob == name or (name != CONVERTED and fnmatch.fnmatchcase(name, glob))


def _specificity(glob: str) -> tuple[bool, int]:
    """Order globs: names after patterns, and patterns by how much they spell out."""
    is_name = not any(character in glob for character in "*?[")
    return is_name, len(re.sub(r"\[[^\]]*\]|[*?]", "", glob))


def _merge(matching: list[_Section]) -> GateRules:
    bounds: dict[str, Bound | None] = {}
    report_only, confidence = False, None
    for rules in matching:
        bounds.update(rules.bounds)
        report_only = report_only if rules.report_only is None else rules.report_only
        confidence = confidence if rules.confidence is None else rules.confidence
    kept = [bound for bound in bounds.values() if bound is not None]
    with_confidence = (bound.model_copy(update={"confidence": confidence}) if _is_share(bound.metric) else bound for bound in kept)
    return GateRules(bounds=tuple(with_confidence), report_only=report_only)


def _is_share(key: str) -> bool:
    metric = metric_of(key)
    return metric is not None and metric.unit == "share"


def _parse(glob: str, node: Node, path: KeyPath, context: GateContext, mistakes: Mistakes) -> _Section:
    bounds: dict[str, Bound | None] = {}
    for key, written in node.mapping.items():
        if key in _SETTINGS:
            continue
        problem = _key_problem(key, glob, context)
        if problem:
            mistakes.key(written, (*path, key), problem)
        elif written.value is None:
            bounds[key] = None
        else:
            try:
                bounds[key] = parse_bound(key, written.plain())
            except ValueError as error:
                mistakes.value(written, (*path, key), str(error))
    report_only, confidence = node.mapping.get("report_only"), node.mapping.get("confidence")
    if report_only is not None and not isinstance(report_only.value, bool):
        mistakes.value(report_only, (*path, "report_only"), f"expected true or false, got {shown(report_only.value)}")
        report_only = None
    return _Section(
        glob, bounds, report_only.value if report_only is not None else None, _confidence(confidence, path, mistakes) if confidence is not None else None
    )


def _key_problem(key: str, glob: str, context: GateContext) -> str | None:
    metric = metric_of(key)
    if metric is None:
        known = [*_SETTINGS, *METRICS, *(SOURCE_PREFIX + name for name, known in METRICS.items() if known.against == "reference")]
        return unknown("metric", key, known)
    from_source = key.startswith(SOURCE_PREFIX)
    if from_source and metric.against != "reference":
        return f"{metric.name} is not held against the source: write '{metric.name}'"
    if from_source and not context.has_source_comparison:
        return "a `coreml:` source is what `converted` is: without a `reference:` there is nothing to compare it with"
    if glob == CONVERTED and metric.against == "reference" and not from_source:
        return f"`converted` is what others are compared with, did you mean '{SOURCE_PREFIX}{key}'?"
    return None


def _confidence(node: Node, path: KeyPath, mistakes: Mistakes) -> float | None:
    quantity = split_quantity(str(node.plain())) if not isinstance(node.value, bool) else None
    value = float(quantity[0] / 100 if quantity[1] == "%" else quantity[0]) if quantity and quantity[1] in ("", "%") else None
    if value is None or not 0.5 <= value < 1:
        mistakes.value(node, (*path, "confidence"), f"expected a confidence from 50% to below 100%, such as '95%', got {shown(node.value)}")
        return None
    return value
