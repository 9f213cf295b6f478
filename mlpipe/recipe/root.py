"""Where a workspace is, found without reading any YAML."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

PIPELINE_FILE = "pipeline.yaml"
RECIPE_FILE = "recipe.yaml"


def recipe_file(named: Path) -> Path:
    """Return a recipe's absolute path; a folder stands for the recipe.yaml in it."""
    absolute = Path(os.path.abspath(named))  # noqa: PTH100 - resolve() would follow links out of the workspace
    return absolute / RECIPE_FILE if absolute.is_dir() else absolute


def pipeline_candidates(path: Path | None, named: Sequence[Path]) -> Iterable[Path]:
    """Yield where a workspace's file could be: `path` (a folder or the file), else upward from the first recipe, else from here."""
    if path is not None:
        absolute = Path(os.path.abspath(path))  # noqa: PTH100
        yield absolute / PIPELINE_FILE if absolute.is_dir() else absolute
        return
    for start in (*(recipe.parent for recipe in named[:1]), Path.cwd()):
        yield from (folder / PIPELINE_FILE for folder in (start, *start.parents))


def find_pipeline(path: Path | None, named: Sequence[Path]) -> Path | None:
    """Return the workspace's file; None where there is none (one that was named is returned even if it does not exist)."""
    candidates = list(pipeline_candidates(path, named))
    return candidates[0] if path is not None else next((candidate for candidate in candidates if candidate.is_file()), None)


def find_root(path: Path | None, named: Sequence[Path] = ()) -> Path:
    """Return the workspace's folder: that of pipeline.yaml, else of the first recipe, else this one."""
    pipeline = find_pipeline(path, named)
    if pipeline is not None:
        return pipeline.parent
    return named[0].parent if named else Path.cwd()
