"""Which kind of source a file is, from its name and what lies in it."""

from __future__ import annotations

from pathlib import Path

from mlpipe.errors import RecipeError
from mlpipe.recipe.schema.source import SourceKind

_BY_SUFFIX: dict[str, SourceKind] = {
    ".keras": "keras",
    ".h5": "keras",
    ".hdf5": "keras",
    ".pb": "tensorflow",
    ".meta": "tensorflow",
    ".mlmodel": "coreml",
    ".mlpackage": "coreml",
    ".onnx": "onnx",
}


def source_kind(path: Path) -> SourceKind:
    """Return the kind of a model file or folder. Errors: RecipeError where nothing says so."""
    if (path / "saved_model.pb").exists() or (path / "saved_model.pbtxt").exists():
        return "tensorflow"
    kind = _BY_SUFFIX.get(path.suffix.lower())
    if kind is None:
        known = ", ".join(_BY_SUFFIX)
        raise RecipeError("this is no model file that mlpipe knows", where=str(path), fix=f"give a SavedModel folder or a file ending in {known}")
    return kind
