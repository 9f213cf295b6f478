"""The constants of a program: values in its protobuf or its weight file, and compressed weights, each read when an operation asks for it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mlpipe.runtime.lowered import UnsupportedLayerError
from mlpipe.runtime.mlprogram.op import Binding
from mlpipe.runtime.mlprogram.values import Constant, declared_type
from mlpipe.weights.mil_types import BY_CODE
from mlpipe.weights.mlprogram import decode_constexpr, read_value


class Constants:
    """The constants of one function."""

    def __init__(self, weights_folder: Path | None) -> None:
        """Start with none."""
        self._weights_folder = weights_folder
        self._stored: dict[bytes, Constant] = {}

    def constant(self, value: Any) -> Constant:
        """Return the constant of a MIL `Value`. Values that lie at one place of the weight file are one: programs share weights that way.

        Errors: ModelFileInvalid for a value in the protobuf that does not fit its type; UnsupportedLayerError for a type that is not known.
        """
        kind = value.type.listType.type if value.type.WhichOneof("type") == "listType" else value.type
        mil_type = BY_CODE.get(kind.tensorType.dataType)
        if mil_type is None:
            raise UnsupportedLayerError(f"a constant of the data type number {kind.tensorType.dataType} is not known")
        if value.WhichOneof("value") != "blobFileValue":
            array = read_value(value, self._weights_folder)
            return Constant(mil_type.name, lambda: array)
        place = value.SerializeToString(deterministic=True)
        return self._stored.setdefault(place, Constant(mil_type.name, partial(read_value, value, self._weights_folder)))

    def expanded(self, operation: Any, arguments: Mapping[str, list[Binding]]) -> dict[str, Constant]:
        """Return the results of a `constexpr_` operation by name.

        Errors: UnsupportedLayerError where it reads what is no constant.
        """
        inputs: dict[str, Constant] = {}
        for name, given in arguments.items():
            if len(given) != 1 or not isinstance(given[0], Constant):
                raise UnsupportedLayerError(f"its parameter {name!r} is not a constant")
            inputs[name] = given[0]
        inputs |= {name: self.constant(value) for name, value in operation.attributes.items() if name != "name"}
        read = [partial(_expand, operation.type, inputs, number) for number in range(len(operation.outputs))]
        return {output.name: Constant(declared_type(output.type).dtype, each) for output, each in zip(operation.outputs, read, strict=True)}


def _expand(kind: str, inputs: Mapping[str, Constant], number: int) -> np.ndarray:
    return decode_constexpr(kind, {name: given.array for name, given in inputs.items()})[number]
