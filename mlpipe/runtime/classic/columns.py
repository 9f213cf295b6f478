"""What flows through classic models: a column for each feature, samples along its first axis.

A number is float64 or int64, an array float64 with its own shape behind the samples, and what is no number (a string, a dictionary) an object.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from mlpipe.errors import MlpipeError, NotExecutable
from mlpipe.runtime.features import Feature, Interface

Columns = dict[str, np.ndarray]

Transform = Callable[[Columns], Columns]
"""A classic model: the columns of its outputs for the columns of its inputs."""

Label = str | int


LARGEST = 1 << 26
"""The most numbers that a model may make of nothing, for one sample: a file of a few bytes must not take all of the memory."""


@contextmanager
def refused() -> Iterator[None]:
    """Refuse a model whose parameters fit neither each other nor its interface, wherever that shows.

    Errors: NotExecutable.
    """
    try:
        yield
    except MlpipeError:
        raise
    except Exception as error:
        raise NotExecutable("the model's parameters cannot be what they are", why=f"{type(error).__name__}: {error}") from error


def require_small(count: int, what: str) -> None:
    """Refuse what would take too much memory, or less than none.

    Errors: NotExecutable.
    """
    if not 0 <= count <= LARGEST:
        raise NotExecutable(f"{what} would be {count:,} numbers", why=f"a model may make {LARGEST:,} of nothing")


def places_of(keys: Sequence[Label]) -> dict[Label, int]:
    """Return the place of every key.

    Errors: NotExecutable where one has two places.
    """
    places = {key: index for index, key in enumerate(keys)}
    if len(places) != len(keys):
        raise NotExecutable("the model lists a key twice", why=f"{len(keys)} keys, {len(places)} of them different")
    return places


def the_input(interface: Interface) -> str:
    """Return the name of the one input of a model that takes one.

    Errors: NotExecutable where it declares several or none.
    """
    if len(interface.inputs) != 1:
        raise NotExecutable(f"this kind of model takes one input, and the file declares {len(interface.inputs)}")
    return interface.inputs[0].name


def the_output(interface: Interface) -> Feature:
    """Return the one output of a model that gives one.

    Errors: NotExecutable where it declares several or none.
    """
    if len(interface.outputs) != 1:
        raise NotExecutable(f"this kind of model gives one output, and the file declares {len(interface.outputs)}")
    return interface.outputs[0]


def is_number(feature: Feature) -> bool:
    """Return whether an output is a single number rather than an array."""
    return feature.kind in ("double", "int64")


def matrix(columns: Columns, interface: Interface) -> np.ndarray:
    """Return the columns of a model's inputs side by side, in the order of its description.

    Shapes: samples x numbers, arrays flattened.
    """
    return np.concatenate([flat(columns[feature.name]) for feature in interface.inputs], axis=1)


def flat(column: np.ndarray) -> np.ndarray:
    """Return a column of numbers or arrays.

    Shapes: samples x numbers.
    """
    return np.asarray(column, np.float64).reshape(len(column), -1)


def objects(values: Sequence[Any]) -> np.ndarray:
    """Return a column of things that are no numbers."""
    column = np.empty(len(values), object)
    column[:] = values
    return column


def class_labels(parameters: Any) -> tuple[Label, ...]:
    """Return the labels of a classifier, in the order of its scores; empty where it lists none."""
    which = parameters.WhichOneof("ClassLabels")
    return tuple(getattr(parameters, which).vector) if which else ()


def classified(interface: Interface, labels: Sequence[Label], scores: np.ndarray, winners: np.ndarray | None = None) -> Columns:
    """Return a classifier's outputs: the label of the highest score (the first of equals) or of `winners`, and the dictionary of scores.

    Shapes: scores are samples x labels; winners are indices of labels, one a sample.
    Errors: NotExecutable where the file has another number of labels than scores.
    """
    if scores.shape[1] != len(labels):
        raise NotExecutable(f"the model computes {scores.shape[1]} scores and names {len(labels)} labels")
    chosen = np.argmax(scores, axis=1) if winners is None else winners
    columns = {interface.predicted: objects([labels[int(index)] for index in chosen])}
    if interface.probabilities:
        columns[interface.probabilities] = objects([dict(zip(labels, row, strict=True)) for row in scores.tolist()])
    return columns


def regressed(interface: Interface, values: np.ndarray) -> Columns:
    """Return a regressor's output: a number, or an array where the model declares one.

    Shapes: values are samples x dimensions.
    Errors: NotExecutable where the model declares one number and computes several.
    """
    output = next((feature for feature in interface.outputs if feature.name == interface.predicted), interface.outputs[0])
    if not is_number(output):
        return {output.name: values}
    if values.shape[1] != 1:
        raise NotExecutable(f"the model declares {output.name!r} as one number and computes {values.shape[1]}")
    return {output.name: values[:, 0]}
