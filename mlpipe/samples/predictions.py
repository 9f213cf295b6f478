"""Outputs of a model on a sample set: `outputs.json` and its shards, written and read a shard at a time."""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib import format as npy_format

from mlpipe.errors import SampleUnreadable
from mlpipe.samples.ports import Array

SHARD_BYTES = 64 << 20
_FIXED_TIME = (1980, 1, 1, 0, 0, 0)
"""Of every member of an .npz: the same outputs are the same bytes."""


@dataclass
class PredictionWriter:
    """Collects outputs and writes them in shards; `close` writes the manifest."""

    folder: Path
    shard_bytes: int = SHARD_BYTES
    ids: list[str] = field(default_factory=list)
    errors: dict[str, str] = field(default_factory=dict)
    _shards: list[dict[str, Any]] = field(default_factory=list)
    _pending: list[dict[str, Array]] = field(default_factory=list)
    _pending_bytes: int = 0
    _outputs: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add(self, sample: str, outputs: Mapping[str, Array]) -> None:
        """Take one sample's outputs. A leading axis of one, the batch, is dropped, so that every framework's outputs have one shape."""
        arrays = {name: without_batch(np.asarray(value)) for name, value in outputs.items()}
        if self._pending and not _alike(self._pending[0], arrays):
            self._flush()
        self._note(arrays)
        self.ids.append(sample)
        self._pending.append(arrays)
        self._pending_bytes += sum(value.nbytes for value in arrays.values())
        if self._pending_bytes >= self.shard_bytes:
            self._flush()

    def fail(self, sample: str, message: str) -> None:
        """Record that a sample has no outputs."""
        self.errors[sample] = message

    def close(self, **extra: Any) -> int:
        """Write what is pending and the manifest with these further entries. Returns how many samples have outputs."""
        self._flush()
        manifest = {"samples": self.ids, "outputs": self._outputs, "shards": self._shards, "errors": self.errors, **extra}
        (self.folder / "outputs.json").write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
        return len(self.ids)

    def _note(self, arrays: Mapping[str, Array]) -> None:
        """Keep each output's type and shape; a size that varies between samples is null."""
        for name, value in arrays.items():
            noted = self._outputs.setdefault(name, {"dtype": value.dtype.name, "shape": list(value.shape)})
            if len(noted["shape"]) == value.ndim:
                noted["shape"] = [old if old == new else None for old, new in zip(noted["shape"], value.shape, strict=True)]

    def _flush(self) -> None:
        if not self._pending:
            return
        path = self.folder / f"shard-{len(self._shards):05d}.npz"
        with zipfile.ZipFile(path, "w") as archive:
            for name in self._pending[0]:
                stacked = np.stack([arrays[name] for arrays in self._pending])
                with archive.open(zipfile.ZipInfo(f"{name}.npy", _FIXED_TIME), "w", force_zip64=True) as member:
                    npy_format.write_array(member, stacked, allow_pickle=False)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        self._shards.append({"file": path.name, "first": len(self.ids) - len(self._pending), "count": len(self._pending), "sha256": digest})
        self._pending, self._pending_bytes = [], 0


@dataclass(frozen=True)
class Predictions:
    """A set of outputs on disk."""

    folder: Path
    manifest: Mapping[str, Any]

    @property
    def ids(self) -> list[str]:
        """Return the samples that have outputs, in order."""
        return list(self.manifest["samples"])

    @property
    def errors(self) -> dict[str, str]:
        """Return why other samples have none."""
        return dict(self.manifest["errors"])

    @property
    def outputs(self) -> list[str]:
        """Return the outputs' names."""
        return list(self.manifest["outputs"])

    def rows(self) -> Iterator[tuple[str, dict[str, Array]]]:
        """Yield (sample, outputs) in order, holding one shard."""
        for shard in self.manifest["shards"]:
            with np.load(self.folder / shard["file"], allow_pickle=False) as arrays:
                loaded = {name: arrays[name] for name in arrays.files}
            for offset in range(shard["count"]):
                yield self.manifest["samples"][shard["first"] + offset], {name: value[offset] for name, value in loaded.items()}


def open_predictions(folder: Path) -> Predictions:
    """Return the outputs in a folder. Errors: SampleUnreadable where it holds none."""
    try:
        return Predictions(folder, json.loads((folder / "outputs.json").read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        raise SampleUnreadable("the outputs cannot be read", where=str(folder / "outputs.json"), why=str(error)) from error


def without_batch(value: Array) -> Array:
    """Return an output without its leading axis where that is one sample long."""
    return value[0] if value.ndim and value.shape[0] == 1 else value


def _alike(first: Mapping[str, Array], second: Mapping[str, Array]) -> bool:
    return first.keys() == second.keys() and all(first[name].shape == second[name].shape and first[name].dtype == second[name].dtype for name in first)
