"""The size a Core ML model would have with float32 weights: what a `size_ratio` is a ratio to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mlpipe.model_files.read import read_model

_BLOB_ALIGNMENT = 64
"""Every weight in weight.bin starts at a multiple of it. Source: MILBlob, StorageFormat.hpp."""
_FLOAT16 = 10
"""Source: DataType.FLOAT16 in MIL.proto."""


def float32_size_bytes(path: Path) -> int:
    """Return the bytes of the same model with each float16 weight stored as float32; its other bytes count as they are.

    Exact for the weights; nothing is converted a second time. A model that is float32 already has its own size, and weights that are already
    compressed to less than 16 bits count as they are.
    """
    model = read_model(path)
    size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) if path.is_dir() else path.stat().st_size
    if model.kind == "mlprogram":
        return size + sum(_growth(value) for value in _constants(model.spec.mlProgram))
    return size + sum(_half_bytes(message) for message in _weights(model.spec))


def _constants(program: Any) -> Iterator[Any]:
    """Yield every constant of an ML Program."""
    blocks = [block for function in program.functions.values() for block in function.block_specializations.values()]
    while blocks:
        for operation in blocks.pop().operations:
            blocks.extend(operation.blocks)
            yield from operation.attributes.values()
            for argument in operation.inputs.values():
                yield from (binding.value for binding in argument.arguments if binding.WhichOneof("binding") == "value")


def _growth(value: Any) -> int:
    """Return how many bytes a constant grows by."""
    tensor = value.type.tensorType
    if tensor.dataType != _FLOAT16:
        return 0
    count = 1
    for dimension in tensor.dimensions:
        count *= dimension.constant.size
    if value.WhichOneof("value") == "blobFileValue":
        return _aligned(4 * count) - _aligned(2 * count)
    return 2 * count


def _aligned(size: int) -> int:
    return -(-size // _BLOB_ALIGNMENT) * _BLOB_ALIGNMENT


def _weights(message: Any) -> Iterator[Any]:
    """Yield every WeightParams of a NeuralNetwork, however deep."""
    for field, value in message.ListFields():
        if field.message_type is None or field.message_type.GetOptions().map_entry:
            continue
        for inner in value if field.is_repeated else (value,):
            if field.message_type.name == "WeightParams":
                yield inner
            else:
                yield from _weights(inner)


def _half_bytes(weights: Any) -> int:
    """Return how many bytes a weight of a NeuralNetwork grows by: its float16 values take two bytes each."""
    return len(weights.float16Value)
