"""The committed lists: failures with their reasons, and tests whose own numbers are wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from oracle.outcome import FAILURES
from oracle.reasons import not_runnable

FOLDER = Path(__file__).parents[1]


def known_failures() -> dict[str, str]:
    """Return the reason by test id, or by the beginning of ids where the entry ends with `*`."""
    return {test: entry["reason"] for entry in _entries("known_failures.yaml") for test in entry["tests"]}


def reason_of(test: str, known: dict[str, str]) -> str | None:
    """Return why a test fails, None where that is not known."""
    return next((why for name, why in known.items() if _fits(test, name)), None)


def wrong_literal(test: str) -> float | None:
    """Return how far the numbers written into a test may be off, None for a test whose numbers are right."""
    entries = _entries("wrong_literals.yaml")
    return next((float(entry["deviation"]) for entry in entries if any(_fits(test, name) for name in entry["tests"])), None)


def _entries(file: str) -> list[dict[str, Any]]:
    return yaml.safe_load((FOLDER / file).read_text(encoding="utf-8")) or []


def _fits(test: str, name: str) -> bool:
    return test == name or (name.endswith("*") and test.startswith(name[:-1]))


def unexplained(results: dict[str, dict[str, Any]]) -> list[str]:
    """Return the failures that may not be: every wrong output, and whatever the list does not explain."""
    known = known_failures()
    found = []
    for name, result in results.items():
        failed = result["outcome"] in FAILURES and not_runnable(result) is None
        if failed and (result["outcome"] == "wrong output" or reason_of(name, known) is None):
            found.append(f"{result['outcome']}: {name}: {result['reason']}")
    return found
