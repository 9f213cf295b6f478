"""Numbers as JSON holds them: NaN and the infinities are strings."""

from __future__ import annotations

import math


def to_json(value: float) -> float | str:
    """Return a number as JSON-able data; `float` turns it back."""
    if math.isfinite(value):
        return value
    return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
