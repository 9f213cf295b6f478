"""Files of results, one JSON object a line."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any


def read_results(files: Iterable[Path]) -> dict[str, dict[str, Any]]:
    """Return the last result of every test. One that was started and has no end took its process down: `crashed`."""
    results: dict[str, dict[str, Any]] = {}
    for file in files:
        for line in file.read_text(encoding="utf-8").splitlines() if file.exists() else []:
            result = json.loads(line)
            if result.pop("started", False):
                result |= {"outcome": "crashed", "reason": "the process ended", "backend": "", "predict_calls": 1, "seconds": 0}
            results[result["test"]] = result
    return results
