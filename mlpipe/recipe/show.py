"""A Plan as a recipe with every default written out. Loading that recipe gives the Plan again."""

from __future__ import annotations

from typing import Any

from mlpipe.recipe.plan import Plan, Variant
from mlpipe.recipe.schema.gate import GateRules


def show(plan: Plan) -> dict[str, Any]:
    """Return the recipe as data for YAML or JSON, keys in the order of the design, paths absolute."""
    reference: dict[str, Any] | None = None
    if plan.reference is not None:
        reference = plan.reference.model_dump(by_alias=True)
    elif plan.reference_outputs is not None:
        reference = {"npz": str(plan.reference_outputs)}
    sections = {
        "mlpipe": 1,
        "name": plan.name,
        "description": plan.description,
        "source": plan.source.model_dump(by_alias=True),
        "reference": reference,
        "convert": plan.convert.model_dump(by_alias=True) if plan.convert is not None else None,
        "quantize": {variant.name: _steps(variant) for variant in plan.variants},
        "compare": plan.compare.model_dump(by_alias=True),
        "gate": {name: _rules(rules) for name, rules in plan.gates.items()} if plan.gates is not None else None,
        "release": plan.release.model_dump(by_alias=True) if plan.release is not None else None,
        "workers": plan.workers.model_dump(by_alias=True),
    }
    return {key: value for key, value in sections.items() if value is not None}


def _steps(variant: Variant) -> Any:
    steps = [step.model_dump(by_alias=True) for step in variant.steps]
    return steps[0] if len(steps) == 1 else steps


def _rules(rules: GateRules) -> dict[str, Any]:
    confidence = next((bound.confidence for bound in rules.bounds if bound.confidence is not None), None)
    shown: dict[str, Any] = {bound.metric: bound.text for bound in rules.bounds}
    if confidence is not None:
        shown["confidence"] = confidence
    return {**shown, "report_only": rules.report_only}
