"""The generated reference pages say what the code says."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

DOCS = Path(__file__).parents[2] / "docs"


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PAGES = ("recipe.md", "metrics.md", "targets.md", "errors.md", "runtime.md", "commands.md")


@pytest.mark.parametrize("name", PAGES)
def test_page_is_current(name: str) -> None:
    pages = generator().pages()
    assert sorted(pages) == sorted(PAGES)
    assert (DOCS / "reference" / name).read_text(encoding="utf-8") == pages[name], "stale: run `python docs/generate.py`"
