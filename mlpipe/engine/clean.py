"""Removing what runs wrote into a workspace."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from mlpipe.errors import RecipeError

STATE = ".mlpipe"


def clean(build: Path, names: Sequence[str], *, everything: bool) -> list[Path]:
    """Remove the folders of the named recipes, or of all, below `build`; return what was removed.

    Only a build folder that a run made is touched: it holds `.mlpipe`. Errors: RecipeError for an unknown name, or a foreign folder.
    """
    if not build.is_dir():
        return []
    if not (build / STATE).is_dir():
        raise RecipeError("this folder was not made by mlpipe, so nothing in it is removed", where=str(build), why="it has no .mlpipe folder")
    present = {path.name: path for path in sorted(build.iterdir()) if path.name != STATE}
    unknown = [name for name in names if name not in present]
    if unknown:
        raise RecipeError(f"there is nothing of recipe {unknown[0]!r} in {build}", fix=f"known: {', '.join(present) or 'none'}")
    chosen = [present[name] for name in names] if names else list(present.values())
    if everything:
        chosen.append(build / STATE)
    for path in chosen:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    return chosen
