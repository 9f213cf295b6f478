"""What became of each weight while a model was compressed."""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from mlpipe.errors import QuantizationFailed
from mlpipe.quantization.table import METHODS
from mlpipe.quantization.weight import Encoded, NoGain, SkippedWeight, Weight, encoded_bytes
from mlpipe.recipe.schema.quantize import QuantizeStep

Progress = Callable[[float, float, str], None]
"""progress(done, total, what)."""


def no_progress(done: float, total: float, what: str) -> None:
    """Ignore progress."""


@dataclass(frozen=True)
class Outcome:
    """One weight before the check of the written file."""

    weight: Weight
    step: QuantizeStep
    skipped: str | None
    """Why it stayed as it was; None where it was compressed."""
    no_gain: bool = False
    """Whether the reason is that it would not get smaller."""


def compress(weight: Weight, step: QuantizeStep, names: Iterable[str], where: str, *, only_gains: bool) -> Encoded:
    """Return the weight compressed by the step's method. `names` are those under which `skip` may list it.

    With `only_gains` a weight that would not get smaller stays as it is (NoGain).
    Errors: SkippedWeight where it stays as it is; QuantizationFailed where it is compressed already, since levels of levels are seldom meant.
    """
    if any(fnmatch.fnmatchcase(name, pattern) for name in names for pattern in step.skip):
        raise SkippedWeight("is listed under skip")
    if weight.values.size < step.minimum_elements:
        raise SkippedWeight(f"has {weight.values.size} elements, and minimum_elements is {step.minimum_elements}")
    if weight.compressed:
        fix = "start from a model whose weights are whole, or list this weight under `skip`"
        raise QuantizationFailed(f"the weight {weight.name} is compressed already", where=where, fix=fix)
    if not np.isfinite(weight.values).all():
        raise SkippedWeight("holds infinities or NaN")
    encoded = METHODS[step.method].encode(weight, step)
    size = encoded_bytes(encoded, weight)
    if only_gains and size >= weight.stored_bytes:
        raise NoGain(f"would not get smaller: {weight.stored_bytes} bytes now, {size} compressed")
    return encoded


def holds_whole_numbers(weight: Weight) -> bool:
    """Return whether every value is an integer, as in constants that hold indices, shapes or masks rather than weights."""
    return bool(np.all(np.rint(weight.values) == weight.values))
