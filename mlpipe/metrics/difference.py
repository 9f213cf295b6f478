"""The largest difference."""

from __future__ import annotations

from mlpipe.metrics.moments import Moments
from mlpipe.recipe.schema.compare import MetricSpec


def max_abs_error(moments: Moments, _: MetricSpec) -> float:
    """Return the largest absolute difference of any element of any sample. Units: the output's own."""
    return moments.largest_difference
