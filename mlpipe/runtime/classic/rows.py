"""A classic model between a caller's values and its columns."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mlpipe.errors import InvalidInput, NotExecutable
from mlpipe.runtime.classic.columns import Columns, Transform, flat, objects, refused, require_small
from mlpipe.runtime.features import Feature, Interface

INTEGERS = np.iinfo(np.int64)


def run_rows(transform: Transform, interface: Interface, feeds: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the outputs of every feed, as coremltools' `MLModel.predict` returns them; all feeds go through the model at once.

    Errors: InvalidInput where an input is missing, unknown, or does not fit its type.
    """
    if not feeds:
        return []
    names = [feature.name for feature in interface.inputs]
    for name in {name for feed in feeds for name in feed}:
        if name not in names:
            raise InvalidInput(f"the model has no input {name!r}", fix=f"its inputs are {', '.join(map(repr, names))}")
    columns = {feature.name: _column(feature, [feed.get(feature.name) for feed in feeds]) for feature in interface.inputs}
    with np.errstate(all="ignore"), refused():
        results = transform(columns)
        shown = {feature.name: _shown(feature, results) for feature in interface.outputs}
    return [{name: values[row] for name, values in shown.items()} for row in range(len(feeds))]


def _column(feature: Feature, values: Sequence[Any]) -> np.ndarray:
    """Return the values of one input; one that may be missing and is, is NaN."""
    if feature.kind == "array":
        return _stacked([_array(feature, value) for value in values])
    if feature.kind == "double":
        return np.array([_number(feature, value) for value in values], np.float64)
    if feature.kind == "int64":
        return np.array([_integer(feature, value) for value in values], np.int64)
    if feature.kind == "string":
        return objects([_text(feature, value) for value in values])
    if feature.kind == "dictionary":
        return objects([_dictionary(feature, value) for value in values])
    raise NotExecutable(f"input {feature.name!r} is of the kind {feature.kind}, which this kind of model does not take")


def _stacked(arrays: Sequence[np.ndarray]) -> np.ndarray:
    """Return arrays of one shape as one, of several shapes as objects."""
    return np.stack(arrays) if len({array.shape for array in arrays}) == 1 else objects(arrays)


def _array(feature: Feature, value: Any) -> np.ndarray:
    if value is None and feature.optional:
        require_small(math.prod(feature.sizes.default), f"the default of input {feature.name!r}")
        return np.full(feature.sizes.default, float("nan") if feature.default is None else feature.default)
    if value is None:
        raise _missing(feature)
    array = np.asarray(value)
    if array.dtype.kind not in "biuf":
        raise _unfit(feature, f"an array of {array.dtype}")
    if not feature.sizes.accept(array.shape):
        raise _unfit(feature, f"shape {'x'.join(map(str, array.shape)) or '() (a single number)'}")
    if feature.dtype.startswith("int") and not np.array_equal(array, np.trunc(array)):
        raise _unfit(feature, "numbers that are not whole")
    return array.astype(feature.dtype).astype(np.float64)


def _number(feature: Feature, value: Any) -> float:
    if value is None and feature.optional:
        return float("nan")
    array = np.asarray(value)
    if value is None:
        raise _missing(feature)
    if array.size != 1 or array.dtype.kind not in "biuf":
        raise _unfit(feature, _described(value))
    return float(array.item())


def _integer(feature: Feature, value: Any) -> int:
    if value is None:
        raise _missing(feature)
    array = np.asarray(value)
    if array.size != 1 or array.dtype.kind not in "biuf":
        raise _unfit(feature, _described(value))
    number = array.item()
    if not math.isfinite(number) or number != int(number) or not INTEGERS.min <= number <= INTEGERS.max:
        raise _unfit(feature, repr(number))
    return int(number)


def _text(feature: Feature, value: Any) -> str:
    if value is None and feature.optional:
        return ""
    if value is None:
        raise _missing(feature)
    if not isinstance(value, str):
        raise _unfit(feature, _described(value))
    return str(value)


def _dictionary(feature: Feature, value: Any) -> dict[Any, float]:
    if value is None and feature.optional:
        return {}
    if value is None:
        raise _missing(feature)
    kind = str if feature.dtype == "string" else int
    if not isinstance(value, Mapping):
        raise _unfit(feature, _described(value))
    mapping: dict[Any, float] = {}
    for key, each in value.items():
        # numpy's integers are keys too, and True is none.
        if isinstance(key, bool) or not isinstance(key, (str,) if kind is str else (int, np.integer)):
            raise _unfit(feature, f"the key {key!r}")
        if isinstance(each, str) or np.asarray(each).size != 1 or np.asarray(each).dtype.kind not in "biuf":
            raise _unfit(feature, f"the value {each!r} of {key!r}")
        mapping[kind(key)] = float(each)
    return mapping


def _shown(feature: Feature, columns: Columns) -> list[Any]:
    """Return an output's values, one a sample, in its declared type."""
    if feature.name not in columns:
        raise NotExecutable(f"the model declares the output {feature.name!r} and does not compute it")
    column = columns[feature.name]
    if feature.kind == "array":
        return [_output_array(feature, np.asarray(value)) for value in column]
    if feature.kind == "dictionary" and column.dtype != object:
        # A sparse vector: the model declares its array as a dictionary of index and value.
        return [{int(index): float(row[index]) for index in np.flatnonzero(row)} for row in flat(column)]
    values = column.reshape(len(column), -1)[:, 0].tolist() if column.dtype != object and column.size == len(column) else column.tolist()
    if feature.kind == "double":
        return [float(value) for value in values]
    if feature.kind == "int64":
        return [_whole(feature, value) for value in values]
    return list(values)


def _output_array(feature: Feature, value: np.ndarray) -> np.ndarray:
    array = value.astype(feature.dtype or np.float64)
    shape = feature.sizes.default
    return array.reshape(shape) if shape and int(np.prod(shape)) == array.size else np.atleast_1d(array)


def _whole(feature: Feature, value: Any) -> int:
    """Return an integer output: the specification makes a lossy cast an error."""
    if not math.isfinite(value) or value != int(value):
        raise InvalidInput(f"output {feature.name!r} would be {value}, and the model declares it as an integer")
    return int(value)


def _missing(feature: Feature) -> InvalidInput:
    return InvalidInput(f"input {feature.name!r} is missing", why=f"expected {feature}")


def _unfit(feature: Feature, got: str) -> InvalidInput:
    return InvalidInput(f"input {feature.name!r} does not fit: expected {feature}, got {got}")


def _described(value: Any) -> str:
    size = np.asarray(value).size if not isinstance(value, str) else 1
    return type(value).__name__ if size == 1 else f"{type(value).__name__} of {size} elements"
