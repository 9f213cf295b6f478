"""Outputs of predictions on disk: one .npz or .json for all, a .png for an image, or a folder with a file for each."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

import numpy as np
from numpy.lib import format as npy_format

from mlpipe.analysis.prediction.result import Prediction
from mlpipe.analysis.prediction.summary import pixels_of_image, plain
from mlpipe.errors import RecipeError
from mlpipe.runtime.features import Feature
from mlpipe.samples.ports import Array

_FIXED_TIME = (1980, 1, 1, 0, 0, 0)
"""Of every member of an .npz: the same outputs are the same bytes."""

_ESCAPED = '/\\:*?"<>|%\0'
"""Characters that file names cannot have everywhere; they are written as %2F."""


class Writer(Protocol):
    """Takes predictions as they are made."""

    def add(self, prediction: Prediction) -> None:
        """Take one."""

    def close(self) -> None:
        """Write what is not yet written."""


def writer_for(path: Path, outputs: tuple[Feature, ...], *, single: bool) -> Writer:
    """Return what writes predictions there; the name's ending says in which form.

    Errors: RecipeError for an ending that says nothing, and for a .png where there is not one image.
    """
    suffix = path.suffix.lower()
    if path.is_dir() or not suffix:
        return _Folder(path, single=single)
    if suffix == ".npz":
        return _Npz(path, single=single)
    if suffix == ".json":
        return _Json(path, single=single)
    if suffix == ".png":
        images = [feature for feature in outputs if feature.kind == "image" and feature.color != "grayscale_float16"]
        if len(images) == 1 and single:
            return _Png(path, images[0].name)
        why = f"there {'is no image of 8 bits' if not images else 'are several images'} to write" if single else "samples have an image each"
        raise RecipeError(f"--output {path}: a .png holds one image", why=why, fix="name a folder")
    raise RecipeError(f"--output {path}: {suffix} is no form that outputs are written in", fix="name a .npz, a .json, a .png (for one image), or a folder")


def as_array(value: Any) -> Array:
    """Return an output as an array: scores as a vector in label order, an image as its pixels, a label as text."""
    if isinstance(value, Mapping):
        return np.asarray(list(value.values()))
    return pixels_of_image(value) if hasattr(value, "getbands") else np.asarray(value)


def _values(prediction: Prediction) -> dict[str, Any]:
    return {**prediction.outputs, **prediction.taps}


@dataclass
class _Npz:
    path: Path
    single: bool
    _samples: list[str] = field(default_factory=list)
    _arrays: dict[str, list[Array]] = field(default_factory=dict)

    def add(self, prediction: Prediction) -> None:
        """Keep the outputs of a prediction that was made."""
        if prediction.error is not None:
            return
        self._samples.append(prediction.sample or "")
        for name, value in _values(prediction).items():
            self._arrays.setdefault(name, []).append(as_array(value))

    def close(self) -> None:
        """Write the arrays; those of several samples along a first axis."""
        arrays = {name: values[0] if self.single else _stacked(name, values) for name, values in self._arrays.items()}
        if not self.single:
            arrays.setdefault("samples", np.asarray(self._samples))
        _parent(self.path)
        with zipfile.ZipFile(self.path, "w") as archive:
            for name, array in arrays.items():
                with archive.open(zipfile.ZipInfo(f"{name}.npy", _FIXED_TIME), "w", force_zip64=True) as member:
                    npy_format.write_array(member, array, allow_pickle=False)


def _stacked(name: str, values: list[Array]) -> Array:
    if len({value.shape for value in values}) > 1:
        raise RecipeError(f"output {name!r} has different shapes for different samples", fix="name a folder or a .json instead of an .npz")
    return np.stack(values)


@dataclass
class _Json:
    path: Path
    single: bool
    _entries: list[dict[str, Any]] = field(default_factory=list)

    def add(self, prediction: Prediction) -> None:
        """Keep a prediction, or why there is none."""
        outputs = {name: plain(as_array(value) if hasattr(value, "getbands") else value) for name, value in _values(prediction).items()}
        result = {"error": str(prediction.error)} if prediction.error else {"outputs": outputs}
        self._entries.append(result if self.single else {"sample": prediction.sample, **result})

    def close(self) -> None:
        """Write the one prediction, or the list of them."""
        _parent(self.path)
        data = self._entries[0] if self.single else {"samples": self._entries}
        self.path.write_text(json.dumps(data, allow_nan=False) + "\n", encoding="utf-8")


@dataclass
class _Png:
    path: Path
    output: str

    def add(self, prediction: Prediction) -> None:
        """Write the image."""
        _parent(self.path)
        _save_image(prediction.outputs[self.output], self.path)

    def close(self) -> None:
        """Do nothing: it is written."""


@dataclass
class _Folder:
    path: Path
    single: bool

    def add(self, prediction: Prediction) -> None:
        """Write each output to a file of its name, and what is neither array nor image to outputs.json; of a sample, in a folder of its own."""
        if prediction.error is not None:
            return
        folder = self.path if self.single else self.path / _safe_path(prediction.sample or "")
        _parent(folder / "outputs.json")
        others = {}
        for name, value in _values(prediction).items():
            if isinstance(value, np.ndarray):
                with (folder / f"{_safe(name)}.npy").open("wb") as file:
                    npy_format.write_array(file, value, allow_pickle=False)
            elif hasattr(value, "getbands"):
                _save_image(value, folder / f"{_safe(name)}.png")
            else:
                others[name] = plain(value)
        if others:
            (folder / "outputs.json").write_text(json.dumps(others, indent=1, allow_nan=False) + "\n", encoding="utf-8")

    def close(self) -> None:
        """Do nothing: all of it is written."""


def _save_image(image: Any, path: Path) -> None:
    """Write pixels as a PNG; floats, which it cannot hold, as a .npy beside it."""
    if image.mode == "F":
        with path.with_suffix(".npy").open("wb") as file:
            npy_format.write_array(file, np.asarray(image), allow_pickle=False)
    else:
        image.convert("RGB" if image.mode == "RGBA" else image.mode).save(path)


def _parent(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)


def _safe(name: str) -> str:
    escaped = "".join(f"%{ord(letter):02X}" if letter in _ESCAPED else letter for letter in name)
    return escaped.replace(".", "%2E") if escaped.strip(".") == "" else escaped


def _safe_path(sample: str) -> PurePosixPath:
    return PurePosixPath(*(_safe(part) for part in PurePosixPath(sample).parts))
