"""Which module reads which kind of source. Adding a kind is one module and one line here."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Protocol, cast
from urllib.parse import unquote, urlsplit

import numpy as np

from mlpipe.errors import RecipeError
from mlpipe.recipe.schema.convert import Convert
from mlpipe.recipe.schema.source import Source

Arrays = dict[str, np.ndarray]
Progress = Callable[[float, float, str], None]

MODULES = {
    "keras": "mlpipe.sources.keras",
    "tensorflow": "mlpipe.sources.tensorflow",
    "coreml": "mlpipe.sources.coreml",
}


class SourceModule(Protocol):
    """What every module of this folder has. `path` is the model inside the source's artifact; `source.modules` are absolute paths."""

    def describe(self, source: Source, path: Path) -> dict[str, Any]:
        """Return the data of description.json, see docs/architecture.md."""

    def predict(self, source: Source, path: Path, feeds: Iterable[Arrays], progress: Progress) -> Iterator[Arrays]:
        """Return the outputs for each set of feeds, both under the source's own names with the batch axis first."""

    def convert(self, source: Source, path: Path, convert: Convert, output: Path) -> dict[str, Any]:
        """Write model.mlmodel or model.mlpackage into `output`; return the data of conversion.json."""


def module_of(source: Source) -> SourceModule:
    """Return the module for a source. Errors: RecipeError for a kind that has none yet."""
    if source.kind not in MODULES:
        known = ", ".join(MODULES)
        raise RecipeError(f"source.{source.kind}: this version of mlpipe cannot read such a model", fix=f"it reads: {known}")
    return cast("SourceModule", importlib.import_module(MODULES[source.kind]))


def file_name(source: Source) -> str:
    """Return the name of the model's file or folder, without what stands before it in its path or URL."""
    location = unquote(urlsplit(source.location).path) if "://" in source.location else source.location
    return location.replace("\\", "/").rstrip("/").rpartition("/")[2]


def model_path(source: Source, artifact: Path) -> Path:
    """Return where the model lies in the artifact of its `source` task."""
    return artifact / "model" / file_name(source)


def with_modules_in(source: Source, folder: Path) -> Source:
    """Return the source with the paths of its Python modules absolute, `folder` being the recipe's."""
    return source.model_copy(update={"modules": [str(folder / module) for module in source.modules]})
