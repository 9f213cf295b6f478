"""Compression of ML Programs: a constant becomes a `constexpr_*` operation with the same name and output."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mlpipe.errors import QuantizationFailed
from mlpipe.quantization.outcome import Outcome, Progress, compress, holds_whole_numbers, no_progress
from mlpipe.quantization.program_writer import ProgramWriter, blob_values_of
from mlpipe.quantization.support import check_support
from mlpipe.quantization.weight import Encoded, NoGain, SkippedWeight, Weight
from mlpipe.recipe.capabilities import IOS16, IOS18
from mlpipe.recipe.schema.quantize import QuantizeStep
from mlpipe.weights.bits import pack
from mlpipe.weights.kmeans import Palette
from mlpipe.weights.linear import Linear
from mlpipe.weights.mlprogram import read_value
from mlpipe.weights.program import Constant, Use, constants_of

_WEIGHT_PARAMETERS = {
    "conv": ("weight",),
    "conv_transpose": ("weight",),
    "linear": ("weight",),
    "matmul": ("x", "y"),
    "einsum": ("values",),
    "gather": ("x",),
    "gather_along_axis": ("x",),
    "gather_nd": ("x",),
    "gru": ("weight_ih", "weight_hh"),
    "lstm": ("weight_ih", "weight_hh", "weight_ih_back", "weight_hh_back"),
    "rnn": ("weight_ih", "weight_hh"),
}
"""The inputs that are weights even where only one of their dimensions is greater than 1."""


def quantize_program(
    model: Any,
    weights_folder: Path | None,
    step: QuantizeStep,
    folder: Path,
    weights_file: Path,
    where: str,
    progress: Progress = no_progress,
    *,
    only_gains: bool = True,
) -> list[Outcome]:
    """Return what became of each float constant; the program is changed in place and its constants lie in the new `weights_file`.

    Errors: QuantizationFailed where the program's version cannot hold it, or a weight is compressed already.
    """
    version = model.specificationVersion
    check_support("mlprogram", version, step, where)
    weights = [constant for constant in constants_of(model.mlProgram, weights_folder) if constant.mil_type.is_float and constant.shape]
    encoded: list[tuple[Constant, Encoded]] = []
    outcomes = []
    for index, constant in enumerate(weights):
        progress(index, len(weights), constant.name)
        weight = _weight(constant, folder)
        try:
            _check_role(constant, weight)
            encoded.append((constant, compress(weight, step, _names(constant), where, only_gains=only_gains)))
        except SkippedWeight as reason:
            outcomes.append(Outcome(weight, step, str(reason), isinstance(reason, NoGain)))
        else:
            outcomes.append(Outcome(weight, step, None))
    if encoded and version < IOS16:
        raise QuantizationFailed("compressed weights need iOS16", where=where, fix="convert with `minimum_deployment_target: iOS16` or later")
    _write(model.mlProgram, weights_folder, encoded, ProgramWriter(weights_file), as_inputs=version >= IOS18)
    return outcomes


def _write(program: Any, weights_folder: Path | None, encoded: list[tuple[Constant, Encoded]], writer: ProgramWriter, *, as_inputs: bool) -> None:
    """Carry over what stays, then add the compressed constants, each in program order."""
    for constant, _ in encoded:
        del constant.op.attributes["val"]
    for value in blob_values_of(program):
        writer.move(value, weights_folder)
    for constant, values in encoded:
        op_type, parameters = _constexpr(values, constant, as_inputs=as_inputs)
        writer.constexpr(constant.op, op_type, parameters, as_inputs=as_inputs)


def _constexpr(encoded: Encoded, constant: Constant, *, as_inputs: bool) -> tuple[str, dict[str, tuple[ArrayLike, str]]]:
    """Return the operation that expands the encoded weight, with its parameters and their types."""
    kind = constant.mil_type.name
    if isinstance(encoded, Linear):
        levels = f"int{encoded.bits}" if encoded.zero_point is None else f"uint{encoded.bits}"
        if as_inputs:
            parameters: dict[str, tuple[ArrayLike, str]] = {"data": (encoded.levels, levels), "scale": (encoded.scale, kind)}
            return "constexpr_blockwise_shift_scale", parameters | ({} if encoded.zero_point is None else {"offset": (encoded.zero_point, levels)})
        zero_point = np.zeros_like(encoded.scale, np.int8) if encoded.zero_point is None else encoded.zero_point
        return "constexpr_affine_dequantize", {
            "quantized_data": (encoded.levels, levels),
            "zero_point": (zero_point.squeeze(), levels),
            "scale": (encoded.scale.squeeze(), kind),
            "axis": (int(np.argmax(encoded.scale.shape)), "int32"),
        }
    if isinstance(encoded, Palette):
        if as_inputs:
            grid = [len(encoded.tables) if axis == encoded.axis else 1 for axis in range(encoded.indices.ndim)]
            return "constexpr_lut_to_dense", {
                "indices": (encoded.indices, f"uint{encoded.bits}"),
                "lut": (encoded.tables.reshape(*grid, -1, 1), kind),
            }
        packed = np.frombuffer(pack(encoded.indices, encoded.bits, "little"), np.uint8)
        return "constexpr_lut_to_dense", {
            "indices": (packed, "uint8"),
            "lut": (encoded.tables[0], kind),
            "shape": (np.array(encoded.indices.shape), "uint32"),
        }
    return "constexpr_cast", {"source_val": (encoded, "fp16"), "output_dtype": ("fp32", "string")}


def _weight(constant: Constant, folder: Path) -> Weight:
    channel_axes, input_axes = zip(*(_axes(use, constant) for use in constant.uses), strict=True) if constant.uses else ((0,), (1,))
    return Weight(
        name=constant.name,
        values=constant.values(),
        container="mlprogram",
        stored_bytes=constant.stored_bytes(),
        channel_axis=channel_axes[0] if len(set(channel_axes)) == 1 else None,
        input_axis=input_axes[0] if len(set(input_axes)) == 1 and input_axes[0] < len(constant.shape) else None,
        compressed=not constant.is_plain,
        folder=folder,
    )


def _axes(use: Use, constant: Constant) -> tuple[int, int]:
    """Return the axes of output and input channels as one use sees them. Source: the weight layouts of the MIL operations."""
    if use.op.type == "conv_transpose":
        return 1, 0
    if use.op.type != "matmul":
        return 0, 1
    last, before = len(constant.shape) - 1, max(len(constant.shape) - 2, 0)
    transposed = _flag(use, f"transpose_{use.parameter}", constant)
    return (before, last) if transposed == (use.parameter == "y") else (last, before)


def _flag(use: Use, parameter: str, constant: Constant) -> bool:
    if parameter not in use.op.inputs:
        return False
    binding = use.op.inputs[parameter].arguments[0]
    value = binding.value if binding.WhichOneof("binding") == "value" else constant.scope[binding.name].attributes["val"]
    return bool(read_value(value, constant.weights_folder))


def _check_role(constant: Constant, weight: Weight) -> None:
    if constant.mil_type.name not in ("fp16", "fp32"):
        raise SkippedWeight(f"is {constant.mil_type.name}")
    is_weight = any(use.parameter in _WEIGHT_PARAMETERS.get(use.op.type, ()) for use in constant.uses)
    if len(constant.shape) < 2 or (not is_weight and sum(size > 1 for size in constant.shape) < 2):
        raise SkippedWeight("has one value a channel: too few to gain from fewer bits, and too important")
    if not is_weight and holds_whole_numbers(weight):
        raise SkippedWeight("holds whole numbers: indices or a mask")


def _names(constant: Constant) -> tuple[str, ...]:
    """Return the names under which `skip` may list it: its own and those of the operations that use it."""
    return constant.name, constant.output, *(use.op.outputs[0].name for use in constant.uses if use.op.outputs)
