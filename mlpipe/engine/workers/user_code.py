"""Which loaded modules are the user's own: those under the recipe's folder, and not an environment that lies in it."""

from __future__ import annotations

import os
import sys
import sysconfig
from functools import cache
from pathlib import Path

import mlpipe


def user_files(folder: Path) -> tuple[Path, ...]:
    """Return the files under `folder` that are loaded as modules, sorted. Units: absolute paths."""
    names = (getattr(module, "__file__", None) for module in tuple(sys.modules.values()))
    return tuple(sorted({Path(name).absolute() for name in names if isinstance(name, str) and is_user_file(name, folder)}))


def is_user_file(name: str, folder: Path) -> bool:
    """Return whether a file belongs to the recipe rather than to Python, an installed package or mlpipe."""
    if name.startswith("<"):  # code without a file
        return False
    # The folder is resolved, not the file: a link in the recipe's folder to a file elsewhere is still the recipe's.
    place = _resolved(os.path.dirname(name))  # noqa: PTH120 - thousands of modules: Path objects would cost a tenth of a second
    return place.is_relative_to(_resolved(str(folder))) and not any(place.is_relative_to(installed) for installed in _installed())


@cache
def _resolved(folder: str) -> Path:
    return Path(folder).resolve()


@cache
def _installed() -> tuple[Path, ...]:
    scheme = sysconfig.get_paths()
    places = {scheme[key] for key in ("stdlib", "platstdlib", "purelib", "platlib")}
    return (*(Path(place).resolve() for place in places), Path(mlpipe.__file__).parent.resolve())
