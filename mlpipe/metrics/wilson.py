"""Confidence intervals of shares. Pure Python, so that gates can use it without numpy."""

from __future__ import annotations

import math
from statistics import NormalDist

CONFIDENCE = 0.95
"""The confidence of the intervals in reports."""


def wilson_interval(share: float, n: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Return the two-sided Wilson score interval of a share that was observed on n samples.

    Errors: ValueError without samples, or for a share or confidence outside its range.
    Source: E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22 (1927) 209-212: the
    probabilities p with |share - p| <= z sqrt(p (1 - p) / n).
    """
    if n < 1 or not 0.0 <= share <= 1.0 or not 0.0 < confidence < 1.0:
        message = f"no interval for a share of {share} on {n} samples at confidence {confidence}"
        raise ValueError(message)
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    centre = share + z * z / (2 * n)
    spread = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    total = 1 + z * z / n
    # The ends of a share of 0 or 1 are exactly that share; rounding would miss them by 1e-17.
    low = 0.0 if share == 0.0 else max(0.0, (centre - spread) / total)
    high = 1.0 if share == 1.0 else min(1.0, (centre + spread) / total)
    return low, high


def samples_needed(bound: float, confidence: float = CONFIDENCE) -> int:
    """Return the smallest n on which a perfect share's interval reaches `bound`; below it no result could show the bound is met.

    Source: the lower end of a share of 1 is n / (n + z^2).
    """
    if bound >= 1.0:
        message = "no number of samples shows a share of 1"
        raise ValueError(message)
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    n = max(1, math.floor(bound * z * z / (1 - bound)) - 1)
    while wilson_interval(1.0, n, confidence)[0] < bound:
        n += 1
    return n
