"""The constants of ML Programs: values in the protobuf or in `weight.bin`, and the `constexpr_*` operations that expand them.

Source: the comments of `mlmodel/format/MIL.proto`, and coremltools' definitions of the iOS16 and iOS18 `constexpr_*` operations.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpipe.errors import ModelFileInvalid, NotExecutable
from mlpipe.weights.bits import unpack
from mlpipe.weights.blob_file import read_blob, resolve
from mlpipe.weights.blocks import spread
from mlpipe.weights.mil_types import BY_CODE, MilType, from_bytes

Array = NDArray[Any]


def read_value(value: Any, weights_folder: Path | None) -> Array:
    """Return the constant that a MIL `Value` stands for; 4-bit and smaller integers come unpacked, as int8 or uint8.

    Shapes: the tensor's own; a list or tuple of scalars comes as a vector, a dictionary of scalars as pairs of key and value.
    Errors: ModelFileInvalid where the bytes do not fit the type or the weight file.
    """
    kind = value.type.WhichOneof("type")
    if kind == "listType":
        return _vector(value.immediateValue.list.values, weights_folder)
    if kind == "tupleType":
        return _vector(value.immediateValue.tuple.values, weights_folder)
    if kind == "dictionaryType":
        pairs = value.immediateValue.dictionary.values
        return np.stack([_vector([pair.key for pair in pairs], weights_folder), _vector([pair.value for pair in pairs], weights_folder)], axis=1, dtype=object)
    if kind != "tensorType":
        raise ModelFileInvalid(f"a constant of the type {kind} is not known")
    tensor = value.type.tensorType
    mil_type = BY_CODE.get(tensor.dataType)
    if mil_type is None:
        raise ModelFileInvalid(f"a constant of the data type {tensor.dataType} is not known")
    shape = tuple(int(dimension.constant.size) for dimension in tensor.dimensions)
    count = math.prod(shape)
    if value.WhichOneof("value") == "blobFileValue":
        blob = value.blobFileValue
        return read_blob(resolve(blob.fileName, weights_folder), blob.offset, mil_type, count).reshape(shape)
    field = value.immediateValue.tensor.WhichOneof("value")
    stored: Any = getattr(value.immediateValue.tensor, field).values if field else []
    try:
        if field == "bytes":
            return from_bytes(stored, mil_type, count).reshape(shape)
        return _held(np.array(stored), mil_type).reshape(shape)
    except (ValueError, OverflowError, TypeError) as error:
        raise ModelFileInvalid(f"a {mil_type.name} constant of shape {list(shape)} cannot be read", why=str(error)) from error


def _held(stored: Array, mil_type: MilType) -> Array:
    values = stored.astype(mil_type.numpy)
    if stored.dtype.kind == "i" and not np.array_equal(values, stored):
        raise ValueError(f"its numbers are none of {mil_type.name}")
    return values


def _vector(items: Sequence[Any], weights_folder: Path | None) -> Array:
    arrays = [read_value(item, weights_folder) for item in items]
    if any(array.size != 1 for array in arrays):
        raise ModelFileInvalid("a list of tensors is no constant that mlpipe knows", why="its elements are not single values")
    numbers = [array.reshape(-1)[0] for array in arrays]
    return np.array(numbers, arrays[0].dtype if len({array.dtype for array in arrays}) == 1 else object)


def decode_constexpr(op_type: str, inputs: Mapping[str, Array | int | float | str]) -> tuple[Array, ...]:
    """Return the outputs of a `constexpr_*` operation, given its inputs by name (in iOS16 programs: its attributes).

    An operation of iOS18 is told from its namesake of iOS16 by the inputs it has. Arithmetic is in float32, rounded once to the output's type.
    Errors: NotExecutable for an operation that is not known; ModelFileInvalid where inputs do not fit each other.
    """
    decoder = _DECODERS.get(op_type)
    if decoder is None:
        raise NotExecutable(f"the operation {op_type} is not known", fix="mlpipe knows the constexpr operations up to iOS18")
    try:
        outputs = decoder(**{name: np.asarray(value) for name, value in inputs.items()})
    except (ValueError, IndexError, TypeError) as error:
        raise ModelFileInvalid(f"the inputs of {op_type} do not fit each other", why=str(error)) from error
    return outputs if isinstance(outputs, tuple) else (outputs,)


def _affine_dequantize(quantized_data: Array, zero_point: Array, scale: Array, axis: Array) -> Array:
    along = [-1 if index == int(axis) % quantized_data.ndim else 1 for index in range(quantized_data.ndim)]
    steps = quantized_data.astype(np.float32) - zero_point.astype(np.float32).reshape(along if zero_point.ndim else ())
    return np.asarray(steps * scale.astype(np.float32).reshape(along if scale.ndim else ())).astype(scale.dtype)


def _cast(source_val: Array, output_dtype: Array) -> Array:
    if str(output_dtype) != "fp32":
        raise ValueError(f"it casts to {output_dtype}, and only fp32 is defined")
    return source_val.astype(np.float32)


def _lut_to_dense(indices: Array, lut: Array, shape: Array | None = None, vector_axis: Array | None = None) -> Array:
    if shape is not None:  # iOS16: one table, packed indices
        sizes = tuple(int(size) for size in shape)
        bits = _bits_of(lut.size)
        return np.asarray(lut[unpack(indices, bits, math.prod(sizes), "little")]).reshape(sizes)
    entries, vector = lut.shape[-2:]
    _bits_of(entries)
    if lut.ndim != indices.ndim + 2 or any(size % tables for size, tables in zip(indices.shape, lut.shape, strict=False)):
        raise ValueError(f"tables of shape {list(lut.shape)} do not divide indices of shape {list(indices.shape)}")
    which_table = np.ix_(*(np.arange(size) // (size // tables) for size, tables in zip(indices.shape, lut.shape, strict=False)))
    picked = lut[(*which_table, indices)]
    if vector == 1:
        return np.asarray(picked[..., 0])
    if vector_axis is None:
        raise ValueError("a table of vectors needs vector_axis")
    axis = int(vector_axis) % indices.ndim
    moved = np.moveaxis(picked, -1, axis + 1)
    return np.asarray(moved.reshape([size * vector if index == axis else size for index, size in enumerate(indices.shape)]))


def _sparse_to_dense(nonzero_data: Array, mask: Array, shape: Array | None = None) -> Array:
    if shape is not None:  # iOS16: a packed mask
        sizes = tuple(int(size) for size in shape)
        mask = unpack(mask, 1, math.prod(sizes), "little").reshape(sizes)
    if np.count_nonzero(mask) != nonzero_data.size:
        raise ValueError(f"the mask has {np.count_nonzero(mask)} ones for {nonzero_data.size} values")
    dense = np.zeros(mask.shape, nonzero_data.dtype)
    dense[mask != 0] = nonzero_data
    return dense


def _blockwise_shift_scale(data: Array, scale: Array, offset: Array | None = None) -> Array:
    steps = data.astype(np.float32)
    if offset is not None:
        steps = steps - spread(offset.astype(np.float32), data.shape)
    return (steps * spread(scale.astype(np.float32), data.shape)).astype(scale.dtype)


def _lut_to_sparse(indices_mask: Array, indices_nonzero_data: Array, lut: Array, vector_axis: Array | None = None) -> tuple[Array, Array]:
    dense = _lut_to_dense(_sparse_to_dense(indices_nonzero_data, indices_mask), lut, vector_axis=vector_axis)
    mask = indices_mask if lut.shape[-1] == 1 or vector_axis is None else np.repeat(indices_mask, lut.shape[-1], axis=int(vector_axis))
    return mask, dense[mask != 0]


def _sparse_blockwise_shift_scale(data_mask: Array, nonzero_data: Array, scale: Array, offset: Array | None = None) -> tuple[Array, Array]:
    dense = _blockwise_shift_scale(_sparse_to_dense(nonzero_data, data_mask), scale, offset)
    return data_mask, dense[data_mask != 0]


def _bits_of(entries: int) -> int:
    bits = entries.bit_length() - 1
    if entries != 2**bits or not 1 <= bits <= 8:
        raise ValueError(f"a table of {entries} entries is none of 1 to 8 bits")
    return bits


_DECODERS: dict[str, Callable[..., Array | tuple[Array, ...]]] = {
    "constexpr_affine_dequantize": _affine_dequantize,
    "constexpr_blockwise_shift_scale": _blockwise_shift_scale,
    "constexpr_cast": _cast,
    "constexpr_lut_to_dense": _lut_to_dense,
    "constexpr_lut_to_sparse": _lut_to_sparse,
    "constexpr_sparse_blockwise_shift_scale": _sparse_blockwise_shift_scale,
    "constexpr_sparse_to_dense": _sparse_to_dense,
}
