"""The functions that turn a linear model's or an ensemble's raw scores into probabilities."""

from __future__ import annotations

import math

import numpy as np


def logistic(scores: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + exp(-scores)), without overflow."""
    small = np.exp(-np.abs(scores))
    return np.asarray(np.where(scores >= 0, 1.0, small) / (1.0 + small))


def probit(scores: np.ndarray) -> np.ndarray:
    """Return the normal distribution's cumulative function."""
    halves = [0.5 * math.erfc(-score / math.sqrt(2.0)) for score in scores.ravel().tolist()]
    return np.array(halves, np.float64).reshape(scores.shape)


def softmax(scores: np.ndarray) -> np.ndarray:
    """Return the softmax of every row."""
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=1, keepdims=True))


def softmax_with_reference(scores: np.ndarray) -> np.ndarray:
    """Return the softmax of every row with a score of zero before it, for the class that the others are measured against."""
    return softmax(np.concatenate([np.zeros((len(scores), 1)), scores], axis=1))


def with_complement(second: np.ndarray) -> np.ndarray:
    """Return the probabilities of two classes from those of the second."""
    return np.concatenate([1.0 - second, second], axis=1)
