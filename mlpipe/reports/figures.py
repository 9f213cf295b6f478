"""Numbers as people read them, in each metric's unit. The same on the console, in markdown and in JUnit."""

from __future__ import annotations

import math
from typing import Any

from mlpipe.recipe.metrics_table import METRICS, SOURCE_PREFIX, Unit

_MOST_DIGITS = 17
"""Enough to tell any two numbers apart."""


def unit_of(metric: str) -> Unit:
    """Return the unit of a metric, with or without `source.`."""
    return METRICS[metric.removeprefix(SOURCE_PREFIX)].unit


def format_value(metric: str, value: float | str | None, digits: int = 2) -> str:
    """Return a value with its unit: `98.61%`, `61.20 dB`, `1.25 MB`, `0.0031`. None is a dash; NaN and infinities stand as such."""
    if value is None:
        return "-"
    number = float(value)
    unit = unit_of(metric)
    if not math.isfinite(number):
        return f"{number} dB" if unit == "decibel" and math.isinf(number) else str(number)
    if unit in {"share", "ratio"}:
        return f"{number * 100:.{digits}f}%"
    if unit == "decibel":
        return f"{number:.{digits}f} dB"
    if unit == "bytes":
        return format_bytes(number, digits)
    return f"{number:.{digits + 2}g}"


def format_bytes(size: float | None, digits: int = 2) -> str:
    """Return a size in the decimal units that stores and file managers show; a dash where there is none."""
    if size is None:
        return "-"
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if abs(size) >= factor:
            return f"{size / factor:.{digits}f} {unit}"
    return f"{size:.0f} B"


def format_apart(metric: str, value: float, bound: float) -> str:
    """Return a value with as many digits as it takes to see that it is not the bound: a failing 98.996% is not shown as 99.00%."""
    for digits in range(2, _MOST_DIGITS):
        text = format_value(metric, value, digits)
        if value == bound or text != format_value(metric, bound, digits):
            return text
    return repr(value)


def format_entry(metric: str, entry: dict[str, Any] | None) -> str:
    """Return a metric's entry of report.json as one cell: the value, and a share's interval."""
    if entry is None:
        return "-"
    text = format_value(metric, entry["value"])
    low, high = entry.get("low"), entry.get("high")
    return text if low is None or high is None else f"{text} ({low * 100:.1f} to {high * 100:.1f})"
