"""Files of results, one JSON object a line."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any


def read_results(files: Iterable[Path]) -> dict[str, dict[str, Any]]:
    """Return the last result of every test. One that was started and has no end took its process down: `crashed`."""
    results: dict[str, dict[str, Any]] = {}
    for line in _lines(files):
        if "test" in line:
            if line.pop("started", False):
                line |= {"outcome": "crashed", "reason": "the process ended", "backend": "", "predict_calls": 1, "seconds": 0}
            results[line["test"]] = line
    return results


def collected(files: Iterable[Path]) -> int:
    """Return how many tests a suite has, run or not."""
    return max((line["collected"] for line in _lines(files) if "collected" in line), default=0)


def _lines(files: Iterable[Path]) -> Iterator[dict[str, Any]]:
    for file in files:
        if file.exists():
            yield from map(json.loads, file.read_text(encoding="utf-8").splitlines())
