"""Sizes of model files on disk."""

from __future__ import annotations

from pathlib import Path

from mlpipe.model_files.read import ModelFile


def size_bytes(path: Path) -> int:
    """Return the bytes of a model file, or of all files of a package."""
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def weight_bytes(model: ModelFile) -> int:
    """Return the bytes of a package's weight files; 0 for a `.mlmodel`, whose weights are part of the one file."""
    return size_bytes(model.weights_folder) if model.weights_folder is not None and model.weights_folder.exists() else 0


def find_model(folder: Path) -> Path:
    """Return the one model file or package in an artifact's folder. Errors: StopIteration where there is none, a bug."""
    return next(path for path in sorted(folder.iterdir()) if path.suffix in (".mlmodel", ".mlpackage"))
