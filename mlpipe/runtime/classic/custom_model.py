"""Models whose whole function is a class that the app provides, and the Python reference that stands in for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mlpipe.errors import NotExecutable, UserCodeFailed
from mlpipe.runtime.classic.columns import Columns, Transform, objects
from mlpipe.runtime.custom_layers import References
from mlpipe.runtime.features import Interface


def custom_model(parameters: Any, interface: Interface, references: References) -> Transform:
    """Return the reference of the model's class, called once a sample: with a dictionary of the inputs and the model's parameters by name.

    It returns a dictionary of the outputs.
    Errors: NotExecutable where the class has no reference; UserCodeFailed, from the transform, where it raises or leaves an output out.
    """
    name = parameters.className
    given = {key: getattr(value, value.WhichOneof("value") or "stringValue") for key, value in parameters.parameters.items()}
    reference = references.get(name)
    if reference is None:
        takes = ", ".join(f"{feature.name}: {feature}" for feature in interface.inputs)
        raise NotExecutable(f"the custom model's class {name!r} has no reference", why=f"it takes {takes}" + (f"; parameters {given}" if given else ""))

    def one(inputs: dict[str, Any]) -> Mapping[str, Any]:
        try:
            result = reference(inputs, **given)
        except Exception as error:
            raise UserCodeFailed(f"the reference of the custom model {name} failed", why=f"{type(error).__name__}: {error}") from error
        if not isinstance(result, Mapping):
            raise UserCodeFailed(f"the reference of the custom model {name} returned {type(result).__name__}", fix="return a dictionary of the outputs")
        missing = [feature.name for feature in interface.outputs if feature.name not in result]
        if missing:
            raise UserCodeFailed(f"the reference of the custom model {name} did not return the output {missing[0]!r}")
        return result

    def run(columns: Columns) -> Columns:
        count = len(next(iter(columns.values())))
        results = [one({key: _host(column[row]) for key, column in columns.items()}) for row in range(count)]
        return {feature.name: objects([result[feature.name] for result in results]) for feature in interface.outputs}

    return run


def _host(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
