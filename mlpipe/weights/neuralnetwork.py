"""The weights of NeuralNetworks: `WeightParams` to arrays.

Source: the comments of `mlmodel/format/NeuralNetwork.proto`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpipe.errors import ModelFileInvalid
from mlpipe.weights.bits import unpack

FloatArray = NDArray[np.float32]


def stored_as(params: Any) -> str:
    """Return `float32`, `float16`, `linear`, `table`, `int8` (for int8 dynamic quantization) or `empty`."""
    if len(params.floatValue):
        return "float32"
    if params.float16Value:
        return "float16"
    if params.int8RawValue:
        return "int8"
    if params.rawValue:
        return "table" if params.quantization.WhichOneof("QuantizationType") == "lookupTableQuantization" else "linear"
    return "empty"


def stored_bits(params: Any) -> int:
    """Return the bits a value takes in the file, 0 where there is none."""
    kind = stored_as(params)
    return {"float32": 32, "float16": 16, "empty": 0, "int8": 8}.get(kind) or int(params.quantization.numberOfBits) * (kind != "empty")


def decode(params: Any, shape: Sequence[int], *, channel_axis: int = 0) -> FloatArray:
    """Return the weight as Core ML computes with it.

    Shapes: `shape`, row-major as stored. `channel_axis` is the axis that per-channel scales run along: 0, and 1 for deconvolutions.
    Errors: ModelFileInvalid where the bytes do not fit the shape or the quantization parameters are not ones that the format allows.
    """
    shape = tuple(int(size) for size in shape)
    try:
        return _decode(params, shape, channel_axis).reshape(shape).astype(np.float32, copy=False)
    except ValueError as error:
        raise ModelFileInvalid(f"a weight of shape {list(shape)} cannot be decoded", why=str(error)) from error


def floats(repeated: Any) -> FloatArray:
    """Return a `repeated float` field as an array."""
    return np.array(repeated, np.float32)


def _decode(params: Any, shape: tuple[int, ...], channel_axis: int) -> NDArray[Any]:
    count = math.prod(shape)
    kind = stored_as(params)
    if kind == "float32":
        return floats(params.floatValue)
    if kind == "float16":
        return np.frombuffer(params.float16Value, "<f2")
    if kind == "empty":
        if count:
            raise ValueError("it holds no values")
        return np.zeros(0, np.float32)
    if kind == "int8":
        levels = np.frombuffer(params.int8RawValue, np.int8)
        return _linear(levels.reshape(shape), params.quantization.linearQuantization, channel_axis)
    bits = int(params.quantization.numberOfBits)
    if not 1 <= bits <= 8:
        raise ValueError(f"it says {bits} bits, and the format holds 1 to 8")
    levels_unsigned = unpack(params.rawValue, bits, count, "big")
    if kind == "linear":
        return _linear(levels_unsigned.reshape(shape), params.quantization.linearQuantization, channel_axis)
    table = floats(params.quantization.lookupTableQuantization.floatValue)
    if table.size != 2**bits:
        raise ValueError(f"its table has {table.size} entries, and {bits} bits need {2**bits}")
    return np.asarray(table[levels_unsigned])


def _linear(levels: NDArray[Any], quantization: Any, channel_axis: int) -> FloatArray:
    """Return level * scale + bias, computed in float32; an absent bias is zero."""
    scale, bias = floats(quantization.scale), floats(quantization.bias)
    values = levels.astype(np.float32) * _along(scale, levels.shape, channel_axis, "scales")
    return values + _along(bias, levels.shape, channel_axis, "biases") if bias.size else values


def _along(parameter: FloatArray, shape: tuple[int, ...], axis: int, what: str) -> FloatArray:
    if parameter.size == 1:
        return parameter.reshape((1,) * len(shape))
    if not shape or parameter.size != shape[axis]:
        raise ValueError(f"it has {parameter.size} {what}; the shape allows one, or one per channel of axis {axis}")
    return parameter.reshape([-1 if index == axis else 1 for index in range(len(shape))])
