"""ML Programs with a weight file of their own: values go into the protobuf or into `weight.bin`, as coremltools decides it."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mlpipe.model_files.protobuf import mil_pb2
from mlpipe.weights.bits import pack
from mlpipe.weights.blob_file import BlobWriter, read_blob, resolve
from mlpipe.weights.mil_types import BY_CODE, BY_NAME, MilType
from mlpipe.weights.program import operations_of

SMALLEST_BLOB = 10
"""Values with fewer elements stand in the protobuf."""


class ProgramWriter:
    """Writes the weight file of one program; equal constants are written once."""

    def __init__(self, weights_file: Path) -> None:
        self._writer = BlobWriter(weights_file)
        self._offsets: dict[tuple[str, bytes], int] = {}

    def value(self, values: ArrayLike, type_name: str) -> Any:
        """Return a MIL `Value` that holds the array. Shapes: as the array; a scalar makes a tensor of rank 0."""
        mil_type = BY_NAME[type_name]
        array = np.asarray(values, mil_type.numpy)
        value = mil_pb2().Value()
        tensor = value.type.tensorType
        tensor.dataType = mil_type.code
        tensor.rank = array.ndim
        for size in array.shape:
            tensor.dimensions.add().constant.size = size
        if array.size >= SMALLEST_BLOB and mil_type.blob_code is not None and (mil_type.is_float or mil_type.bits <= 8):
            value.blobFileValue.fileName = self._writer.file_name
            value.blobFileValue.offset = self._write(array, mil_type)
        else:
            _set_immediate(value.immediateValue.tensor, array, mil_type)
        return value

    def constexpr(self, op: Any, op_type: str, parameters: dict[str, tuple[ArrayLike, str]], *, as_inputs: bool) -> None:
        """Turn a `const` into a `constexpr_*` of the same name and output; its parameters are inputs from iOS18, attributes before."""
        name = mil_pb2().Value()
        name.CopyFrom(op.attributes["name"])
        op.type = op_type
        op.ClearField("attributes")
        op.attributes["name"].CopyFrom(name)
        for parameter, (values, type_name) in parameters.items():
            value = self.value(values, type_name)
            if as_inputs:
                op.inputs[parameter].arguments.add().value.CopyFrom(value)
            else:
                op.attributes[parameter].CopyFrom(value)

    def move(self, value: Any, weights_folder: Path | None) -> None:
        """Copy what a value has in the old weight file into this one. Errors: ModelFileInvalid."""
        tensor = value.type.tensorType
        mil_type = BY_CODE[tensor.dataType]
        count = math.prod(int(dimension.constant.size) for dimension in tensor.dimensions)
        blob = value.blobFileValue
        array = read_blob(resolve(blob.fileName, weights_folder), blob.offset, mil_type, count)
        blob.offset = self._write(array, mil_type)
        blob.fileName = self._writer.file_name

    def _write(self, array: np.ndarray[Any, Any], mil_type: MilType) -> int:
        key = (mil_type.name, hashlib.sha256(np.ascontiguousarray(array).data).digest())
        if key not in self._offsets:
            self._offsets[key] = self._writer.write(array, mil_type.name)
        return self._offsets[key]


def blob_values_of(program: Any) -> Iterator[Any]:
    """Yield every value of the program that lies in a weight file, in program order."""
    for name in sorted(program.functions):
        function = program.functions[name]
        for opset in sorted(function.block_specializations):
            for op in operations_of(function.block_specializations[opset]):
                values = [op.attributes[key] for key in sorted(op.attributes)]
                for key in sorted(op.inputs):
                    values += [binding.value for binding in op.inputs[key].arguments if binding.WhichOneof("binding") == "value"]
                yield from (value for value in values if value.WhichOneof("value") == "blobFileValue")


def _set_immediate(tensor: Any, array: np.ndarray[Any, Any], mil_type: MilType) -> None:
    """Store a small array where coremltools' own serializer stores its type."""
    if mil_type.name == "string":
        tensor.strings.values.append(str(array))
    elif mil_type.name == "int32":
        tensor.ints.values.extend(int(item) for item in array.reshape(-1))
    elif mil_type.name == "fp32":
        tensor.floats.values.extend(array.reshape(-1))
    elif mil_type.bits < 8:
        tensor.bytes.values = pack(array, mil_type.bits, "little")
    else:  # float16, uint32 and the integers of 8 bits
        tensor.bytes.values = np.ascontiguousarray(array).tobytes()
