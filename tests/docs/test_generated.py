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


@pytest.fixture(scope="module")
def pages() -> dict[str, str]:
    made: dict[str, str] = generator().pages()
    return made


@pytest.mark.parametrize("name", PAGES)
def test_page_is_current(name: str, pages: dict[str, str]) -> None:
    assert sorted(pages) == sorted(PAGES)
    assert (DOCS / "reference" / name).read_text(encoding="utf-8") == pages[name], "stale: run `python docs/generate.py`"


def test_every_operation_of_the_registry_is_executed(pages: dict[str, str]) -> None:
    rows = [line for line in pages["runtime.md"].splitlines() if line.startswith("| `")]
    assert len(rows) >= 169, "167 operations of coremltools 9, and two that only files have"
    assert [row for row in rows if "| no |" in row or "no;" in row] == []
