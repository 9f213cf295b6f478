"""The committed list of failures, each with its reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

FILE = Path(__file__).parents[1] / "known_failures.yaml"


def known_failures() -> dict[str, str]:
    """Return the reason by test id, or by the beginning of ids where the entry ends with `*`."""
    entries: list[dict[str, Any]] = yaml.safe_load(FILE.read_text(encoding="utf-8")) or []
    return {test: entry["reason"] for entry in entries for test in entry["tests"]}


def reason_of(test: str, known: dict[str, str]) -> str | None:
    """Return why a test fails, None where that is not known."""
    fitting = (why for name, why in known.items() if test == name or (name.endswith("*") and test.startswith(name[:-1])))
    return next(fitting, None)
