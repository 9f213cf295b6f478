"""Tree ensembles against a walk through the nodes in plain Python, and against scikit-learn."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np
import pytest

from mlpipe.errors import NotExecutable

BEHAVIORS = [operator.le, operator.lt, operator.ge, operator.gt, operator.eq, operator.ne]


def grow(ensemble: Any, rng: np.random.Generator, *, trees: int, features: int, dimensions: int, leaf_values: int, behaviors: list[int]) -> None:
    """Trees of random shapes, whose nodes are numbered and listed in no order."""
    ensemble.numPredictionDimensions = dimensions
    ensemble.basePredictionValue.extend(rng.normal(size=dimensions))
    for tree in range(trees):
        names = iter(rng.permutation(1000).tolist())

        def add(name: int, depth: int, tree: int = tree, names: Any = names) -> None:
            node = ensemble.nodes.add(treeId=tree * 7, nodeId=name)
            if depth == 0 or (depth < 3 and rng.random() < 0.3):
                node.nodeBehavior = 6
                for index in rng.choice(dimensions, leaf_values, replace=False).tolist():
                    node.evaluationInfo.add(evaluationIndex=index, evaluationValue=rng.normal())
                return
            node.nodeBehavior = int(rng.choice(behaviors))
            node.branchFeatureIndex = int(rng.integers(features))
            node.branchFeatureValue = float(rng.integers(-2, 3))
            node.missingValueTracksTrueChild = bool(rng.random() < 0.5)
            node.trueChildNodeId, node.falseChildNodeId = next(names), next(names)
            add(node.trueChildNodeId, depth - 1)
            add(node.falseChildNodeId, depth - 1)

        add(next(names), int(rng.integers(0, 5)))


def walked(ensemble: Any, row: np.ndarray) -> np.ndarray:
    """The sum of what every tree's leaf adds for one sample."""
    total = np.array(ensemble.basePredictionValue)
    trees: dict[int, dict[int, Any]] = {}
    for node in ensemble.nodes:
        trees.setdefault(node.treeId, {})[node.nodeId] = node
    for nodes in trees.values():
        children = {child for node in nodes.values() if node.nodeBehavior != 6 for child in (node.trueChildNodeId, node.falseChildNodeId)}
        (root,) = nodes.keys() - children
        node = nodes[root]
        while node.nodeBehavior != 6:
            value = row[node.branchFeatureIndex]
            holds = node.missingValueTracksTrueChild if math.isnan(value) else BEHAVIORS[node.nodeBehavior](value, node.branchFeatureValue)
            node = nodes[node.trueChildNodeId if holds else node.falseChildNodeId]
        for info in node.evaluationInfo:
            total[info.evaluationIndex] += info.evaluationValue
    return total


def samples(rng: np.random.Generator, features: int, *, missing: bool) -> np.ndarray:
    """Rows whose values often equal the thresholds."""
    rows = rng.integers(-2, 3, size=(60, features)).astype(np.float64) + rng.choice([0.0, 0.0, 0.25], size=(60, features))
    if missing:
        rows[rng.random(rows.shape) < 0.2] = math.nan
    return rows


@pytest.mark.parametrize("behaviors", [[0], [1], [2], [3], [4], [5], [0, 1, 2, 3, 4, 5]])
@pytest.mark.parametrize(("dimensions", "leaf_values"), [(1, 1), (3, 1), (3, 3), (4, 2)])
def test_every_branch_goes_where_the_specification_says(specification: Any, run: Any, behaviors: list[int], dimensions: int, leaf_values: int) -> None:
    rng = np.random.default_rng(dimensions * 10 + leaf_values)
    spec = specification("treeEnsembleRegressor", {"x": "float64[5]"}, {"y": f"float64[{dimensions}]"}, predicted="y")
    ensemble = spec.treeEnsembleRegressor.treeEnsemble
    grow(ensemble, rng, trees=6, features=5, dimensions=dimensions, leaf_values=leaf_values, behaviors=behaviors)
    for missing in (False, True):
        rows = samples(rng, 5, missing=missing)
        found = np.stack([result["y"] for result in run(spec, [{"x": row} for row in rows])])
        np.testing.assert_allclose(found, [walked(ensemble, row) for row in rows], rtol=1e-13, atol=1e-13)


def softmax(scores: np.ndarray) -> np.ndarray:
    return np.exp(scores) / np.exp(scores).sum()


TRANSFORMS = [
    (0, 3, 3, lambda scores: scores),
    (1, 3, 3, softmax),
    (2, 1, 2, lambda scores: np.array([1 - 1 / (1 + math.exp(-scores[0])), 1 / (1 + math.exp(-scores[0]))])),
    (0, 1, 2, lambda scores: np.array([1 - scores[0], scores[0]])),
    (3, 2, 3, lambda scores: softmax(np.array([0.0, *scores]))),
    (3, 1, 2, lambda scores: softmax(np.array([0.0, *scores]))),
]


@pytest.mark.parametrize(("transform", "dimensions", "classes", "reference"), TRANSFORMS)
@pytest.mark.parametrize("labels", ["string", "int64"])
def test_scores_become_probabilities_and_a_label(
    specification: Any, run: Any, transform: int, dimensions: int, classes: int, reference: Any, labels: str
) -> None:
    rng = np.random.default_rng(transform)
    spec = specification("treeEnsembleClassifier", {"a": "double", "b": "int64"}, {"label": labels, "p": f"{labels}{{}}"}, "label", "p")
    model = spec.treeEnsembleClassifier
    model.postEvaluationTransform = transform
    names = [f"class {index}" for index in range(classes)] if labels == "string" else [10 * index for index in range(classes)]
    getattr(model, f"{labels}ClassLabels").vector.extend(names)
    grow(model.treeEnsemble, rng, trees=5, features=2, dimensions=dimensions, leaf_values=1, behaviors=[0])
    feeds = [{"a": float(a), "b": int(b)} for a, b in rng.integers(-3, 4, size=(40, 2))]
    for feed, result in zip(feeds, run(spec, feeds), strict=True):
        expected = reference(walked(model.treeEnsemble, np.array([feed["a"], feed["b"]], np.float64)))
        assert list(result["p"]) == names
        np.testing.assert_allclose(list(result["p"].values()), expected, rtol=1e-12, atol=1e-12)
        assert result["label"] == names[int(np.argmax(expected))]


def test_a_logistic_regressor_and_one_number_out(specification: Any, run: Any) -> None:
    spec = specification("treeEnsembleRegressor", {"x": "double"}, {"y": "double"}, predicted="y")
    spec.treeEnsembleRegressor.postEvaluationTransform = 2
    ensemble = spec.treeEnsembleRegressor.treeEnsemble
    ensemble.numPredictionDimensions = 1
    ensemble.basePredictionValue.append(0.5)
    ensemble.nodes.add(nodeBehavior=6).evaluationInfo.add(evaluationValue=1.5)
    assert run(spec, [{"x": 3.0}]) == [{"y": pytest.approx(1 / (1 + math.exp(-2.0)), rel=1e-15)}]


def copied(ensemble: Any, estimators: Any, scale: float) -> None:
    """scikit-learn's regression trees as nodes."""
    for number, estimator in enumerate(estimators):
        tree = estimator.tree_
        for index in range(tree.node_count):
            node = ensemble.nodes.add(treeId=number, nodeId=index)
            if tree.children_left[index] < 0:
                node.nodeBehavior = 6
                node.evaluationInfo.add(evaluationValue=scale * float(tree.value[index, 0, 0]))
            else:
                node.branchFeatureIndex, node.branchFeatureValue = int(tree.feature[index]), float(tree.threshold[index])
                node.trueChildNodeId, node.falseChildNodeId = int(tree.children_left[index]), int(tree.children_right[index])


def test_gradient_boosting_agrees_with_scikit_learn(specification: Any, run: Any) -> None:
    from sklearn.ensemble import GradientBoostingRegressor

    rng = np.random.default_rng(3)
    rows = rng.normal(size=(200, 4)).astype(np.float32).astype(np.float64)
    trained = GradientBoostingRegressor(n_estimators=30, random_state=0).fit(rows, rows[:, 0] * rows[:, 1] + rows[:, 2])
    spec = specification("treeEnsembleRegressor", {"x": "float64[4]"}, {"y": "double"}, predicted="y")
    ensemble = spec.treeEnsembleRegressor.treeEnsemble
    ensemble.numPredictionDimensions = 1
    ensemble.basePredictionValue.append(float(trained.init_.constant_[0, 0]))
    copied(ensemble, trained.estimators_[:, 0], trained.learning_rate)
    found = [result["y"] for result in run(spec, [{"x": row} for row in rows])]
    np.testing.assert_allclose(found, trained.predict(rows), rtol=1e-12, atol=1e-12)


def broken(change: str) -> list[tuple[int, int, int, int]]:
    """Nodes as (tree, node, true child, false child); a child of -1 makes a leaf."""
    return {
        "a node is reached twice": [(0, 0, 1, 1), (0, 1, -1, -1)],
        "node 2 is missing": [(0, 0, 1, 2), (0, 1, -1, -1)],
        "0 roots": [(0, 0, 1, 0), (0, 1, -1, -1)],
        "2 roots": [(0, 0, -1, -1), (0, 1, -1, -1)],
        "reach 1 of 3": [(0, 0, -1, -1), (0, 1, 1, 2), (0, 2, -1, -1)],
        "two nodes 0": [(0, 0, -1, -1), (0, 0, -1, -1)],
    }[change]


@pytest.mark.parametrize("change", ["a node is reached twice", "node 2 is missing", "0 roots", "2 roots", "reach 1 of 3", "two nodes 0"])
def test_what_is_no_tree_is_refused(specification: Any, run: Any, change: str) -> None:
    spec = specification("treeEnsembleRegressor", {"x": "double"}, {"y": "double"}, predicted="y")
    ensemble = spec.treeEnsembleRegressor.treeEnsemble
    ensemble.numPredictionDimensions = 1
    for tree, name, yes, no in broken(change):
        node = ensemble.nodes.add(treeId=tree, nodeId=name, nodeBehavior=6 if yes < 0 else 0)
        if yes >= 0:
            node.trueChildNodeId, node.falseChildNodeId = yes, no
    with pytest.raises(NotExecutable, match=change.removeprefix("a ").replace("node is", "is")):
        run(spec, [{"x": 0.0}])
