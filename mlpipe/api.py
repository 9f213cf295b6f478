"""The Python interface: what `import mlpipe` offers, and what the command line calls."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mlpipe.errors import RecipeError


def show(recipe: str | Path) -> dict[str, Any]:
    """Return a recipe with every default expanded, as data that is a valid recipe again. Errors: RecipeErrors."""
    from mlpipe.recipe.show import show as expanded
    from mlpipe.recipe.workspace import load_plan

    return expanded(load_plan(Path(recipe)))


def schema(kind: str = "recipe") -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of `recipe`, `pipeline` or `report`."""
    if kind == "report":
        from mlpipe.reports.schema import report_schema

        return report_schema()
    from mlpipe.recipe.json_schema import json_schema

    return json_schema(kind)


def init(model: str | Path, output: str | Path | None = None, *, force: bool = False, allow_code: bool = False) -> Path:
    """Write a commented recipe for a model file and return its path. Errors: RecipeError where the recipe exists already, SourceUnreadable."""
    from mlpipe.engine.describe import describe_source
    from mlpipe.recipe.guess import source_kind
    from mlpipe.recipe.schema.source import Source
    from mlpipe.recipe.template import recipe_name, recipe_text

    path = Path(model).absolute()
    recipe = Path(output).absolute() if output is not None else path.parent / "recipe.yaml"
    if recipe.exists() and not force:
        raise RecipeError("the recipe exists already", where=str(recipe), fix="choose another with --output, or overwrite it with --force")
    kind = source_kind(path)
    location = path.with_suffix("") if path.suffix == ".meta" else path
    description = describe_source(Source.model_validate({kind: str(location), "allow_code": allow_code}))
    text = recipe_text(recipe_name(path), kind, _relative(location, recipe.parent), description, allow_code=allow_code)
    recipe.parent.mkdir(parents=True, exist_ok=True)
    recipe.write_text(text, encoding="utf-8")
    return recipe


def inspect(model: str | Path) -> dict[str, Any]:
    """Return what is in a model file, as JSON-able data. Errors: RecipeError, SourceUnreadable, ModelFileInvalid."""
    from mlpipe.analysis.inspect import inspect_coreml, inspect_source
    from mlpipe.recipe.guess import source_kind

    path = Path(model).absolute()
    kind = source_kind(path)
    return inspect_coreml(path) if kind == "coreml" else inspect_source(path, kind)


def clean(names: Sequence[str] = (), *, workspace: str | Path | None = None, everything: bool = False) -> list[Path]:
    """Remove what runs wrote for the named recipes (default: all) and return the folders. The cache stays."""
    from mlpipe.engine.clean import clean as remove
    from mlpipe.recipe.workspace import find_root

    root = Path(workspace) if workspace is not None else find_root(Path.cwd())
    return remove(root / "build", names, everything=everything)


def _relative(path: Path, folder: Path) -> str:
    return Path(os.path.relpath(path, folder)).as_posix()
