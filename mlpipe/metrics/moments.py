"""Sums over all elements of two arrays, in float64. Every metric of two tensors is a function of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]


@dataclass(frozen=True)
class Moments:
    """Sums that add up over samples. Units: the arrays' own, squared where they are energies."""

    count: int = 0
    reference_energy: float = 0.0
    candidate_energy: float = 0.0
    noise_energy: float = 0.0
    product: float = 0.0
    largest_difference: float = 0.0

    def __add__(self, other: Moments) -> Moments:
        """Return the moments of both sets of elements together; NaN stays NaN."""
        return Moments(
            self.count + other.count,
            self.reference_energy + other.reference_energy,
            self.candidate_energy + other.candidate_energy,
            self.noise_energy + other.noise_energy,
            self.product + other.product,
            float(np.maximum(self.largest_difference, other.largest_difference)),
        )


def moments_of(reference: Array, candidate: Array) -> Moments:
    """Return the moments of a candidate against a reference.

    Shapes: any, equal. An infinity in both makes the difference NaN, and so the metrics.
    """
    assert reference.shape == candidate.shape
    r, c = reference.astype(np.float64).ravel(), candidate.astype(np.float64).ravel()
    with np.errstate(invalid="ignore", over="ignore"):
        difference = r - c
        largest = float(np.abs(difference).max()) if difference.size else 0.0
        return Moments(r.size, float(r @ r), float(c @ c), float(difference @ difference), float(r @ c), largest)
