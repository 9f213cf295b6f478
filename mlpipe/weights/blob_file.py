"""`weight.bin`, the file beside an ML Program that holds its large constants.

Source: the layout in `mlmodel/src/MILBlob/Blob/StorageFormat.hpp`: a 64-byte header, then 64-byte records, each pointing to its data.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpipe.errors import ModelFileInvalid
from mlpipe.weights.mil_types import BY_NAME, MilType, from_bytes

_RECORD = struct.Struct("<IIQQQ")
_SENTINEL = 0xDEADBEEF
_PREFIX = "@model_path/weights/"
_WRITERS = {"fp32": "write_float_data", "fp16": "write_fp16_data"}


def resolve(file_name: str, weights_folder: Path | None) -> Path:
    """Return the file that a program's `@model_path/weights/...` means. Errors: ModelFileInvalid where it is not there."""
    if weights_folder is None:
        raise ModelFileInvalid("the program's constants lie in a file that the model does not bring", where=file_name)
    relative = Path(file_name.removeprefix(_PREFIX))
    if not file_name.startswith(_PREFIX) or relative.is_absolute() or ".." in relative.parts:
        raise ModelFileInvalid("the program names a weight file outside its package", where=file_name)
    path = weights_folder / relative
    if not path.is_file():
        raise ModelFileInvalid("the package lacks its weight file", where=str(path))
    return path


def read_blob(path: Path, offset: int, mil_type: MilType, count: int) -> NDArray[Any]:
    """Return the `count` values whose record stands at `offset`.

    Shapes: (count,).
    Errors: ModelFileInvalid where no such record, or another type or size, stands there, or the file ends too early.
    """
    length = path.stat().st_size
    if offset + _RECORD.size > length:
        raise ModelFileInvalid("the weight file is truncated", where=str(path), why=f"a constant should start at byte {offset}")
    with path.open("rb") as file:
        file.seek(offset)
        record = file.read(_RECORD.size)
        sentinel, code, size, data_offset, _ = _RECORD.unpack(record)
        if sentinel != _SENTINEL or code != mil_type.blob_code:
            raise ModelFileInvalid("the weight file does not fit its program", where=str(path), why=f"no {mil_type.name} constant starts at byte {offset}")
        # Before memory is taken: a damaged record may claim any size.
        if data_offset + size > os.fstat(file.fileno()).st_size:
            raise ModelFileInvalid("the weight file is truncated", where=str(path), why=f"the constant at byte {offset} is cut off")
        file.seek(data_offset)
        data = np.fromfile(file, np.uint8, size)
    try:
        return from_bytes(data, mil_type, count)
    except ValueError as error:
        raise ModelFileInvalid("the weight file does not fit its program", where=str(path), why=str(error)) from error


class BlobWriter:
    """Writes one weight file, constant by constant; the same calls give the same bytes."""

    def __init__(self, path: Path) -> None:
        from mlpipe.model_files.protobuf import blob_storage

        path.parent.mkdir(parents=True, exist_ok=True)
        self.file_name = _PREFIX + path.name
        self._writer = blob_storage()._BlobStorageWriter(str(path))  # noqa: SLF001 - the only writer there is

    def write(self, values: NDArray[Any], type_name: str) -> int:
        """Return the offset of the record that now holds the values. Errors: ModelFileInvalid for a type that the file cannot hold."""
        mil_type = BY_NAME[type_name]
        method = getattr(self._writer, _WRITERS.get(type_name, f"write_{type_name}_data"), None)
        if method is None or mil_type.blob_code is None:
            raise ModelFileInvalid(f"a weight file cannot hold {type_name} constants")
        flat = np.ascontiguousarray(values, mil_type.numpy).reshape(-1)
        return int(method(flat.view(np.uint16) if type_name == "fp16" else flat))
