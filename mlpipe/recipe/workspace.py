"""From files to plans: finds `pipeline.yaml` and the recipes, and expands them."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from pathlib import Path

from mlpipe.errors import RecipeError, RecipeErrors
from mlpipe.recipe.expand import Shared, expand
from mlpipe.recipe.loader import load
from mlpipe.recipe.merge import deep_merge
from mlpipe.recipe.mistakes import Mistakes, unknown
from mlpipe.recipe.nodes import KeyPath, Node, display_path
from mlpipe.recipe.paths import absolute_path
from mlpipe.recipe.plan import Plan, Workspace
from mlpipe.recipe.root import PIPELINE_FILE, find_pipeline, recipe_file
from mlpipe.recipe.schema.pipeline import Pipeline
from mlpipe.recipe.schema.recipe import Recipe
from mlpipe.recipe.validation import validate


def load_plan(path: Path) -> Plan:
    """Return the plan of one recipe, with the defaults of the workspace that it lies in."""
    return load_workspace(None, [path]).plans[0]


def load_workspace(path: Path | None = None, recipes: Sequence[Path] = ()) -> Workspace:
    """Return the plans of some recipes, or of all that the workspace lists.

    `path` is a `pipeline.yaml` or its folder. Without it the nearest one counts that lies in a folder above the first recipe, or above the
    working directory; without any, the recipe's own folder is the workspace.
    Errors: RecipeErrors with the mistakes of every file.
    """
    named = list(dict.fromkeys(recipe_file(recipe) for recipe in recipes))
    pipeline_file = find_pipeline(path, named)
    if pipeline_file is None and not named:
        raise RecipeError(f"there is no {PIPELINE_FILE} in this folder or above", fix="name a recipe, or go to the workspace")
    pipeline, written = _load_pipeline(pipeline_file) if pipeline_file else (Pipeline(), None)
    files, globs = (named, ()) if named else _listed_recipes(written)
    shared = Shared(_defaults(written), tuple(pipeline.env))
    plans, environment = _expand_all(files, shared)
    return Workspace(
        root=pipeline_file.parent if pipeline_file else named[0].parent,
        plans=tuple(plans),
        workers=pipeline.workers,
        cache_size_bytes=pipeline.cache.size_bytes,
        files=tuple(([pipeline_file] if pipeline_file else []) + files),
        recipe_globs=tuple(globs),
        environment=environment,
    )


def _load_pipeline(file: Path) -> tuple[Pipeline, Node]:
    written = load(file)
    mistakes = Mistakes()
    pipeline = validate(Pipeline, written, mistakes)
    for key, node in _defaults_written(written).items():
        if key not in Recipe.model_fields or key in ("name", "mlpipe"):
            known = [name for name in Recipe.model_fields if name not in ("name", "mlpipe")]
            mistakes.key(node, ("defaults", key), unknown("key", key, known))
    mistakes.raise_if_any()
    assert pipeline is not None
    return pipeline, written


def _defaults_written(written: Node | None) -> dict[str, Node]:
    return written.mapping["defaults"].mapping if written is not None and "defaults" in written.mapping else {}


def _defaults(written: Node | None) -> Node | None:
    """Return what lies under every recipe: `defaults:`, and the workspace's `workers:` under those."""
    if written is None:
        return None
    entries = dict(_defaults_written(written))
    if "workers" in written.mapping:
        workers = written.mapping["workers"]
        entries["workers"] = deep_merge(workers, entries["workers"]) if "workers" in entries else workers
    return written.mapping.get("defaults", written)._replace(value=entries)


def _listed_recipes(written: Node | None) -> tuple[list[Path], list[str]]:
    mistakes = Mistakes()
    files: dict[Path, None] = {}
    patterns = []
    listed = written.mapping.get("recipes") if written is not None else None
    for position, node in enumerate(listed.items if listed is not None else []):
        path: KeyPath = ("recipes", position)
        patterns.append(absolute_path(node, globs=True))
        found = [recipe_file(Path(match)) for match in sorted(glob.glob(patterns[-1], recursive=True))]  # noqa: PTH207 - absolute patterns
        if not found:
            mistakes.value(node, path, f"no recipe matches '{node.value}'")
        files.update(dict.fromkeys(found))
    mistakes.raise_if_any()
    if not files and written is not None:
        raise RecipeError("the workspace lists no recipes", where=written.place.location(), fix="add `recipes: [recipes/*/recipe.yaml]`, or name a recipe")
    return list(files), patterns


def _expand_all(files: list[Path], shared: Shared) -> tuple[list[Plan], dict[str, str | None]]:
    errors: list[RecipeError] = []
    plans: list[Plan] = []
    environment: dict[str, str | None] = {}
    for file in files:
        try:
            plan, read = expand(load(file), shared)
        except RecipeErrors as error:
            errors.extend(error.errors)
        except RecipeError as error:
            errors.append(error)
        else:
            same = [other for other in plans if other.name.lower() == plan.name.lower()]
            if same:
                message = f"name: '{plan.name}' is the name of {display_path(same[0].recipe_path)} too; both would be built in the same folder"
                errors.append(RecipeError(message, where=display_path(file)))
            plans.append(plan)
            environment.update(read)
    if errors:
        raise RecipeErrors(list({str(error): error for error in errors}.values()))  # a mistake in shared defaults shows in each recipe
    return plans, environment
