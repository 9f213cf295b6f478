"""The metrics of a Plan: those that `compare:` lists and those that gates ask for, with every parameter."""

from __future__ import annotations

from collections.abc import Mapping

from mlpipe.recipe.bounds import metric_of
from mlpipe.recipe.metrics_table import DEFAULT_K, METRICS
from mlpipe.recipe.mistakes import Mistakes
from mlpipe.recipe.nodes import KeyPath, Node
from mlpipe.recipe.schema.compare import Compare, MetricSpec
from mlpipe.recipe.schema.gate import GateRules


def plan_metrics(compare: Compare, gates: Mapping[str, GateRules] | None, written: Node, mistakes: Mistakes) -> Compare:
    """Return `compare:` with the gated metrics added; sizes are always known and are left out."""
    listed = _listed(compare, written, mistakes)
    wanted = {bound.metric for rules in (gates or {}).values() for bound in rules.bounds}  # a shared default may gate no variant of this recipe
    for glob, section in (written.mapping["gate"].mapping if gates is not None else {}).items():
        for key, node in section.mapping.items():
            metric = metric_of(key)
            if metric is None or metric.against == "nothing" or key not in wanted:
                continue
            path: KeyPath = ("gate", glob, key)
            if metric.name == "psnr_db" and metric.name not in listed:
                mistakes.key(node, path, "psnr_db needs the peak value: list it under compare.metrics as {psnr_db: {peak: 1.0}} (or 255 for pixels)")
                continue
            if metric.name not in listed:
                listed[metric.name] = MetricSpec.model_validate({"name": metric.name, "k": DEFAULT_K if "k" in metric.parameters else None})
            _check_data(metric.name, compare, node, path, mistakes)
    return compare.model_copy(update={"metrics": [spec for name, spec in listed.items() if METRICS[name].against != "nothing"]})


def _listed(compare: Compare, written: Node, mistakes: Mistakes) -> dict[str, MetricSpec]:
    nodes = written.mapping["compare"].mapping["metrics"].items if compare.metrics else []
    listed: dict[str, MetricSpec] = {}
    for position, (spec, node) in enumerate(zip(compare.metrics, nodes, strict=True)):
        path: KeyPath = ("compare", "metrics", position)
        if spec.name in listed:
            mistakes.value(node, path, f"{spec.name} is listed twice")
        listed[spec.name] = spec.model_copy(update={"k": DEFAULT_K}) if spec.name == "topk_agreement" and spec.k is None else spec
        _check_data(spec.name, compare, node, path, mistakes)
    return listed


def _check_data(name: str, compare: Compare, node: Node, path: KeyPath, mistakes: Mistakes) -> None:
    """Add what a metric is computed from and the recipe does not give."""
    against = METRICS[name].against
    if against != "nothing" and compare.samples is None:
        mistakes.key(node, path, f"{name} needs samples: add compare.samples")
    elif against == "ground_truth" and compare.samples is not None and compare.samples.ground_truth is None:
        mistakes.key(node, path, f"{name} needs labels: add compare.samples.ground_truth")
