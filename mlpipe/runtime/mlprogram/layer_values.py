"""What of a program can be tapped: the values of its inputs and operations, by the names that stand in the file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from mlpipe.runtime.lowered import LayerValue, UnsupportedLayerError
from mlpipe.runtime.mlprogram.op import Binding
from mlpipe.runtime.mlprogram.values import Tensor, declared_type

NAMES = {"fp16": "float16", "fp32": "float32"}
"""MIL types that have another name everywhere else."""


def layer_values(inputs: Iterable[Any], operations: Iterable[Any], values: Mapping[str, Binding]) -> Iterator[LayerValue]:
    """Yield every value that is no constant, in the order of the program; those inside blocks after the operation that has the block."""
    for given in inputs:
        yield from _of("input", [given], values)
    for operation in operations:
        yield from _of(operation.type, operation.outputs, values)
        for block in operation.blocks:
            yield from _inside(block, operation.outputs[0].name if operation.outputs else operation.type)


def _of(kind: str, outputs: Iterable[Any], values: Mapping[str, Binding]) -> Iterator[LayerValue]:
    for output in outputs:
        value = values.get(output.name)
        if isinstance(value, Tensor):
            yield LayerValue(output.name, kind, NAMES.get(value.dtype, value.dtype), value.shape, value.name)


def _inside(block: Any, owner: str) -> Iterator[LayerValue]:
    """Yield the values of a block, whose names can be said but not tapped."""
    outputs = [("input", given) for given in block.inputs]
    outputs += [(operation.type, output) for operation in block.operations if operation.type != "const" for output in operation.outputs]
    for kind, output in outputs:
        try:
            declared = declared_type(output.type)
        except UnsupportedLayerError:
            continue
        yield LayerValue(output.name, kind, NAMES.get(declared.dtype, declared.dtype), declared.shape or (), "", owner)
    for operation in block.operations:
        for inner in operation.blocks:
            yield from _inside(inner, owner)
