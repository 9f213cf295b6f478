"""An ONNX model on disk: one file, or a file and its weights beside it where protobuf's 2 GB would not hold them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import onnx

LARGEST_INLINE = 1 << 30
"""Weights of more bytes than this stand in a file of their own; protobuf itself ends at 2 GB."""

ALIGNMENT = 4096
"""Where a tensor starts in the weights' file: pages can then be mapped."""


def write_onnx(model: onnx.ModelProto, external: Mapping[str, np.ndarray], path: Path, *, external_data: bool = False) -> Path | None:
    """Write a model and its large constants, whole or not at all, and return the weights' file where there is one.

    `external` are the values of the initializers that the model names as external. The same model gives the same bytes.
    Errors: onnx's ValidationError where the model is not valid, which is a defect of the lowering.
    """
    import onnx

    beside = external_data or sum(value.nbytes for value in external.values()) > LARGEST_INLINE
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        data = Path(folder, f"{path.name}.data")
        if beside:
            _write_data(model, external, data)
        else:
            for tensor in _external_tensors(model):
                _inline(tensor, external[tensor.name])
        written = Path(folder, path.name)
        written.write_bytes(model.SerializeToString(deterministic=True))
        onnx.checker.check_model(str(written))
        if beside:
            data.replace(path.with_name(data.name))
        written.replace(path)
    return path.with_name(data.name) if beside else None


def _external_tensors(model: onnx.ModelProto) -> Iterator[Any]:
    """Yield the initializers whose values are not in the model; all constants are of the outermost graph."""
    import onnx

    yield from (tensor for tensor in model.graph.initializer if tensor.data_location == onnx.TensorProto.EXTERNAL)


def _inline(tensor: Any, value: np.ndarray) -> None:
    tensor.ClearField("external_data")
    tensor.ClearField("data_location")
    tensor.raw_data = _little_endian(value).tobytes()


def _write_data(model: onnx.ModelProto, external: Mapping[str, np.ndarray], path: Path) -> None:
    with path.open("wb") as file:
        for tensor in _external_tensors(model):
            value = external[tensor.name]
            file.seek(-file.tell() % ALIGNMENT, os.SEEK_CUR)
            fields = {"location": path.name, "offset": file.tell(), "length": value.nbytes}
            tensor.ClearField("external_data")
            for key, entry in fields.items():
                tensor.external_data.add(key=key, value=str(entry))
            _little_endian(value).tofile(file)


def _little_endian(value: np.ndarray) -> np.ndarray:
    """Return the array as ONNX stores it: row by row, lowest byte first."""
    return np.ascontiguousarray(value, value.dtype.newbyteorder("<"))
