from __future__ import annotations

from collections.abc import Callable
from typing import get_args

import pytest

from mlpipe.recipe.metrics_table import METRICS
from mlpipe.recipe.plan import Plan
from mlpipe.recipe.schema.compare import MetricName

BASE = """
source: {keras: model.keras}
convert: {to: neuralnetwork}
compare: {samples: {arrays: x.npz, ground_truth: truth.csv}, metrics: [{psnr_db: {peak: 255}}]}
quantize: {fp16: {weights: float16}, linear: {method: linear, bits: [8, 2]}}
"""


def bounds(plan: Plan, variant: str) -> dict[str, str]:
    assert plan.gates is not None
    return {bound.metric: bound.text for bound in plan.gates[variant].bounds}


def test_globs_merge_from_the_least_to_the_most_specific_metric_by_metric(plan_of: Callable[[str], Plan]) -> None:
    plan = plan_of(
        BASE
        + """
gate:
  linear-2: {size_ratio: "<= 10%", report_only: true}
  linear-*: {snr_db: ">= 20", size_ratio: "<= 30%"}
  "*": {top1_agreement: ">= 98%", size_ratio: "<= 60%", snr_db: ">= 50 dB"}
  converted: {source.snr_db: ">= 60"}
"""
    )
    assert bounds(plan, "converted") == {"source.snr_db": ">= 60"}  # `*` is every variant but this one
    assert bounds(plan, "fp16") == {"top1_agreement": ">= 98%", "size_ratio": "<= 60%", "snr_db": ">= 50 dB"}
    assert bounds(plan, "linear-8") == {"top1_agreement": ">= 98%", "size_ratio": "<= 30%", "snr_db": ">= 20"}
    assert bounds(plan, "linear-2") == {"top1_agreement": ">= 98%", "size_ratio": "<= 10%", "snr_db": ">= 20"}
    assert plan.gates is not None
    assert {name: rules.report_only for name, rules in plan.gates.items()} == {"converted": False, "fp16": False, "linear-8": False, "linear-2": True}


def test_of_globs_that_are_equally_specific_the_later_wins(plan_of: Callable[[str], Plan]) -> None:
    plan = plan_of(BASE + 'gate:\n  "*-8": {snr_db: ">= 1"}\n  "l*8": {snr_db: ">= 2"}\n')
    assert bounds(plan, "linear-8") == {"snr_db": ">= 2"}


def test_nothing_takes_an_inherited_bound_away(plan_of: Callable[[str], Plan]) -> None:
    plan = plan_of(BASE + 'gate:\n  "*": {snr_db: ">= 1", cosine: ">= 0.9"}\n  fp16: {snr_db: null}\n')
    assert bounds(plan, "fp16") == {"cosine": ">= 0.9"}


@pytest.mark.parametrize("confidence", ["95%", "0.95", "95 %"])
def test_a_confidence_holds_for_shares(confidence: str, plan_of: Callable[[str], Plan]) -> None:
    plan = plan_of(BASE + f'gate:\n  "*": {{top1_agreement: ">= 98%", snr_db: ">= 1", confidence: {confidence}}}\n  linear-2: {{confidence: 50%}}\n')
    assert plan.gates is not None
    assert {bound.metric: bound.confidence for bound in plan.gates["fp16"].bounds} == {"top1_agreement": 0.95, "snr_db": None}
    assert {bound.metric: bound.confidence for bound in plan.gates["linear-2"].bounds} == {"top1_agreement": 0.5, "snr_db": None}


def test_gated_metrics_are_computed_with_their_parameters(plan_of: Callable[[str], Plan]) -> None:
    plan = plan_of(BASE + 'gate:\n  "*": {topk_agreement: ">= 98%", source.cosine: ">= 0.9", size_ratio: "<= 30%", psnr_db: ">= 30", accuracy: ">= 90%"}\n')
    metrics = {spec.name: (spec.k, spec.peak) for spec in plan.compare.metrics}
    assert metrics == {"psnr_db": (None, 255), "topk_agreement": (5, None), "cosine": (None, None), "accuracy": (None, None)}


def test_every_metric_of_the_table_can_be_listed() -> None:
    assert get_args(MetricName) == tuple(METRICS)


def test_without_gates_there_are_none(plan_of: Callable[[str], Plan]) -> None:
    assert plan_of(BASE).gates is None


def test_globs_of_shared_defaults_may_match_nothing(plan_of: Callable[[str, str], Plan]) -> None:
    pipeline = 'defaults:\n  gate:\n    "*": {size_ratio: "<= 60%"}\n    lut-*: {size_ratio: "<= 30%"}\n'
    assert bounds(plan_of(BASE, pipeline), "fp16") == {"size_ratio": "<= 60%"}
    pipeline = 'defaults:\n  gate:\n    "*": {snr_db: ">= 60", accuracy: ">= 90%"}\n'
    plan = plan_of("source: {keras: model.keras}\n", pipeline)  # has no variants: nothing to compute, no samples needed
    assert (plan.gates is not None and plan.gates["converted"].bounds, plan.compare.metrics) == ((), [])


def test_an_existing_model_is_held_against_a_reference(plan_of: Callable[[str], Plan]) -> None:
    recipe = "source: {coreml: model.mlmodel}\nreference: {npz: golden.npz}\ncompare: {samples: {arrays: x.npz}}\ngate: {converted: {source.snr_db: '>= 60'}}\n"
    plan = plan_of(recipe)
    assert (plan.convert, plan.reference, plan.reference_outputs) == (None, None, plan.folder / "golden.npz")
    plan = plan_of(recipe.replace("{npz: golden.npz}", "{onnx: model.onnx}"))
    assert plan.reference is not None
    assert (plan.reference.location, plan.reference_outputs) == (str(plan.folder / "model.onnx"), None)
