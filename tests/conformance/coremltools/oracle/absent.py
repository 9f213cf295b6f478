"""Packages that count as not installed, so that a machine which has them can show what happens on one that has not."""

from __future__ import annotations

import importlib.abc
import sys
from collections.abc import Iterable, Sequence
from types import ModuleType


def hide(packages: Iterable[str]) -> None:
    """Let no import find these packages."""
    hidden = frozenset(packages)
    assert not hidden & set(sys.modules), "imported already"
    sys.meta_path.insert(0, _Absent(hidden))


class _Absent(importlib.abc.MetaPathFinder):
    def __init__(self, hidden: frozenset[str]) -> None:
        self._hidden = hidden

    def find_spec(self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> None:  # noqa: ARG002
        if name.partition(".")[0] in self._hidden:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
