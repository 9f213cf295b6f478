"""Bounds of a gate: `">= 98%"` to a number in the metric's own unit."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import cast

from mlpipe.recipe.metrics_table import METRICS, SOURCE_PREFIX, Metric, Unit
from mlpipe.recipe.mistakes import one_of, shown
from mlpipe.recipe.schema.gate import Bound, Operator
from mlpipe.recipe.units import SIZE_UNITS, split_quantity

_BOUND = re.compile(r"\s*([^\w\s.+\-]*)\s*(.*?)\s*", re.DOTALL)
_OPERATORS = (">=", ">", "<=", "<", "==")
_MISWRITTEN = {"=>": ">=", "=<": "<=", "=": "==", "≥": ">=", "≤": "<=", ">>": ">", "<<": "<", "===": "==", "~": "=="}
_EXAMPLES: dict[Unit, str] = {"share": ">= 98%", "ratio": "<= 30%", "decibel": ">= 40 dB", "bytes": "<= 1.5 MB", "number": "<= 0.01"}
_UNITS: dict[Unit, dict[str, Decimal]] = {
    "share": {"": Decimal(1), "%": Decimal("0.01")},
    "ratio": {"": Decimal(1), "%": Decimal("0.01")},
    "decibel": {"": Decimal(1), "dB": Decimal(1)},
    "bytes": {"": Decimal(1), **{unit: Decimal(size) for unit, size in SIZE_UNITS.items()}},
    "number": {"": Decimal(1)},
}
_UNIT_NAMES: dict[Unit, str] = {
    "share": "a share: write a percentage, or a number from 0 to 1",
    "ratio": "a ratio: write a percentage or a plain number",
    "decibel": "in decibels: write a number, with or without dB",
    "bytes": "a size: write a number of bytes, or use kB, MB, GB, KiB, MiB or GiB",
    "number": "a plain number, without a unit",
}


def metric_of(key: str) -> Metric | None:
    """Return the metric that a key of a gate names, with or without `source.`."""
    return METRICS.get(key.removeprefix(SOURCE_PREFIX))


def parse_bound(key: str, written: object, confidence: float | None = None) -> Bound:
    """Return a bound as data. `confidence` is kept for shares only, which alone have an interval.

    Errors: ValueError with a message for the user; KeyError for a metric that does not exist.
    """
    metric = METRICS[key.removeprefix(SOURCE_PREFIX)]
    example = _EXAMPLES[metric.unit]
    if not isinstance(written, str):
        raise ValueError(f"expected a bound such as '{example}', got {shown(written)}")  # noqa: TRY004 - one kind for the caller
    match = _BOUND.fullmatch(written)
    operator, quantity = (match[1], match[2]) if match else ("", written)
    if operator not in _OPERATORS:
        raise ValueError(_wrong_operator(metric, written, operator, quantity))
    parts = split_quantity(quantity)
    if parts is None:
        raise ValueError(f"expected a bound such as '{example}', got {shown(written)}")
    number, unit = parts
    factors = _UNITS[metric.unit]
    if unit not in factors:
        raise ValueError(f"{metric.name} is {_UNIT_NAMES[metric.unit]}; got '{unit}'" + _unit_hint(unit, factors))
    _check_range(metric, number, unit, operator)
    return Bound(
        metric=key,
        operator=cast("Operator", operator),
        value=float(number * factors[unit]),
        text=written.strip(),
        confidence=confidence if metric.unit == "share" else None,
    )


def _wrong_operator(metric: Metric, written: str, operator: str, quantity: str) -> str:
    guess = _MISWRITTEN.get(operator)
    if not operator and split_quantity(quantity):
        guess = ">=" if metric.better == "higher" else "<="
    if guess:
        return f"{shown(written)} is no bound, did you mean '{guess} {quantity}'?"
    return f"{shown(written)} is no bound: it starts with {one_of(_OPERATORS)}, such as '{_EXAMPLES[metric.unit]}'"


def _unit_hint(unit: str, factors: dict[str, Decimal]) -> str:
    near = [known for known in factors if known and known.lower() == unit.lower()]
    return f", did you mean '{near[0]}'?" if near else ""


def _check_range(metric: Metric, number: Decimal, unit: str, operator: str) -> None:
    if metric.unit in ("share", "ratio") and unit != "%" and 1 < number <= 100:
        guess = number if metric.unit == "share" or number >= 2 else number * 100
        meant = "a share is at most 1" if metric.unit == "share" else f"as a ratio {number} is {(number * 100).normalize():f}%"
        raise ValueError(f"{meant}, did you mean '{operator} {guess.normalize():f}%'?")
    value = number * _UNITS[metric.unit][unit]
    if metric.minimum is not None and value < Decimal(metric.minimum):
        raise ValueError(f"{metric.name} is never less than {metric.minimum:g}, got {number}{unit}")
    if metric.maximum is not None and value > Decimal(metric.maximum):
        most = "100%" if metric.unit == "share" else f"{metric.maximum:g}"
        raise ValueError(f"{metric.name} is never more than {most}, got {number}{unit}")
