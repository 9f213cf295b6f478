"""A recipe as written to a Plan: every value explicit."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mlpipe.recipe import capabilities as can
from mlpipe.recipe.gates import GateContext, merge_gates
from mlpipe.recipe.merge import deep_merge
from mlpipe.recipe.metric_checks import plan_metrics
from mlpipe.recipe.mistakes import Mistakes, did_you_mean, one_of
from mlpipe.recipe.nodes import Node
from mlpipe.recipe.paths import resolve_paths
from mlpipe.recipe.plan import CONVERTED, Plan, Variant
from mlpipe.recipe.schema.convert import Convert, DimensionRange
from mlpipe.recipe.schema.gate import GateRules
from mlpipe.recipe.schema.quantize import QuantizeStep
from mlpipe.recipe.schema.recipe import Recipe
from mlpipe.recipe.schema.source import ReferenceOutputs, Source
from mlpipe.recipe.steps_written import plan_steps
from mlpipe.recipe.target_checks import ConvertChecks
from mlpipe.recipe.validation import validate
from mlpipe.recipe.variables import Environment, Variables
from mlpipe.recipe.variants import WrittenVariant, expand_variants


@dataclass(frozen=True)
class Shared:
    """What a recipe takes from `pipeline.yaml`."""

    defaults: Node | None = None
    """A recipe's keys, to be merged under it."""
    environment_names: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))


def expand(written: Node, shared: Shared) -> tuple[Plan, dict[str, str | None]]:
    """Return a recipe's Plan, and the environment variables that it read with their values.

    Errors: RecipeErrors with every mistake that was found.
    """
    mistakes = Mistakes()
    file = written.place.file
    merged = _without_empty_sections(deep_merge(shared.defaults, written) if shared.defaults is not None else written)
    environment = _environment(merged, shared)
    variables = Variables(merged.mapping.get("vars"), environment, mistakes)
    variables.check()
    untouched = {key: merged.mapping[key] for key in ("vars", "env", "quantize") if key in merged.mapping}
    resolved = variables.substitute(merged.without(*untouched), ()).with_entries(**untouched)
    resolved = resolve_paths(_with_names(resolved, file), mistakes)
    recipe = validate(Recipe, resolved, mistakes)
    if recipe is None:
        _check_what_stands_alone(resolved, variables, mistakes)
        mistakes.raise_if_any()
        raise AssertionError("a recipe that is not valid has a mistake")
    plan = _Expansion(recipe, resolved, file, variables, mistakes).plan()
    mistakes.raise_if_any()
    return plan, environment.read


def _without_empty_sections(recipe: Node) -> Node:
    """Return the recipe without sections that say nothing (`quantize:`, or `gate: null` to take shared defaults away)."""
    return recipe.without(*(key for key, node in recipe.mapping.items() if node.value is None and key in Recipe.model_fields and key != "source"))


def _environment(merged: Node, shared: Shared) -> Environment:
    listed = [item.value for item in merged.mapping["env"].items if isinstance(item.value, str)] if "env" in merged.mapping else []
    return Environment(shared.environment, frozenset((*listed, *shared.environment_names)))


def _with_names(recipe: Node, file: Path) -> Node:
    """Return the recipe with the names that are implied: its own, from the folder or the file, and the release's."""
    if "name" not in recipe.mapping:
        recipe = recipe.with_entries(name=recipe.implied(file.parent.name if file.stem == "recipe" else file.stem))
    release = recipe.mapping.get("release")
    if release is not None and release.mapping and "name" not in release.mapping:
        recipe = recipe.with_entries(release=release.with_entries(name=recipe.mapping["name"]))
    return recipe


def _check_what_stands_alone(resolved: Node, variables: Variables, mistakes: Mistakes) -> None:
    """Look for mistakes in the variants of a recipe that is wrong elsewhere, so that the user sees those too."""
    variants = expand_variants(resolved.mapping["quantize"], variables, mistakes) if "quantize" in resolved.mapping else []
    for variant in variants:
        for path, step in variant.steps:
            plan_steps(((path, step),), None, resolved.place.file, mistakes)
    if "gate" in resolved.mapping:
        names = [CONVERTED, *(variant.name for variant in variants)]
        merge_gates(resolved.mapping["gate"], GateContext(names, has_source_comparison=True, recipe_file=None), mistakes)


class _Expansion:
    """The part of the work that needs a recipe whose shape is right."""

    def __init__(self, recipe: Recipe, written: Node, file: Path, variables: Variables, mistakes: Mistakes) -> None:
        self._recipe, self._written, self._file = recipe, written, file
        self._variables, self._mistakes = variables, mistakes

    def plan(self) -> Plan:
        recipe = self._recipe
        convert = self._convert()
        variants = self._variants(convert)
        names = [CONVERTED, *(variant.name for variant in variants)]
        gates = self._gates(names)
        self._check_release(names, gates)
        reference = recipe.reference
        return Plan(
            name=recipe.name,
            description=recipe.description,
            recipe_path=self._file,
            folder=self._file.parent,
            source=recipe.source,
            convert=convert,
            reference=reference if isinstance(reference, Source) else None,
            reference_outputs=Path(reference.npz) if isinstance(reference, ReferenceOutputs) else None,
            variants=tuple(variants),
            compare=plan_metrics(recipe.compare, gates, self._written, self._mistakes),
            gates=gates,
            release=recipe.release,
            workers=recipe.workers,
        )

    def _convert(self) -> Convert | None:
        recipe, written = self._recipe, self._written.mapping
        if recipe.source.kind == "coreml":
            if "convert" in written and written["convert"].place.file == self._file and recipe.convert is not None:
                self._mistakes.key(written["convert"], ("convert",), "a `coreml:` source is not converted: remove this section")
            return None
        if recipe.reference is not None:
            self._mistakes.key(written["reference"], ("reference",), "goes with a `coreml:` source; this one is converted, and held against itself")
        convert = explicit_convert(recipe.convert or Convert())
        ConvertChecks(convert, self._written, self._mistakes).run()
        return convert

    def _variants(self, convert: Convert | None) -> list[Variant]:
        section = self._written.mapping.get("quantize")
        written: list[WrittenVariant] = expand_variants(section, self._variables, self._mistakes) if section is not None else []
        planned: list[Variant] = []
        for variant in written:
            steps: tuple[QuantizeStep, ...] = plan_steps(variant.steps, convert, self._file, self._mistakes)
            planned.append(Variant(variant.name, steps))
        return planned

    def _gates(self, names: list[str]) -> dict[str, GateRules] | None:
        if self._recipe.gate is None:
            return None
        has_source = self._recipe.source.kind != "coreml" or self._recipe.reference is not None
        context = GateContext(names, has_source_comparison=has_source, recipe_file=self._file)
        return merge_gates(self._written.mapping["gate"], context, self._mistakes)

    def _check_release(self, names: list[str], gates: dict[str, GateRules] | None) -> None:
        release = self._recipe.release
        if release is None:
            return
        written, path = self._written.mapping["release"].mapping["variant"], ("release", "variant")
        if release.variant not in names:
            hint = did_you_mean(release.variant, names) or f"; expected {one_of(names[:20])}"
            self._mistakes.value(written, path, f"there is no variant '{release.variant}'{hint}")
        elif gates is not None and gates[release.variant].report_only:
            self._mistakes.value(written, path, f"'{release.variant}' is report_only: what ships has to pass its gate")


def explicit_convert(convert: Convert) -> Convert:
    """Return a conversion with the defaults of its format filled in."""
    inputs = {}
    for name, entry in convert.inputs.items():
        shape = entry.shape and [
            size.model_copy(update={"default": size.min}) if isinstance(size, DimensionRange) and size.default is None else size for size in entry.shape
        ]
        default_shape = entry.default_shape or (entry.enumerated_shapes[0] if entry.enumerated_shapes else None)
        inputs[name] = entry.model_copy(update={"shape": shape, "default_shape": default_shape})
    return convert.model_copy(
        update={
            "minimum_deployment_target": convert.minimum_deployment_target or can.DEFAULT_TARGETS[convert.to],
            "compute_precision": convert.compute_precision or can.DEFAULT_PRECISIONS[convert.to],
            "inputs": inputs,
        }
    )
