"""Support vector machines, as LIBSVM defines them."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import Any

import numpy as np

from mlpipe.errors import NotExecutable
from mlpipe.runtime.classic.columns import Columns, Transform, class_labels, classified, matrix, regressed
from mlpipe.runtime.features import Interface

SMALLEST_PROBABILITY = 1e-7
"""LIBSVM keeps the pairwise probabilities this far from 0 and 1."""

Kernel = Callable[[np.ndarray], np.ndarray]
"""samples x features to samples x support vectors."""


def regressor(parameters: Any, interface: Interface) -> Transform:
    """Return a support vector regression."""
    kernel = _kernel(parameters)
    weights = np.array(parameters.coefficients.alpha, np.float64)
    _require(len(weights) == _count(parameters), "its coefficients and its support vectors differ in number")

    def run(columns: Columns) -> Columns:
        values = kernel(matrix(columns, interface)) @ weights - parameters.rho
        return regressed(interface, values[:, None])

    return run


def classifier(parameters: Any, interface: Interface) -> Transform:
    """Return a support vector classifier: a machine a pair of classes, which vote, or whose probabilities are coupled.

    Errors: NotExecutable where the sizes do not fit, or probabilities are declared and the file has none.
    """
    kernel = _kernel(parameters)
    labels = class_labels(parameters)
    sizes = list(parameters.numberOfSupportVectorsPerClass)
    pairs = list(combinations(range(len(labels)), 2))
    coefficients = [np.array(row.alpha, np.float64) for row in parameters.coefficients]
    _require(len(labels) >= 2 and len(sizes) == len(labels), "it does not say how many support vectors each class has")
    _require(sum(sizes) == _count(parameters), "its support vectors are not as many as its classes have")
    _require(len(coefficients) == len(labels) - 1 and all(len(row) == sum(sizes) for row in coefficients), "its coefficients do not fit its support vectors")
    _require(len(parameters.rho) == len(pairs), "it does not have a constant for each pair of classes")
    has_probabilities = len(parameters.probA) > 0
    _require(not has_probabilities or len(parameters.probA) == len(parameters.probB) == len(pairs), "it does not have probabilities for each pair of classes")
    _require(has_probabilities or not interface.probabilities, "it declares probabilities and has none for its pairs of classes")
    decide = _decisions(coefficients, sizes, np.array(parameters.rho, np.float64), pairs)

    def run(columns: Columns) -> Columns:
        decisions = decide(kernel(matrix(columns, interface)))
        if has_probabilities:
            slopes, offsets = np.array(parameters.probA, np.float64), np.array(parameters.probB, np.float64)
            return classified(interface, labels, _probabilities(decisions, slopes, offsets, pairs, len(labels)))
        return classified(interface, labels, _votes(decisions, pairs, len(labels)))

    return run


def _require(holds: bool, why: str) -> None:
    if not holds:
        raise NotExecutable("the support vector machine cannot be executed", why=why)


def _count(parameters: Any) -> int:
    return len(getattr(parameters, parameters.WhichOneof("supportVectors") or "sparseSupportVectors").vectors)


def _vectors(parameters: Any, width: int) -> np.ndarray:
    """Return the support vectors.

    Shapes: vectors x features; sparse ones count features from 1.
    """
    vectors = np.zeros((_count(parameters), width))
    if parameters.WhichOneof("supportVectors") == "denseSupportVectors":
        for row, vector in zip(vectors, parameters.denseSupportVectors.vectors, strict=True):
            _require(len(vector.values) == width, f"a support vector has {len(vector.values)} values for {width} features")
            row[:] = vector.values
        return vectors
    for row, vector in zip(vectors, parameters.sparseSupportVectors.vectors, strict=True):
        for node in vector.nodes:
            _require(1 <= node.index <= width, f"a support vector names feature {node.index} of {width}")
            row[node.index - 1] = node.value
    return vectors


def _kernel(parameters: Any) -> Kernel:
    which = parameters.kernel.WhichOneof("kernel")
    _require(which is not None, "it has no kernel")
    kernel = getattr(parameters.kernel, which)

    def run(features: np.ndarray) -> np.ndarray:
        vectors = _vectors(parameters, features.shape[1])
        if which == "rbfKernel":
            # Differences, not products: nothing cancels where a sample lies on a vector.
            distances = np.stack([((features - vector) ** 2).sum(axis=1) for vector in vectors], axis=1)
            return np.asarray(np.exp(-kernel.gamma * distances))
        products = features @ vectors.T
        if which == "polyKernel":
            return np.asarray((kernel.gamma * products + kernel.c) ** kernel.degree)
        return np.asarray(np.tanh(kernel.gamma * products + kernel.c) if which == "sigmoidKernel" else products)

    return run


def _decisions(coefficients: list[np.ndarray], sizes: list[int], rho: np.ndarray, pairs: list[tuple[int, int]]) -> Callable[[np.ndarray], np.ndarray]:
    """Return the function from kernel values to a decision a pair of classes: positive for the first of the two."""
    ends = np.cumsum([0, *sizes])

    def decide(values: np.ndarray) -> np.ndarray:
        columns = []
        for first, second in pairs:
            ours, theirs = slice(ends[first], ends[first + 1]), slice(ends[second], ends[second + 1])
            # Row k of the coefficients is against the class that is k-th among the others.
            columns.append(values[:, ours] @ coefficients[second - 1][ours] + values[:, theirs] @ coefficients[first][theirs])
        return np.asarray(np.stack(columns, axis=1) - rho)

    return decide


def _votes(decisions: np.ndarray, pairs: list[tuple[int, int]], classes: int) -> np.ndarray:
    votes = np.zeros((len(decisions), classes))
    for column, (first, second) in enumerate(pairs):
        votes[:, first] += decisions[:, column] > 0
        votes[:, second] += decisions[:, column] <= 0
    return votes


def _probabilities(decisions: np.ndarray, slopes: np.ndarray, offsets: np.ndarray, pairs: list[tuple[int, int]], classes: int) -> np.ndarray:
    pairwise = np.clip(1.0 / (1.0 + np.exp(np.clip(decisions * slopes + offsets, -700, 700))), SMALLEST_PROBABILITY, 1 - SMALLEST_PROBABILITY)
    if classes == 2:
        return np.concatenate([pairwise, 1 - pairwise], axis=1)
    return np.stack([_coupled(row, pairs, classes) for row in pairwise])


def _coupled(pairwise: np.ndarray, pairs: list[tuple[int, int]], classes: int) -> np.ndarray:
    """Return the probabilities of the classes whose ratios fit the pairs best.

    Source: Wu, Lin and Weng, "Probability estimates for multi-class classification by pairwise coupling" (2004), the second method, with the
    iteration of its Algorithm 2, which LIBSVM stops at a tolerance of 0.005 / classes or after 100 rounds.
    """
    against = np.zeros((classes, classes))
    for (first, second), value in zip(pairs, pairwise, strict=True):
        against[first, second], against[second, first] = value, 1 - value
    quadratic = -against * against.T
    np.fill_diagonal(quadratic, (against**2).sum(axis=0))
    shares = np.full(classes, 1.0 / classes)
    for _ in range(max(100, classes)):
        products = quadratic @ shares
        energy = shares @ products
        if np.abs(products - energy).max() < 0.005 / classes:
            break
        for index in range(classes):
            change = (energy - products[index]) / quadratic[index, index]
            shares[index] += change
            energy = (energy + change * (change * quadratic[index, index] + 2 * products[index])) / (1 + change) ** 2
            products = (products + change * quadratic[index]) / (1 + change)
            shares /= 1 + change
    return shares
