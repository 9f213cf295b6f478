"""The committed list of failures, each with its reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from oracle.outcome import FAILURES
from oracle.reasons import not_runnable

FILE = Path(__file__).parents[1] / "known_failures.yaml"


def known_failures() -> dict[str, str]:
    """Return the reason by test id, or by the beginning of ids where the entry ends with `*`."""
    entries: list[dict[str, Any]] = yaml.safe_load(FILE.read_text(encoding="utf-8")) or []
    return {test: entry["reason"] for entry in entries for test in entry["tests"]}


def reason_of(test: str, known: dict[str, str]) -> str | None:
    """Return why a test fails, None where that is not known."""
    fitting = (why for name, why in known.items() if test == name or (name.endswith("*") and test.startswith(name[:-1])))
    return next(fitting, None)


def unexplained(results: dict[str, dict[str, Any]]) -> list[str]:
    """Return the failures that may not be: every wrong output, and whatever the list does not explain."""
    known = known_failures()
    found = []
    for name, result in results.items():
        failed = result["outcome"] in FAILURES and not_runnable(result) is None
        if failed and (result["outcome"] == "wrong output" or reason_of(name, known) is None):
            found.append(f"{result['outcome']}: {name}: {result['reason']}")
    return found
