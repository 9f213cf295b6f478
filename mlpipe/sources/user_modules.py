"""Python files that belong to a source: the classes and functions of its custom layers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mlpipe.errors import SourceUnreadable
from mlpipe.recipe.user_module import load_module


def load_objects(paths: Sequence[str]) -> dict[str, Any]:
    """Return the public classes and functions that the files define, by name.

    Errors: UserCodeFailed where a file is missing or fails to import; SourceUnreadable where two files define the same name.
    """
    objects: dict[str, Any] = {}
    for path in paths:
        module = load_module(Path(path), "a file of source.modules")
        for name, value in vars(module).items():
            if name.startswith("_") or getattr(value, "__module__", None) != module.__name__:
                continue
            if name in objects and objects[name] is not value:
                raise SourceUnreadable(f"two files of source.modules define {name}", where=str(path), fix="rename one of them")
            objects[name] = value
    return objects
