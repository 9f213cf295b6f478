"""The angle between outputs, whatever their size."""

from __future__ import annotations

import math

from mlpipe.metrics.moments import Moments
from mlpipe.recipe.schema.compare import MetricSpec


def cosine(moments: Moments, _: MetricSpec) -> float:
    """Return the cosine similarity, -1 to 1, of the outputs on all samples taken as one vector.

    Two vectors of zeros give 1, and one alone 0: a model whose output died is not similar to one that lives.
    Source: sum r c / sqrt(sum r^2 sum c^2).
    """
    norms = math.sqrt(moments.reference_energy) * math.sqrt(moments.candidate_energy)
    if norms == 0.0:
        return 1.0 if moments.reference_energy == moments.candidate_energy else 0.0
    if not math.isfinite(norms):
        return math.nan
    return max(-1.0, min(1.0, moments.product / norms)) if math.isfinite(moments.product) else math.nan
