"""Models that turn features into other features: vectors, categories, scaling, missing values."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from mlpipe.errors import InvalidInput, NotExecutable
from mlpipe.runtime.classic.columns import Columns, Transform, flat, is_number, objects, places_of, require_small, the_input, the_output
from mlpipe.runtime.features import Interface


def identity(parameters: Any, interface: Interface) -> Transform:
    """Return the inputs under the outputs' names: the same name, else the same place."""
    del parameters
    if len(interface.inputs) != len(interface.outputs):
        raise NotExecutable("an identity model has as many outputs as inputs")
    inputs, outputs = [feature.name for feature in interface.inputs], [feature.name for feature in interface.outputs]
    pairs = [(name, name) for name in outputs] if set(inputs) == set(outputs) else list(zip(inputs, outputs, strict=True))
    return lambda columns: {output: columns[given] for given, output in pairs}


def feature_vectorizer(parameters: Any, interface: Interface) -> Transform:
    """Return numbers, arrays and dictionaries (index to value) side by side in one array."""
    output = the_output(interface).name
    listed = [(column.inputColumn, int(column.inputDimensions)) for column in parameters.inputList]
    names = [feature.name for feature in interface.inputs]
    for name, width in listed:
        if name not in names:
            raise NotExecutable(f"the feature vectorizer reads {name!r}, which is no input of the model")

        require_small(width, f"what it makes of {name!r}")

    def part(columns: Columns, name: str, width: int) -> np.ndarray:
        if columns[name].dtype == object:
            return np.stack([_dense(mapping, width, name) for mapping in columns[name]])
        values = flat(columns[name])
        if values.shape[1] != width:
            raise InvalidInput(f"input {name!r} has {values.shape[1]} numbers, and the feature vectorizer takes {width}")
        return values

    return lambda columns: {output: np.concatenate([part(columns, name, width) for name, width in listed], axis=1)}


def _dense(mapping: dict[int, float], width: int, name: str) -> np.ndarray:
    row = np.zeros(width)
    for index, value in mapping.items():
        if not isinstance(index, int) or not 0 <= index < width:
            raise InvalidInput(f"input {name!r} has the key {index!r}", why=f"keys are indices from 0 to {width - 1}")
        row[index] = value
    return row


def dict_vectorizer(parameters: Any, interface: Interface) -> Transform:
    """Return a dictionary's values at the places of its keys. Keys that the model does not list are left out."""
    which = parameters.WhichOneof("Map")
    places = places_of(getattr(parameters, which).vector) if which else {}
    given, output = the_input(interface), the_output(interface).name

    def run(columns: Columns) -> Columns:
        rows = np.zeros((len(columns[given]), len(places)))
        for row, mapping in zip(rows, columns[given], strict=True):
            for key, value in mapping.items():
                if key in places:
                    row[places[key]] = value
        return {output: rows}

    return run


def array_feature_extractor(parameters: Any, interface: Interface) -> Transform:
    """Return the elements of an array at these places."""
    indices = [int(index) for index in parameters.extractIndex]
    given, output = the_input(interface), the_output(interface)
    if is_number(output) and len(indices) != 1:
        raise NotExecutable(f"the model declares {output.name!r} as one number and extracts {len(indices)}")

    def run(columns: Columns) -> Columns:
        rows = flat(columns[given])
        if max(indices, default=0) >= rows.shape[1]:
            raise InvalidInput(f"the model extracts element {max(indices)}, and input {given!r} has {rows.shape[1]}")
        return {output.name: rows[:, indices[0]] if is_number(output) else rows[:, indices]}

    return run


def scaler(parameters: Any, interface: Interface) -> Transform:
    """Return (x + shift) * scale."""
    shift = np.array(parameters.shiftValue or [0.0], np.float64)
    scale = np.array(parameters.scaleValue or [1.0], np.float64)
    given, output = the_input(interface), the_output(interface).name

    def run(columns: Columns) -> Columns:
        rows = np.asarray(columns[given], np.float64)
        flattened = rows.reshape(len(rows), -1)
        for name, values in (("shift", shift), ("scale", scale)):
            if values.size not in (1, flattened.shape[1]):
                raise NotExecutable(f"the scaler has {values.size} values to {name} {flattened.shape[1]} numbers with")
        return {output: ((flattened + shift) * scale).reshape(rows.shape)}

    return run


def normalizer(parameters: Any, interface: Interface) -> Transform:
    """Return an array divided by its norm; one whose norm is zero stays as it is."""
    norms: dict[str, Callable[[np.ndarray], np.ndarray]] = {
        "LMax": lambda rows: rows.max(axis=1, keepdims=True),
        "L1": lambda rows: np.abs(rows).sum(axis=1, keepdims=True),
        "L2": lambda rows: np.sqrt((rows**2).sum(axis=1, keepdims=True)),
    }
    norm = norms[parameters.NormType.Name(parameters.normType)]
    given, output = the_input(interface), the_output(interface).name

    def run(columns: Columns) -> Columns:
        rows = np.asarray(columns[given], np.float64)
        flattened = rows.reshape(len(rows), -1)
        size = norm(flattened)
        return {output: (flattened / np.where(size == 0, 1.0, size)).reshape(rows.shape)}

    return run


def imputer(parameters: Any, interface: Interface) -> Transform:
    """Return a value with what is missing replaced: what equals the file's replace value, else NaN."""
    which = parameters.WhichOneof("ImputedValue")
    if which is None:
        raise NotExecutable("the imputer has no value to impute")
    replaced = parameters.WhichOneof("ReplaceValue")
    missing = getattr(parameters, replaced) if replaced else math.nan
    missing_is_nan = isinstance(missing, float) and math.isnan(missing)
    imputed = getattr(parameters, which)
    given, output = the_input(interface), the_output(interface).name

    def is_missing(value: Any) -> bool:
        return math.isnan(value) if missing_is_nan and isinstance(value, float) else bool(value == missing)

    def run(columns: Columns) -> Columns:
        column = columns[given]
        if which.endswith("Dictionary"):
            rows = [{key: imputed.map.get(key, value) if is_missing(value) else value for key, value in each.items()} for each in column]
            return {output: objects(rows)}
        if column.dtype == object:
            return {output: objects([imputed if is_missing(value) else value for value in column])}
        flattened = column.reshape(len(column), -1)
        values = np.array(imputed.vector if which.endswith("Array") else [imputed], flattened.dtype)
        if values.size not in (1, flattened.shape[1]):
            raise NotExecutable(f"the imputer has {values.size} values for {flattened.shape[1]} numbers")
        holes = np.isnan(flattened) if missing_is_nan else flattened == missing
        return {output: np.where(holes, values, flattened).reshape(column.shape)}

    return run


def one_hot_encoder(parameters: Any, interface: Interface) -> Transform:
    """Return an array of zeros with a one at the category's place, or the dictionary of that one entry."""
    which = parameters.WhichOneof("CategoryType")
    places = places_of(getattr(parameters, which).vector) if which else {}
    ignores = parameters.handleUnknown == parameters.HandleUnknown.Value("IgnoreUnknown")
    given, output = the_input(interface), the_output(interface).name

    def run(columns: Columns) -> Columns:
        found = [places.get(value) for value in columns[given].tolist()]
        if None in found and not ignores:
            raise InvalidInput(f"input {given!r} is {columns[given].tolist()[found.index(None)]!r}", why=f"the model knows {', '.join(map(repr, places))}")
        if parameters.outputSparse:
            return {output: objects([{} if index is None else {index: 1.0} for index in found])}
        rows = np.zeros((len(found), len(places)))
        for row, index in zip(rows, found, strict=True):
            if index is not None:
                row[index] = 1.0
        return {output: rows}

    return run


def categorical_mapping(parameters: Any, interface: Interface) -> Transform:
    """Return the number of a name, or the name of a number."""
    which = parameters.WhichOneof("MappingType")
    mapping = dict(getattr(parameters, which).map) if which else {}
    default = parameters.WhichOneof("ValueOnUnknown")
    given, output = the_input(interface), the_output(interface).name

    def run(columns: Columns) -> Columns:
        values = columns[given].tolist()
        if default is None:
            for value in values:
                if value not in mapping:
                    raise InvalidInput(f"input {given!r} is {value!r}", why=f"the model knows {', '.join(map(repr, sorted(mapping)))}")
        found = [mapping.get(value, getattr(parameters, default) if default else None) for value in values]
        return {output: np.array(found, np.int64) if which == "stringToInt64Map" else objects(found)}

    return run


def class_confidence_thresholding(parameters: Any, interface: Interface) -> Transform:
    """Return the confidences with a row of ones below them: every class counts as present, as the specification says."""
    del parameters
    given, output = the_input(interface), the_output(interface).name
    return lambda columns: {output: np.stack([columns[given], np.ones_like(columns[given])], axis=1)}
