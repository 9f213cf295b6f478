"""`gate:` and `release:`, what a variant must reach, and which one ships."""

from __future__ import annotations

from typing import Literal

from mlpipe.recipe.schema.base import Field, Name, Section

Operator = Literal[">=", ">", "<=", "<", "=="]


class Bound(Section):
    """`>= 98%` as data: the value is in the metric's own unit (shares 0..1, decibels, bytes)."""

    metric: str = Field(description="With the prefix `source.` where it is against the source.")
    operator: Operator
    value: float
    text: str = Field(description="As written in the recipe.")
    confidence: float | None = Field(None, description="0.95: the interval's lower end must pass.")


class GateRules(Section):
    """What one variant must reach, after merging."""

    bounds: tuple[Bound, ...] = ()
    report_only: bool = False


class Release(Section):
    """The variant that ships, and the file name it ships under."""

    variant: Name = Field(description="Which variant ships; `converted` is one.")
    name: Name = Field(description="File name without suffix; default: the recipe's name.")
