"""The constants of an ML Program as one list: plain ones and ones that `constexpr_*` operations expand, with what uses them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from mlpipe.weights.mil_types import BY_CODE, MilType
from mlpipe.weights.mlprogram import decode_constexpr, read_value

_DATA_INPUTS = ("quantized_data", "data", "indices", "source_val", "nonzero_data", "indices_nonzero_data")
"""The inputs of `constexpr_*` operations that hold one number per element."""


@dataclass(frozen=True)
class Use:
    """One place where a constant is used."""

    op: Any
    """The protobuf `Operation`."""
    parameter: str


@dataclass(frozen=True)
class Constant:
    """A constant of an ML Program, as the operations that compute see it."""

    name: str
    """Its output's name, with `function/` before it where the program has several functions."""
    output: str
    """The output's name as the program has it."""
    op: Any
    """The protobuf `Operation` that makes it, which may be changed in place."""
    mil_type: MilType
    shape: tuple[int, ...]
    uses: tuple[Use, ...]
    scope: Mapping[str, Any]
    """The function's constants by name, from which the operation's inputs come."""
    weights_folder: Path | None

    @property
    def elements(self) -> int:
        """Return how many values it has."""
        return math.prod(self.shape)

    @property
    def is_plain(self) -> bool:
        """Return whether it is stored as it is, without compression."""
        return bool(self.op.type == "const")

    def values(self) -> NDArray[Any]:
        """Return the values as the program computes with them. Errors: ModelFileInvalid."""
        return _evaluate(self.op, self.output, self.scope, self.weights_folder)

    def stored_bytes(self) -> int:
        """Return the bytes that it takes in the file, tables and scales included, alignment left out."""
        return sum(_value_bytes(value) for value in _own_values(self.op, self.scope))

    def stored_bits(self) -> int:
        """Return the bits of each stored number: a palette's index width, a quantized level's width, or the type's own."""
        if self.is_plain:
            return self.mil_type.bits
        return _data_bits(self.op, self.scope)


def functions_of(program: Any) -> Iterator[tuple[str, Any]]:
    """Yield a prefix for names and the active block of each function, by name."""
    several = len(program.functions) > 1
    for name in sorted(program.functions):
        function = program.functions[name]
        yield f"{name}/" if several else "", function.block_specializations[function.opset]


def operations_of(block: Any) -> Iterator[Any]:
    """Yield every operation of a block and of the blocks inside it, in order."""
    for op in block.operations:
        yield op
        for inner in op.blocks:
            yield from operations_of(inner)


def constants_of(program: Any, weights_folder: Path | None) -> Iterator[Constant]:
    """Yield the constants that computing operations use, in program order; parts of a compressed constant are not listed by themselves."""
    for prefix, block in functions_of(program):
        operations = list(operations_of(block))
        scope = {output.name: op for op in operations if _is_constant(op) for output in op.outputs}
        uses = _uses(operations)
        for name, op in scope.items():
            output = next(output for output in op.outputs if output.name == name)
            computing = tuple(use for use in uses.get(name, ()) if not _is_constant(use.op))
            is_tensor = output.type.WhichOneof("type") == "tensorType" and output.type.tensorType.dataType in BY_CODE
            if is_tensor and (computing or name not in uses):
                tensor = output.type.tensorType
                shape = tuple(int(dimension.constant.size) for dimension in tensor.dimensions)
                yield Constant(prefix + name, name, op, BY_CODE[tensor.dataType], shape, computing, scope, weights_folder)


def check_weight_file(program: Any, weights_folder: Path | None) -> None:
    """Return nothing where every constant that the program keeps in its weight file stands there whole. Errors: ModelFileInvalid."""
    for _, block in functions_of(program):
        for op in operations_of(block):
            bindings = [binding for argument in op.inputs.values() for binding in argument.arguments]
            values = [*op.attributes.values(), *(binding.value for binding in bindings if binding.WhichOneof("binding") == "value")]
            for value in values:
                if value.WhichOneof("value") == "blobFileValue":
                    read_value(value, weights_folder)


def _uses(operations: list[Any]) -> dict[str, list[Use]]:
    """Return who reads each name."""
    uses: dict[str, list[Use]] = {}
    for op in operations:
        for parameter in sorted(op.inputs):
            for binding in op.inputs[parameter].arguments:
                if binding.WhichOneof("binding") == "name":
                    uses.setdefault(binding.name, []).append(Use(op, parameter))
    return uses


def _is_constant(op: Any) -> bool:
    return bool(op.type == "const" or op.type.startswith("constexpr_"))


def _parameters(op: Any) -> Iterator[tuple[str, Any]]:
    """Yield the parameters of a `constexpr_*`: attributes in iOS16 programs, inputs from iOS18, each a `Value` or the name of a constant."""
    for name in sorted(op.attributes):
        if name != "name":
            yield name, op.attributes[name]
    for name in sorted(op.inputs):
        binding = op.inputs[name].arguments[0]
        yield name, binding.value if binding.WhichOneof("binding") == "value" else binding.name


def _evaluate(op: Any, output: str, scope: Mapping[str, Any], weights_folder: Path | None) -> NDArray[Any]:
    if op.type == "const":
        return read_value(op.attributes["val"], weights_folder)
    inputs = {
        name: _evaluate(scope[value], value, scope, weights_folder) if isinstance(value, str) else read_value(value, weights_folder)
        for name, value in _parameters(op)
    }
    results = decode_constexpr(op.type, inputs)
    return results[[item.name for item in op.outputs].index(output)]


def _own_values(op: Any, scope: Mapping[str, Any]) -> Iterator[Any]:
    if op.type == "const":
        yield op.attributes["val"]
        return
    for _, value in _parameters(op):
        if isinstance(value, str):
            yield from _own_values(scope[value], scope)
        else:
            yield value


def _value_bytes(value: Any) -> int:
    if value.type.WhichOneof("type") != "tensorType":
        return int(value.ByteSize())
    tensor = value.type.tensorType
    count = math.prod(int(dimension.constant.size) for dimension in tensor.dimensions)
    return (count * BY_CODE[tensor.dataType].bits + 7) // 8


def _data_bits(op: Any, scope: Mapping[str, Any]) -> int:
    """Return the width of the numbers that a constant holds per element."""
    parameters = {"val": op.attributes["val"]} if op.type == "const" else dict(_parameters(op))
    name = next(name for name in ("val", *_DATA_INPUTS) if name in parameters)
    data = parameters[name]
    if isinstance(data, str):
        return _data_bits(scope[data], scope)
    if name == "indices" and "shape" in parameters:  # iOS16 packs indices of any width into bytes
        return int(parameters["lut"].type.tensorType.dimensions[0].constant.size).bit_length() - 1
    return BY_CODE[data.type.tensorType.dataType].bits
