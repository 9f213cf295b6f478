"""The k nearest neighbours classifier."""

from __future__ import annotations

from typing import Any

import numpy as np

from mlpipe.errors import NotExecutable
from mlpipe.runtime.classic.columns import Columns, Label, Transform, class_labels, classified, matrix
from mlpipe.runtime.features import Interface


def classifier(parameters: Any, interface: Interface) -> Transform:
    """Return a classifier by the labels of the nearest points, all of which vote, or weigh as the inverse of their squared distance.

    A kd-tree finds the same neighbours as a search of all, so both are searched. Of points equally far the first in the file is nearer, of
    labels with equal votes the one that the file lists first wins. A model without points gives its default label.
    Errors: NotExecutable where points, labels and dimensions do not fit each other.
    """
    index = parameters.nearestNeighborsIndex
    point_labels = class_labels(parameters)
    width = int(index.numberOfDimensions)
    points = np.array([list(sample.vector) for sample in index.floatSamples if len(sample.vector) == width], np.float64)
    if not len(points) == len(index.floatSamples) == len(point_labels):
        raise NotExecutable(f"the nearest neighbours model has {len(point_labels)} labels for {len(index.floatSamples)} points of {width} numbers")
    default = parameters.WhichOneof("DefaultClassLabel")
    labels: tuple[Label, ...] = tuple(dict.fromkeys(point_labels)) or ((getattr(parameters, default),) if default else ())
    if not labels:
        raise NotExecutable("the nearest neighbours model has no points and no default label")
    places = np.array([labels.index(label) for label in point_labels], np.int64)
    neighbors = min(max(1, int(parameters.numberOfNeighbors.defaultValue)), len(points))
    inverse = parameters.WhichOneof("WeightingScheme") == "inverseDistanceWeighting"

    def run(columns: Columns) -> Columns:
        samples = matrix(columns, interface)
        if samples.shape[1] != width:
            raise NotExecutable(f"the points have {width} numbers and the input {samples.shape[1]}")
        if not neighbors:
            return classified(interface, labels, np.ones((len(samples), 1)))
        return classified(interface, labels, np.stack([scores(sample) for sample in samples]))

    def scores(sample: np.ndarray) -> np.ndarray:
        distances = ((points - sample) ** 2).sum(axis=1)
        nearest = np.argsort(distances, kind="stable")[:neighbors]
        weights = _inverse(distances[nearest]) if inverse else np.ones(neighbors)
        votes = np.bincount(places[nearest], weights, minlength=len(labels))
        return np.asarray(votes / votes.sum())

    return run


def _inverse(distances: np.ndarray) -> np.ndarray:
    """Return 1 / distance; where points lie on the sample itself they alone count."""
    exact = distances == 0
    return exact.astype(np.float64) if exact.any() else 1.0 / distances
