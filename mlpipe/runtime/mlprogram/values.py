"""What flows between the operations of an ML Program: tensors in the graph and constants on the host."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlpipe.runtime.lowered import UnsupportedLayerError
from mlpipe.runtime.onnx_graph import Dim
from mlpipe.weights.mil_types import BY_CODE

STORAGE: dict[str, np.dtype[Any]] = {
    **dict.fromkeys(("fp16", "fp32"), np.dtype(np.float32)),
    **dict.fromkeys(("int8", "uint8", "int16", "uint16", "int32"), np.dtype(np.int32)),
    "uint32": np.dtype(np.int64),
    "bool": np.dtype(np.bool_),
}
"""MIL types -> what the graph holds them in: the three types that ONNX Runtime has nearly all kernels for, and one for constants that are sizes."""

FLOATS = ("fp16", "fp32")


@dataclass(frozen=True)
class TensorType:
    """The declared type of a value."""

    dtype: str
    shape: tuple[Dim, ...] | None
    """None in a dimension that varies, None in its whole where the rank varies."""


@dataclass(frozen=True)
class Tensor:
    """A value of the graph, as operations see it."""

    name: str
    dtype: str
    shape: tuple[Dim, ...]
    value: np.ndarray | None = None
    """What it holds where that is known before the graph runs."""

    @property
    def rank(self) -> int:
        """Number of dimensions."""
        return len(self.shape)

    @property
    def is_float(self) -> bool:
        """Return whether it holds real numbers."""
        return self.dtype in FLOATS

    def axis(self, axis: int) -> int:
        """Return an axis counted from the front. Errors: UnsupportedLayerError where there is none such."""
        if not -self.rank <= axis < max(self.rank, 1):
            raise UnsupportedLayerError(f"there is no axis {axis} among {self.rank} dimensions")
        return axis + self.rank if axis < 0 else axis

    def size(self, axis: int, what: str) -> int:
        """Return a size that the operation has to know.

        Errors: UnsupportedLayerError where it varies; `what` says what it is needed for.
        """
        size = self.shape[axis]
        if not isinstance(size, int):
            raise UnsupportedLayerError(f"{what} needs the size of dimension {axis}, which varies")
        return size


@dataclass(frozen=True, eq=False)
class Constant:
    """A value that is known before the graph runs. It is read when it is asked for and not kept: large ones are held by the graph alone."""

    dtype: str
    read: Callable[[], np.ndarray]

    @property
    def array(self) -> np.ndarray:
        """The value, in numpy's own type; integers of less than a byte unpacked."""
        return self.read()


@dataclass(frozen=True)
class State:
    """A state of the model; operations read and write what it holds."""

    name: str


def agree(found: tuple[Dim, ...], declared: tuple[Dim, ...]) -> bool:
    """Return whether two shapes can be the same: sizes that are not numbers agree with everything."""
    pairs = zip(found, declared, strict=False)
    return len(found) == len(declared) and all(ours == theirs or not isinstance(ours, int) or not isinstance(theirs, int) for ours, theirs in pairs)


def declared_type(value_type: Any) -> TensorType:
    """Return the type of a MIL `ValueType`: a tensor, or a list as the tensor that holds its elements.

    Errors: UnsupportedLayerError for states, dictionaries and other kinds.
    """
    kind = value_type.WhichOneof("type")
    if kind == "listType":
        element = declared_type(value_type.listType.type)
        # The length is what the list starts with; it may grow.
        return TensorType(element.dtype, None if element.shape is None else (None, *element.shape))
    if kind != "tensorType":
        raise UnsupportedLayerError(f"values of the kind {kind} are not supported")
    tensor = value_type.tensorType
    mil_type = BY_CODE.get(tensor.dataType)
    if mil_type is None:
        raise UnsupportedLayerError(f"data type number {tensor.dataType} is not known")
    if tensor.rank < 0 or len(tensor.dimensions) != tensor.rank:
        return TensorType(mil_type.name, None)
    sizes = [int(dim.constant.size) if dim.WhichOneof("dimension") == "constant" else None for dim in tensor.dimensions]
    return TensorType(mil_type.name, tuple(sizes))
