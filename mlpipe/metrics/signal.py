"""How large the difference is, in decibels."""

from __future__ import annotations

import math

from mlpipe.metrics.moments import Moments
from mlpipe.recipe.schema.compare import MetricSpec


def snr_db(moments: Moments, _: MetricSpec) -> float:
    """Return the signal-to-noise ratio over all elements of all samples.

    Units: decibels. Equal arrays give inf, a silent reference -inf.
    Source: 10 log10(sum r^2 / sum (r - c)^2). It is pooled: sums over the whole set, not a mean of each sample's decibels, in which
    one equal sample would be infinite.
    """
    return _decibels(moments.reference_energy, moments.noise_energy)


def psnr_db(moments: Moments, spec: MetricSpec) -> float:
    """Return the peak signal-to-noise ratio over all elements of all samples. The peak is declared, never inferred.

    Units: decibels. Equal arrays give inf.
    Source: 10 log10(peak^2 / mean (r - c)^2), pooled as `snr_db` is.
    """
    assert spec.peak is not None
    return _decibels(spec.peak**2 * moments.count, moments.noise_energy)


def _decibels(signal: float, noise: float) -> float:
    if math.isnan(signal) or math.isnan(noise) or math.inf == signal == noise:
        return math.nan
    if noise == 0.0:
        return math.inf
    if signal == 0.0 or math.isinf(noise):
        return -math.inf
    return 10 * (math.log10(signal) - math.log10(noise)) if math.isfinite(signal) else math.inf
