"""Functions of the user's own, from Python files beside the recipe."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from mlpipe.errors import RecipeError
from mlpipe.recipe.user_module import load_module


def load_function(reference: str, folder: Path) -> Callable[..., Any]:
    """Return the function that `file.py:function` names, the file relative to `folder`.

    Errors: UserCodeFailed where the file is missing or fails to import; RecipeError where it has no such function.
    """
    file_name, _, name = reference.rpartition(":")
    path = (folder / file_name).resolve()
    function = getattr(load_module(path, f"the file of the function {reference}"), name, None)
    if not callable(function):
        raise RecipeError(f"{file_name} has no function {name}", where=str(path))
    return function  # type: ignore[no-any-return]
