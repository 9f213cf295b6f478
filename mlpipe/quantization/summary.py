"""Many weight records in a few numbers and sentences."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from mlpipe.quantization.selfcheck import WeightRecord


def summary(records: Sequence[WeightRecord]) -> dict[str, Any]:
    """Return counts, bytes, the average bits a value takes with scales and tables, and the compressed weight that decodes worst."""
    compressed = [record for record in records if record.skipped is None]
    worst = min(compressed, key=lambda record: record.snr_db, default=None)
    elements = sum(math.prod(record.shape) for record in records)
    stored = sum(record.bytes for record in records)
    return {
        "count": len(records),
        "compressed": len(compressed),
        "skipped": len(records) - len(compressed),
        "elements": elements,
        "compressed_elements": sum(math.prod(record.shape) for record in compressed),
        "bytes": stored,
        "average_bits": 8 * stored / elements if elements else 0.0,
        "worst": None if worst is None else {"name": worst.name, "snr_db": worst.as_dict()["snr_db"], "bound_db": worst.as_dict()["bound_db"]},
    }


def notes(records: Sequence[WeightRecord]) -> tuple[str, ...]:
    """Return a sentence for each reason for which weights with several values a channel stayed as they were, with their names."""
    by_reason: dict[str, list[str]] = defaultdict(list)
    for record in records:
        if record.skipped is not None and sum(size > 1 for size in record.shape) > 1:
            by_reason[record.skipped].append(record.name)
    return tuple(f"{_listed(names)} stayed as {'it was: it' if len(names) == 1 else 'they were: each'} {reason}" for reason, names in by_reason.items())


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) if len(names) <= 3 else f"{names[0]}, {names[1]} and {len(names) - 2} more weights"
