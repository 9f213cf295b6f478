"""Python files that belong to a source: the classes and functions of its custom layers."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from mlpipe.errors import SourceUnreadable


def load_objects(paths: Sequence[str]) -> dict[str, Any]:
    """Return the public classes and functions that the files define, by name.

    Errors: SourceUnreadable where a file is missing or fails to import, or where two files define the same name.
    """
    objects: dict[str, Any] = {}
    for path in paths:
        module = _load(Path(path))
        for name, value in vars(module).items():
            if name.startswith("_") or getattr(value, "__module__", None) != module.__name__:
                continue
            if name in objects and objects[name] is not value:
                raise SourceUnreadable(f"two files of source.modules define {name}", where=str(path), fix="rename one of them")
            objects[name] = value
    return objects


def _load(path: Path) -> ModuleType:
    """Import a file under a name made of its content, so that it cannot shadow or be taken for another module."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SourceUnreadable("a file of source.modules cannot be read", where=str(path), why=str(error)) from error
    name = f"mlpipe_user_{hashlib.sha256(str(path).encode() + content).hexdigest()[:16]}_{path.stem}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise SourceUnreadable("a file of source.modules is no Python file", where=str(path))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    folder = str(path.parent)
    sys.path.append(folder)  # at the end: the file may import its neighbours, but not shadow an installed package
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise SourceUnreadable("a file of source.modules fails to import", where=str(path), why=f"{type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(folder)
    return module
