"""k nearest neighbours against scikit-learn, and the rules for ties and empty models."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mlpipe.errors import NotExecutable


def model(specification: Any, points: Any, labels: list[str], neighbors: int, weighting: str = "uniformWeighting", index: str = "linearIndex") -> Any:
    spec = specification("kNearestNeighborsClassifier", {"x": "float32[2]"}, {"label": "string", "p": "string{}"}, "label", "p")
    written = spec.kNearestNeighborsClassifier
    written.numberOfNeighbors.defaultValue = neighbors
    written.nearestNeighborsIndex.numberOfDimensions = 2
    getattr(written.nearestNeighborsIndex, index).SetInParent()
    getattr(written, weighting).SetInParent()
    for point in points:
        written.nearestNeighborsIndex.floatSamples.add().vector.extend(point)
    written.stringClassLabels.vector.extend(labels)
    return spec


@pytest.mark.parametrize("index", ["linearIndex", "singleKdTreeIndex"])
@pytest.mark.parametrize("neighbors", [1, 4, 7])
@pytest.mark.parametrize(("weighting", "weights"), [("uniformWeighting", "uniform"), ("inverseDistanceWeighting", lambda distances: 1 / distances**2)])
def test_agrees_with_scikit_learn(specification: Any, run: Any, index: str, neighbors: int, weighting: str, weights: Any) -> None:
    from sklearn.neighbors import KNeighborsClassifier

    rng = np.random.default_rng(0)
    points = rng.normal(size=(60, 2)).astype(np.float32)
    labels = [("a", "b", "c")[number] for number in rng.integers(3, size=60)]
    rows = rng.normal(size=(40, 2)).astype(np.float32)
    trained = KNeighborsClassifier(neighbors, weights=weights, algorithm="brute").fit(points.astype(np.float64), labels)
    results = run(model(specification, points.tolist(), labels, neighbors, weighting, index), [{"x": row} for row in rows])
    expected = trained.predict_proba(rows.astype(np.float64))
    for result, shares in zip(results, expected, strict=True):
        np.testing.assert_allclose([result["p"][name] for name in trained.classes_], shares, rtol=1e-9, atol=1e-12)


def test_of_equally_near_points_and_equal_votes_the_first_in_the_file_wins(specification: Any, run: Any) -> None:
    spec = model(specification, [(1, 0), (0, 1), (-1, 0)], ["z", "a", "a"], 1)
    assert run(spec, [{"x": [0, 0]}])[0]["label"] == "z"
    spec = model(specification, [(1, 0), (0, 1)], ["z", "a"], 2)
    assert run(spec, [{"x": [0, 0]}])[0] == {"label": "z", "p": {"z": 0.5, "a": 0.5}}


def test_a_point_on_the_sample_alone_counts(specification: Any, run: Any) -> None:
    spec = model(specification, [(1, 0), (0, 0), (0, 1)], ["a", "b", "a"], 3, "inverseDistanceWeighting")
    assert run(spec, [{"x": [0, 0]}])[0] == {"label": "b", "p": {"a": 0.0, "b": 1.0}}


def test_more_neighbors_than_points(specification: Any, run: Any) -> None:
    spec = model(specification, [(1, 0), (0, 0), (0, 1)], ["a", "b", "a"], 9)
    assert run(spec, [{"x": [0, 0]}])[0]["p"] == {"a": pytest.approx(2 / 3), "b": pytest.approx(1 / 3)}


def test_a_model_without_points_gives_its_default(specification: Any, run: Any) -> None:
    spec = model(specification, [], [], 3)
    with pytest.raises(NotExecutable, match="no default label"):
        run(spec, [{"x": [0, 0]}])
    spec.kNearestNeighborsClassifier.defaultStringLabel = "none"
    assert run(spec, [{"x": [0, 0]}])[0] == {"label": "none", "p": {"none": 1.0}}


def test_points_without_labels_are_refused(specification: Any, run: Any) -> None:
    with pytest.raises(NotExecutable, match="1 labels for 2 points"):
        run(model(specification, [(1, 0), (0, 0)], ["a"], 1), [{"x": [0, 0]}])
