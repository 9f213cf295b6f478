"""The Python interface: what `import mlpipe` offers, and what the command line calls."""

from __future__ import annotations

from pathlib import Path
from typing import Any


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
