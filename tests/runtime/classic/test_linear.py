"""Generalized linear models against their formulas and scikit-learn."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import Any

import numpy as np
import pytest

from mlpipe.errors import NotExecutable

ROWS = np.random.default_rng(0).normal(size=(50, 3)) * 3
WEIGHTS = np.random.default_rng(1).normal(size=(4, 3))
OFFSETS = np.random.default_rng(2).normal(size=4)


def logistic(score: float) -> float:
    return 1 / (1 + math.exp(-score))


LINKS = {0: lambda score: score, 1: logistic, 2: NormalDist().cdf}


def fill(model: Any, count: int) -> None:
    for weights in WEIGHTS[:count]:
        model.weights.add().value.extend(weights)
    model.offset.extend(OFFSETS[:count])


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("dimensions", [1, 3])
def test_regressor(specification: Any, run: Any, link: int, dimensions: int) -> None:
    declared = "double" if dimensions == 1 else f"float64[{dimensions}]"
    spec = specification("glmRegressor", {"x": "float64[3]"}, {"y": declared}, predicted="y")
    fill(spec.glmRegressor, dimensions)
    spec.glmRegressor.postEvaluationTransform = link
    for row, result in zip(ROWS, run(spec, [{"x": row} for row in ROWS]), strict=True):
        expected = [LINKS[link](float(WEIGHTS[index] @ row + OFFSETS[index])) for index in range(dimensions)]
        np.testing.assert_allclose(np.atleast_1d(result["y"]), expected, rtol=1e-12, atol=1e-15)


def expected_of(row: np.ndarray, classes: int, link: int, encoding: int) -> list[float]:
    scores = [float(WEIGHTS[index] @ row + OFFSETS[index]) for index in range(4)]
    if classes == 2:
        second = [logistic, NormalDist().cdf][link](scores[0])
        return [1 - second, second]
    if encoding == 0:
        powers = [1.0, *(math.exp(score) for score in scores[: classes - 1])]
        return [power / sum(powers) for power in powers]
    each = [logistic(score) for score in scores[:classes]]
    return [one / sum(each) for one in each]


@pytest.mark.parametrize(("classes", "link", "encoding"), [(2, 0, 0), (2, 0, 1), (2, 1, 0), (2, 1, 1), (3, 0, 0), (3, 0, 1), (4, 0, 1)])
def test_classifier(specification: Any, run: Any, classes: int, link: int, encoding: int) -> None:
    spec = specification("glmClassifier", {"x": "float64[3]"}, {"label": "string", "p": "string{}"}, "label", "p")
    model = spec.glmClassifier
    fill(model, classes if encoding == 1 and classes > 2 else classes - 1)
    model.postEvaluationTransform, model.classEncoding = link, encoding
    names = ["a", "b", "c", "d"][:classes]
    model.stringClassLabels.vector.extend(names)
    for row, result in zip(ROWS, run(spec, [{"x": row} for row in ROWS]), strict=True):
        expected = expected_of(row, classes, link, encoding)
        np.testing.assert_allclose(list(result["p"].values()), expected, rtol=1e-11, atol=1e-14)
        assert result["label"] == names[int(np.argmax(expected))]


def test_a_fitted_classifier_agrees_with_scikit_learn(specification: Any, run: Any) -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier

    labels = (ROWS[:, 0] > 1).astype(int) + (ROWS[:, 1] > 1)
    trained = OneVsRestClassifier(LogisticRegression()).fit(ROWS, labels)
    spec = specification("glmClassifier", {"x": "float64[3]"}, {"label": "int64", "p": "int64{}"}, "label", "p")
    for each in trained.estimators_:
        spec.glmClassifier.weights.add().value.extend(each.coef_[0])
        spec.glmClassifier.offset.append(float(each.intercept_[0]))
    spec.glmClassifier.classEncoding = 1
    spec.glmClassifier.int64ClassLabels.vector.extend([0, 1, 2])
    results = run(spec, [{"x": row} for row in ROWS])
    np.testing.assert_allclose([list(result["p"].values()) for result in results], trained.predict_proba(ROWS), rtol=1e-10)
    assert [result["label"] for result in results] == trained.predict(ROWS).tolist()


def test_scores_beyond_what_exponentials_hold(specification: Any, run: Any) -> None:
    spec = specification("glmRegressor", {"x": "double"}, {"y": "double"}, predicted="y")
    spec.glmRegressor.weights.add().value.append(1.0)
    spec.glmRegressor.offset.append(0.0)
    spec.glmRegressor.postEvaluationTransform = 1
    assert [result["y"] for result in run(spec, [{"x": -1e4}, {"x": 1e4}, {"x": 0}])] == [0.0, 1.0, 0.5]


@pytest.mark.parametrize(
    ("classes", "rows", "link", "encoding", "message"),
    [(3, 1, 0, 0, "1 rows of weights for 3 labels"), (3, 2, 0, 1, "2 rows of weights for 3 labels"), (3, 2, 1, 0, "has two classes"), (2, 2, 0, 1, "2 rows")],
)
def test_what_does_not_fit_is_refused(specification: Any, run: Any, classes: int, rows: int, link: int, encoding: int, message: str) -> None:
    spec = specification("glmClassifier", {"x": "float64[3]"}, {"label": "int64"}, "label")
    fill(spec.glmClassifier, rows)
    spec.glmClassifier.postEvaluationTransform, spec.glmClassifier.classEncoding = link, encoding
    spec.glmClassifier.int64ClassLabels.vector.extend(range(classes))
    with pytest.raises(NotExecutable, match=message):
        run(spec, [{"x": ROWS[0]}])


def test_another_number_of_features_is_refused(specification: Any, run: Any) -> None:
    spec = specification("glmRegressor", {"x": "float64[2]"}, {"y": "double"}, predicted="y")
    fill(spec.glmRegressor, 1)
    with pytest.raises(NotExecutable, match="3 weights for 2 features"):
        run(spec, [{"x": [1.0, 2.0]}])
