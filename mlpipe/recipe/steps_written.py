"""The steps of a variant as written to steps with every value explicit."""

from __future__ import annotations

import os
from pathlib import Path

from mlpipe.recipe.mistakes import Mistakes, shown
from mlpipe.recipe.nodes import KeyPath, Node
from mlpipe.recipe.paths import absolute_path, missing_file
from mlpipe.recipe.schema.convert import Convert
from mlpipe.recipe.schema.quantize import QuantizeStep
from mlpipe.recipe.target_checks import explicit_step, step_problem
from mlpipe.recipe.validation import validate


def plan_steps(written: tuple[tuple[KeyPath, Node], ...], convert: Convert | None, recipe_file: Path, mistakes: Mistakes) -> tuple[QuantizeStep, ...]:
    """Return the steps that are right, after adding what is wrong to the mistakes."""
    planned = []
    for path, node in written:
        long_form = _function(_weights(node, path, mistakes), path, recipe_file, mistakes)
        step = validate(QuantizeStep, long_form, mistakes, path)
        if step is None:
            continue
        explicit = explicit_step(step, convert.to if convert else None, "bits" in long_form.mapping)
        problem = step_problem(explicit, convert)
        if problem is not None:
            key, message = problem
            mistakes.value(long_form.mapping.get(key, node), (*path, key), message)
        planned.append(explicit)
    return tuple(planned)


def _weights(node: Node, path: KeyPath, mistakes: Mistakes) -> Node:
    """Return a step with `weights: float16` in its long form."""
    weights = node.mapping.get("weights")
    if weights is None:
        return node
    if "method" in node.mapping:
        mistakes.key(weights, (*path, "weights"), "`weights` and `method` say the same thing twice: keep one")
    elif weights.value != "float16":
        mistakes.value(weights, (*path, "weights"), f"expected float16, got {shown(weights.value)}; integers are written {{method: linear, bits: 8}}")
        weights = weights._replace(value="float16")
    return node.without("weights").with_entries(method=node.mapping.get("method", weights))


def _function(node: Node, path: KeyPath, recipe_file: Path, mistakes: Mistakes) -> Node:
    """Return a step whose function's file is relative to the recipe's folder, where user code is looked up."""
    function = node.mapping.get("function")
    if function is None or not isinstance(function.value, str) or ":" not in function.value:
        return node
    file, _, name = function.value.rpartition(":")
    named = function._replace(value=file)
    absolute = absolute_path(named)
    if not Path(absolute).is_file():
        mistakes.value(function, (*path, "function"), missing_file(named))
    return node.with_entries(function=function._replace(value=f"{os.path.relpath(absolute, recipe_file.parent)}:{name}"))
