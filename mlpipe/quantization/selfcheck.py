"""The check of a compressed model: every weight of the written file is decoded again and held against the original."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpipe.errors import QuantizationFailed
from mlpipe.model_files.read import ModelFile
from mlpipe.quantization.outcome import Outcome
from mlpipe.quantization.table import METHODS
from mlpipe.quantization.weight import Weight
from mlpipe.weights.inventory import StoredWeight, stored_weights


@dataclass(frozen=True)
class WeightRecord:
    """What `weights.json` says of one weight."""

    name: str
    shape: tuple[int, ...]
    requested_bits: int
    stored_bits: int
    bytes: int
    snr_db: float
    """Against the original; infinite where the decoded values are equal."""
    bound_db: float
    """What it had to reach."""
    skipped: str | None

    def as_dict(self) -> dict[str, Any]:
        """Return the record as JSON-able data."""
        return {
            "name": self.name,
            "shape": list(self.shape),
            "elements": math.prod(self.shape),
            "requested_bits": self.requested_bits,
            "stored_bits": self.stored_bits,
            "bytes": self.bytes,
            "snr_db": _json(self.snr_db),
            "bound_db": _json(self.bound_db),
            "skipped": self.skipped,
        }


def check_written(model: ModelFile, outcomes: Sequence[Outcome]) -> list[WeightRecord]:
    """Return a record of each weight, in file order.

    A weight that was skipped must be bit-equal. A compressed one must not have more noise than its scheme can make (see `noise_bound` of the
    methods), plus the rounding of the type that the program computes with; the recipe's `minimum_snr_db` is demanded besides.
    Errors: QuantizationFailed, naming every weight that does not hold.
    """
    stored = list(stored_weights(model))
    if [weight.name for weight in stored] != [outcome.weight.name for outcome in outcomes]:
        raise QuantizationFailed("the written file has other weights than the original", where=str(model.path))
    records = [_record(weight, outcome) for weight, outcome in zip(stored, outcomes, strict=True)]
    failed = [record for record in records if not record.snr_db >= record.bound_db]
    if failed:
        names = "; ".join(f"{record.name} {record.snr_db:.2f} dB, bound {record.bound_db:.2f} dB" for record in failed)
        fix = "more bits, another method, or list the weight under `skip`"
        raise QuantizationFailed("weights decode worse than their bound", where=str(model.path), why=names, fix=fix)
    return records


def snr_db(reference: NDArray[Any], candidate: NDArray[Any]) -> float:
    """Return 10 log10 of signal over noise energy, in float64; infinite where all is equal, minus infinity for noise on zeros."""
    if np.array_equal(reference, candidate, equal_nan=True):
        return math.inf
    exact = reference.astype(np.float64)
    return _decibels(float(np.sum(exact**2)), float(np.sum((exact - candidate.astype(np.float64)) ** 2)))


def bound_db(outcome: Outcome) -> float:
    """Return the signal-to-noise ratio that the weight has to reach."""
    if outcome.skipped is not None:
        return math.inf
    weight, step = outcome.weight, outcome.step
    noise = METHODS[step.method].noise_bound(weight, step)
    allowed = (math.sqrt(noise) + math.sqrt(_rounding_noise(weight))) ** 2
    bound = _decibels(float(np.sum(weight.values.astype(np.float64) ** 2)), allowed)
    return bound if step.minimum_snr_db is None else max(bound, step.minimum_snr_db)


def _record(stored: StoredWeight, outcome: Outcome) -> WeightRecord:
    weight, step = outcome.weight, outcome.step
    decoded = stored.values()
    if decoded.shape != weight.values.shape:
        raise QuantizationFailed(f"the weight {weight.name} has another shape in the written file")
    snr = snr_db(weight.values, decoded)
    requested = 16 if step.method == "float16" else step.bits
    return WeightRecord(weight.name, weight.values.shape, requested, stored.bits, stored.bytes, snr, bound_db(outcome), outcome.skipped)


def _rounding_noise(weight: Weight) -> float:
    """Return what the rounding of scales, tables and results to the storage type can add.

    Each is off by half a unit in the last place, and two of them meet in a product; float16 also loses steps below 2**-24.
    """
    highest = float(np.abs(weight.values).max(initial=0))
    error = highest * 2.0**-10 + 2.0**-24 if weight.storage == np.float16 else highest * 2.0**-22 + 2.0**-148
    return error**2 * weight.values.size


def _decibels(signal: float, noise: float) -> float:
    if noise == 0:
        return math.inf
    if signal == 0 or math.isinf(noise):
        return -math.inf
    return 10 * math.log10(signal / noise)


def _json(decibels: float) -> float | str:
    return decibels if math.isfinite(decibels) else str(decibels)
