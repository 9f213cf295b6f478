"""Samples in .npy and .npz files, read one at a time, so that a set may be larger than memory."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy_format

from mlpipe.errors import SampleUnreadable
from mlpipe.samples.ports import Array


@dataclass(frozen=True)
class ArrayFile:
    """One array whose first axis are the samples."""

    path: Path
    key: str | None
    """The array's name in an .npz; None for a .npy."""
    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    def rows(self) -> Iterator[Array]:
        """Yield the samples in order, holding one at a time."""
        if self.key is None:
            yield from np.load(self.path, mmap_mode="r", allow_pickle=False)
            return
        with zipfile.ZipFile(self.path) as archive, archive.open(f"{self.key}.npy") as member:
            _, fortran_order, _ = _header(member)
            if fortran_order and len(self.shape) > 1:
                with np.load(self.path, allow_pickle=False) as arrays:  # samples are scattered over the whole member: it has to be read at once
                    yield from arrays[self.key]
                return
            size = self.dtype.itemsize * int(np.prod(self.shape[1:], dtype=np.int64))
            for _ in range(self.shape[0]):
                yield np.frombuffer(_exactly(member, size, self), self.dtype).reshape(self.shape[1:])


def array_keys(path: Path) -> list[str] | None:
    """Return the names of the arrays in an .npz; None for a .npy. Errors: SampleUnreadable for anything else."""
    try:
        with path.open("rb") as file:
            if file.read(6) == npy_format.MAGIC_PREFIX:
                return None
        with zipfile.ZipFile(path) as archive:
            return [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
    except (OSError, zipfile.BadZipFile) as error:
        raise SampleUnreadable(f"{path.name} is no .npy or .npz", why=str(error)) from error


def open_array(path: Path, key: str | None) -> ArrayFile:
    """Return an array by its header, without its values.

    Errors: SampleUnreadable for a missing key, Python objects, text, complex numbers and arrays without a first axis.
    """
    keys = array_keys(path)
    if keys is None and key is not None:
        raise SampleUnreadable(f"{path.name} is a .npy, which has no key {key!r}", fix="save an .npz")
    if keys is not None and key not in keys:
        raise SampleUnreadable(f"{path.name} has no array {key!r}", fix=f"its arrays are: {', '.join(keys)}; `keys:` maps inputs to them")
    try:
        if key is None:
            with path.open("rb") as file:
                shape, _, dtype = _header(file)
        else:
            with zipfile.ZipFile(path) as archive, archive.open(f"{key}.npy") as member:
                shape, _, dtype = _header(member)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise SampleUnreadable(f"{path.name} is damaged", why=str(error)) from error
    label = path.name if key is None else f"{path.name}: {key}"
    if dtype.hasobject or dtype.kind not in "fiub":
        raise SampleUnreadable(f"{label} holds {dtype}, not numbers")
    if not shape:
        raise SampleUnreadable(f"{label} is a single number; samples lie along the first axis")
    return ArrayFile(path, key, shape, dtype)


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    version = npy_format.read_magic(file)
    read = npy_format.read_array_header_1_0 if version == (1, 0) else npy_format.read_array_header_2_0
    shape, fortran_order, dtype = read(file)
    return tuple(shape), bool(fortran_order), dtype


def _exactly(member: IO[bytes], size: int, array: ArrayFile) -> bytes:
    try:
        data = member.read(size)
    except (OSError, EOFError, zipfile.BadZipFile) as error:
        raise SampleUnreadable(f"{array.path.name}: {array.key} is damaged", why=str(error)) from error
    if len(data) != size:
        raise SampleUnreadable(f"{array.path.name}: {array.key} ends before its last sample")
    return data
