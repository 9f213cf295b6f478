"""Functions of the user's own, from Python files beside the recipe."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from mlpipe.errors import RecipeError


def load_function(reference: str, folder: Path) -> Callable[..., Any]:
    """Return the function that `file.py:function` names, the file relative to `folder`.

    Errors: RecipeError where the file is missing, fails to import, or has no such function.
    """
    file_name, _, name = reference.rpartition(":")
    path = (folder / file_name).resolve()
    function = getattr(_module(path, reference), name, None)
    if not callable(function):
        raise RecipeError(f"{file_name} has no function {name}", where=str(path))
    return function  # type: ignore[no-any-return]


def _module(path: Path, reference: str) -> ModuleType:
    """Import a file under a name made of its content, so that an edited file is read again and none shadows another."""
    if not path.is_file():
        raise RecipeError(f"the file of the function {reference} is not there", where=str(path))
    name = f"mlpipe_user_{hashlib.sha256(str(path).encode() + path.read_bytes()).hexdigest()[:16]}_{path.stem}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise RecipeError(f"the file of the function {reference} is no Python file", where=str(path))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    sys.path.append(str(path.parent))  # at the end: the file may import its neighbours, but not shadow an installed package
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise RecipeError(f"the file of the function {reference} fails to import", where=str(path), why=f"{type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(str(path.parent))
    return module
