"""The plugin's modules: they are made for the process that runs coremltools' suite, and are imported here by their paths."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import pytest

HERE = str(Path(__file__).parent)


@pytest.fixture(scope="module")
def part() -> Iterator[Callable[[str], ModuleType]]:
    """Return `part("run")`, `part("oracle.results")`: importable while a test of this folder runs, and gone afterwards."""
    before = set(sys.modules)
    sys.path.insert(0, HERE)
    yield importlib.import_module
    sys.path.remove(HERE)
    for name in set(sys.modules) - before:
        if name in ("run", "summary", "oracle") or name.startswith("oracle."):
            del sys.modules[name]
