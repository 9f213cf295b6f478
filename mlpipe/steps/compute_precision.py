"""In which precisions a Core ML file may run, so that results can be shown as a band between them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mlpipe.model_files.read import ModelFile, read_model

_FLOAT16 = 10
"""Source: enum DataType in MIL.proto."""
_NO_ARITHMETIC = ("const", "cast", "constexpr_")


def precisions_of(path: Path, wanted: str) -> tuple[str, ...]:
    """Return which of float32 and float16 a variant is computed in; `wanted` is `compare.precision`.

    `auto` gives float32 alone for an ML Program without float16 arithmetic. Other files do not bind the device: a NeuralNetwork
    states no precision, and float16 operations may run wider.
    """
    if wanted in {"float32", "float16"}:
        return (wanted,)
    if wanted == "auto" and not may_run_in_float16(read_model(path)):
        return ("float32",)
    return ("float32", "float16")


def may_run_in_float16(model: ModelFile) -> bool:
    """Whether a device may compute the model in float16: any but an ML Program whose operations are all wider."""
    if model.kind != "mlprogram":
        return True
    return any(_makes_float16(operation) for operation in _operations(model.spec.mlProgram))


def _operations(program: Any) -> Iterator[Any]:
    blocks = [block for function in program.functions.values() for block in function.block_specializations.values()]
    while blocks:
        for operation in blocks.pop().operations:
            blocks.extend(operation.blocks)
            yield operation


def _makes_float16(operation: Any) -> bool:
    if operation.type.startswith(_NO_ARITHMETIC):
        return False
    return any(output.type.WhichOneof("type") == "tensorType" and output.type.tensorType.dataType == _FLOAT16 for output in operation.outputs)
