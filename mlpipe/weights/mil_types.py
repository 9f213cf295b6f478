"""The data types of ML Programs and how numpy holds them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpipe.weights.bits import sign_extend, unpack


@dataclass(frozen=True)
class MilType:
    """A data type: its name in MIL text, its bits in a file, the numpy type that holds it unpacked, its codes in both containers."""

    name: str
    bits: int
    numpy: np.dtype[Any]
    code: int
    """`DataType` in MIL.proto."""
    blob_code: int | None
    """`BlobDataType` in weight.bin; None where that file cannot hold it."""

    @property
    def is_float(self) -> bool:
        """Return whether it holds real numbers."""
        return self.name.startswith(("fp", "bf"))


def _types() -> tuple[MilType, ...]:
    rows = (
        ("bool", 8, "?", 1, None),
        ("string", 0, "O", 2, None),
        ("fp16", 16, "<f2", 10, 1),
        ("fp32", 32, "<f4", 11, 2),
        ("fp64", 64, "<f8", 12, None),
        ("bf16", 16, "<f4", 13, 5),
        ("int8", 8, "i1", 21, 4),
        ("int16", 16, "<i2", 22, 6),
        ("int32", 32, "<i4", 23, 14),
        ("int64", 64, "<i8", 24, None),
        ("int4", 4, "i1", 25, 8),
        ("uint8", 8, "u1", 31, 3),
        ("uint16", 16, "<u2", 32, 7),
        ("uint32", 32, "<u4", 33, 15),
        ("uint64", 64, "<u8", 34, None),
        ("uint4", 4, "u1", 35, 11),
        ("uint2", 2, "u1", 36, 10),
        ("uint1", 1, "u1", 37, 9),
        ("uint6", 6, "u1", 38, 13),
        ("uint3", 3, "u1", 39, 12),
        ("fp8e4m3fn", 8, "<f4", 40, 16),
        ("fp8e5m2", 8, "<f4", 41, 17),
    )
    return tuple(MilType(name, bits, np.dtype(held), code, blob) for name, bits, held, code, blob in rows)


BY_NAME = {mil_type.name: mil_type for mil_type in _types()}
BY_CODE = {mil_type.code: mil_type for mil_type in _types()}


def from_bytes(data: bytes | memoryview | NDArray[np.uint8], mil_type: MilType, count: int) -> NDArray[Any]:
    """Return the `count` values that the bytes hold, little-endian; types of less than a byte are unpacked.

    Shapes: (count,). bfloat16 and the 8-bit floats come as float32, which holds each of their values.
    Errors: ValueError where the length does not fit.
    """
    raw = np.frombuffer(data, np.uint8)
    if mil_type.bits < 8:
        levels = unpack(raw, mil_type.bits, count, "little")
        return sign_extend(levels, mil_type.bits) if mil_type.name.startswith("int") else levels
    if raw.size * 8 != count * mil_type.bits:
        raise ValueError(f"{count} values of {mil_type.name} take {count * mil_type.bits // 8} bytes, and there are {raw.size}")
    if mil_type.name == "bf16":
        return (raw.view("<u2").astype(np.uint32) << 16).view(np.float32)
    if mil_type.name.startswith("fp8"):
        return _float8(raw, exponent_bits=int(mil_type.name[4]), has_infinities=mil_type.name == "fp8e5m2")
    return raw.view(mil_type.numpy)


def _float8(raw: NDArray[np.uint8], *, exponent_bits: int, has_infinities: bool) -> NDArray[np.float32]:
    """Return the values of 8-bit floats. Source: the OCP 8-bit floating point specification, section 5."""
    mantissa_bits = 7 - exponent_bits
    bias = 2 ** (exponent_bits - 1) - 1
    codes = np.arange(256)
    exponent = (codes >> mantissa_bits) & (2**exponent_bits - 1)
    mantissa = (codes & (2**mantissa_bits - 1)) / 2**mantissa_bits
    magnitude = np.where(exponent == 0, mantissa * 2.0 ** (1 - bias), (1 + mantissa) * 2.0 ** (exponent - bias))
    highest = exponent == 2**exponent_bits - 1
    if has_infinities:
        magnitude = np.where(highest, np.where(mantissa == 0, np.inf, np.nan), magnitude)
    else:
        magnitude = np.where(highest & ((codes & (2**mantissa_bits - 1)) == 2**mantissa_bits - 1), np.nan, magnitude)
    return np.asarray(np.where(codes >= 128, -magnitude, magnitude).astype(np.float32)[raw])
