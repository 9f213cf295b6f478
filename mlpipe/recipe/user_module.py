"""Python files of the user's own that a recipe names: custom layers, look-up table functions."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from mlpipe.errors import UserCodeFailed


def load_module(path: Path, what: str) -> ModuleType:
    """Import a file under a name made of its content, so that an edited file is read again and none shadows another.

    `what` says in messages what the file is for, e.g. "a file of source.modules". Errors: UserCodeFailed where it is missing or fails to import.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserCodeFailed(f"{what} cannot be read", where=str(path), why=error.strerror or str(error)) from error
    name = f"mlpipe_user_{hashlib.sha256(str(path).encode() + content).hexdigest()[:16]}_{path.stem}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UserCodeFailed(f"{what} is no Python file", where=str(path))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    folder = str(path.parent)
    sys.path.append(folder)  # at the end: the file may import its neighbours, but not shadow an installed package
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        raise UserCodeFailed(f"{what} fails to import", where=str(path), why=f"{type(error).__name__}: {error}") from error
    finally:
        sys.path.remove(folder)
    return module
