"""Generalized linear models."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mlpipe.errors import NotExecutable
from mlpipe.runtime.classic.columns import Columns, Transform, class_labels, classified, matrix, regressed
from mlpipe.runtime.classic.links import logistic, probit, softmax_with_reference, with_complement
from mlpipe.runtime.features import Interface

LINKS: dict[str, Callable[[np.ndarray], np.ndarray]] = {"NoTransform": lambda scores: scores, "Logit": logistic, "Probit": probit}
"""The specification's names of post-evaluation transforms."""


def _scorer(parameters: Any) -> Callable[[np.ndarray], np.ndarray]:
    """Return the function from samples x features to samples x rows of weights."""
    rows = [list(row.value) for row in parameters.weights]
    offsets = np.array(parameters.offset, np.float64)
    if not rows or len({len(row) for row in rows}) != 1 or len(rows) != len(offsets):
        raise NotExecutable("the linear model's weights and offsets do not fit each other", why=f"{len(rows)} rows of weights, {len(offsets)} offsets")
    weights = np.array(rows, np.float64)

    def scores(features: np.ndarray) -> np.ndarray:
        if features.shape[1] != weights.shape[1]:
            raise NotExecutable(f"the linear model has {weights.shape[1]} weights for {features.shape[1]} features")
        return np.asarray(features @ weights.T + offsets)

    return scores


def regressor(parameters: Any, interface: Interface) -> Transform:
    """Return a linear regression, with its link."""
    scores = _scorer(parameters)
    link = LINKS[parameters.PostEvaluationTransform.Name(parameters.postEvaluationTransform)]

    def run(columns: Columns) -> Columns:
        return regressed(interface, link(scores(matrix(columns, interface))))

    return run


def classifier(parameters: Any, interface: Interface) -> Transform:
    """Return a linear classifier: two classes, one against the rest, or against a reference class.

    Errors: NotExecutable for combinations that the specification does not define.
    """
    scores = _scorer(parameters)
    labels = class_labels(parameters)
    rows = len(parameters.weights)
    link = LINKS[parameters.PostEvaluationTransform.Name(parameters.postEvaluationTransform)]
    against_rest = parameters.classEncoding == parameters.ClassEncoding.Value("OneVsRest")
    if rows != (len(labels) if against_rest and len(labels) > 2 else len(labels) - 1):
        raise NotExecutable(f"the linear classifier has {rows} rows of weights for {len(labels)} labels")
    if link is probit and len(labels) != 2:
        raise NotExecutable("a probit classifier has two classes", why=f"this one has {len(labels)}")

    def probabilities(raw: np.ndarray) -> np.ndarray:
        if len(labels) == 2:
            return with_complement(link(raw))
        if not against_rest:
            return softmax_with_reference(raw)
        each = link(raw)
        total = each.sum(axis=1, keepdims=True)
        # Where every score underflows none is more likely than another.
        return np.asarray(np.divide(each, total, out=np.full_like(each, 1.0 / len(labels)), where=total > 0))

    def run(columns: Columns) -> Columns:
        return classified(interface, labels, probabilities(scores(matrix(columns, interface))))

    return run
