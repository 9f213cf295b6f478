from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import jsonschema
import yaml

from mlpipe.recipe.json_schema import json_schema
from mlpipe.recipe.plan import Plan
from mlpipe.recipe.show import show


def test_what_is_shown_loads_to_an_equal_plan(valid_recipe: str, plan_of: Callable[[str], Plan]) -> None:
    plan = plan_of(valid_recipe)
    shown = show(plan)
    assert plan_of(yaml.safe_dump(shown, sort_keys=False)) == plan
    assert plan_of(json.dumps(shown)) == plan
    assert show(plan_of(json.dumps(shown))) == shown
    jsonschema.validate(shown, json_schema(), cls=jsonschema.Draft202012Validator)


def test_sections_stand_in_the_order_of_the_steps_with_every_default(plan_of: Callable[[str], Plan]) -> None:
    shown: dict[str, Any] = show(plan_of("gate: {converted: {source.snr_db: '>= 3'}}\ncompare: {samples: {arrays: x.npz}}\nsource: {keras: model.keras}\n"))
    assert list(shown) == ["mlpipe", "name", "source", "convert", "quantize", "compare", "gate", "workers"]
    assert shown["convert"]["minimum_deployment_target"] == "iOS16"
    assert shown["compare"]["metrics"] == [{"name": "snr_db", "k": None, "peak": None}]
    assert shown["gate"] == {"converted": {"source.snr_db": ">= 3", "report_only": False}}
