"""Integers of 1 to 8 bits in bytes, in both bit orders that Core ML files use."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

Order = Literal["big", "little"]
"""`big`: most significant bit first, as in NeuralNetworks; `little`: least significant bit first, as in ML Programs."""


def packed_size(count: int, bits: int) -> int:
    """Return how many bytes `count` packed integers take."""
    return (count * bits + 7) // 8


def pack(values: NDArray[np.integer], bits: int, order: Order) -> bytes:
    """Return the values' lowest `bits` bits, one after the other in row-major order, the last byte filled up with zeros."""
    bytes_ = np.ascontiguousarray(values).reshape(-1).astype(np.uint8)
    if bits == 8:
        return bytes_.tobytes()
    columns = np.unpackbits(bytes_[:, None], axis=1, bitorder=order)
    used = columns[:, 8 - bits :] if order == "big" else columns[:, :bits]
    return np.packbits(used.reshape(-1), bitorder=order).tobytes()


def unpack(data: bytes | NDArray[np.uint8], bits: int, count: int, order: Order) -> NDArray[np.uint8]:
    """Return `count` unsigned integers of `bits` bits.

    Shapes: (count,).
    Errors: ValueError where `data` is not exactly as long as that many integers take.
    """
    array = np.frombuffer(data, np.uint8) if isinstance(data, bytes) else data.reshape(-1)
    if array.size != packed_size(count, bits):
        raise ValueError(f"{count} values of {bits} bits take {packed_size(count, bits)} bytes, and there are {array.size}")
    if bits == 8:
        return array
    rows = np.unpackbits(array, count=count * bits, bitorder=order).reshape(count, bits)
    padding = ((0, 0), (8 - bits, 0)) if order == "big" else ((0, 0), (0, 8 - bits))
    return np.packbits(np.pad(rows, padding), axis=1, bitorder=order).reshape(-1)


def sign_extend(values: NDArray[np.uint8], bits: int) -> NDArray[np.int8]:
    """Return two's complement integers of `bits` bits as int8."""
    shift = 8 - bits
    return (values << shift).view(np.int8) >> shift
