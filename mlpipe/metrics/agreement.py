"""Whether two models choose the same class, and the right one."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mlpipe.metrics.moments import Array
from mlpipe.recipe.metrics_table import DEFAULT_K
from mlpipe.recipe.schema.compare import MetricSpec


@dataclass(frozen=True)
class Scores:
    """One sample's scores by class, of both models, and its true class where there is ground truth."""

    reference: Array
    candidate: Array
    label: int | None = None


def top1_agreement(scores: Scores, _: MetricSpec) -> float:
    """Return 1 where both models choose the same class, else 0; NaN where a score is NaN or infinite. Of equal scores the first counts."""
    return _among(scores.candidate, _best(scores.reference), 1)


def topk_agreement(scores: Scores, spec: MetricSpec) -> float:
    """Return 1 where the reference's class is among the candidate's best k, else 0; NaN where a score is NaN or infinite.

    With as many classes as k, or fewer, it always is. Of equal scores the first count.
    """
    return _among(scores.candidate, _best(scores.reference), spec.k or DEFAULT_K)


def accuracy(scores: Scores, _: MetricSpec) -> float:
    """Return 1 where the candidate chooses the true class, else 0; NaN where a score is NaN or infinite, or the truth is not known."""
    return _among(scores.candidate, scores.label, 1)


def _best(values: Array) -> int | None:
    return None if _is_broken(values) else int(np.argmax(values))


def _is_broken(values: Array) -> bool:
    """Whether a score is NaN or overflowed. Minus infinity is how models rule a class out."""
    return bool(np.isnan(values).any() or np.isposinf(values).any())


def _among(values: Array, wanted: int | None, k: int) -> float:
    if wanted is None or _is_broken(values):
        return math.nan
    return float(wanted in np.argsort(-values.astype(np.float64), kind="stable")[:k])
