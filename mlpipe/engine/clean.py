"""Removing what runs wrote into a workspace."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from mlpipe.engine.state import State
from mlpipe.errors import RecipeError

STATE = ".mlpipe"
STATE_FILE = "state.sqlite3"


def clean(build: Path, names: Sequence[str], *, everything: bool) -> list[Path]:
    """Remove the folders of the named recipes, or of all, below `build`; return what was removed.

    Nothing is touched that no run made: other programs like the name `build`, too. Errors: RecipeError for an unknown name, or a foreign folder.
    """
    if not build.is_dir():
        return []
    if not (build / STATE).is_dir():
        raise RecipeError("this folder was not made by mlpipe, so nothing in it is removed", where=str(build), why="it has no .mlpipe folder")
    made = _recipes(build / STATE)
    present = {path.name: path for path in sorted(build.iterdir()) if path.name in made}
    unknown = [name for name in names if name not in present]
    if unknown:
        raise RecipeError(f"there is nothing of recipe {unknown[0]!r} in {build}", fix=f"known: {', '.join(present) or 'none'}")
    chosen = [present[name] for name in names] if names else list(present.values())
    if everything:
        chosen.append(build / STATE)
    for path in chosen:
        path.unlink() if path.is_symlink() else shutil.rmtree(path)
    return chosen


def _recipes(folder: Path) -> set[str]:
    """Return the names of the recipes that ran here: those whose tasks are remembered, or left a log, as failed ones do."""
    logs = folder / "logs"
    names = {path.name for path in logs.iterdir()} if logs.is_dir() else set()
    if (folder / STATE_FILE).exists():
        state = State(folder / STATE_FILE)
        names |= {task.partition(":")[0] for task in state.names("tasks")}
        state.discard()
    return names
