"""TensorFlow models: SavedModel folders of TensorFlow 1 and 2, frozen graphs, and checkpoints with their graph."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from mlpipe.errors import RecipeError, SourceUnreadable
from mlpipe.recipe.schema.convert import Convert
from mlpipe.recipe.schema.source import Source
from mlpipe.sources import traceable
from mlpipe.sources.conversion.run import convert_traceable
from mlpipe.sources.tensorflow_files import read_checkpoint, read_frozen, read_saved_model
from mlpipe.sources.tensorflow_graph import GraphSource, feature_name, traceable_graph
from mlpipe.sources.traceable import Arrays, Traceable, import_tensorflow


def describe(source: Source, path: Path) -> dict[str, Any]:
    """Return the inputs and outputs of the signature or of the (cut) graph, for description.json."""
    return load(source, path).describe("tensorflow")


def predict(source: Source, path: Path, feeds: Iterable[Arrays], progress: Callable[[float, float, str], None]) -> Iterator[Arrays]:
    """Return what TensorFlow computes. Shapes: batch first."""
    progress(0, 1, "loading the TensorFlow model")
    yield from traceable.predict(load(source, path), feeds)


def convert(source: Source, path: Path, convert: Convert, output: Path) -> dict[str, Any]:
    """Write the Core ML model; return the data of conversion.json. Tensors may be named with or without `:0`."""
    named = {key: {feature_name(name): value for name, value in getattr(convert, key).items()} for key in ("inputs", "outputs")}
    return convert_traceable(load(source, path), convert.model_copy(update=named), output)


def load(source: Source, path: Path) -> Traceable:
    """Return the model as a function. Errors: SourceUnreadable; RecipeError for a tensor or signature that it does not have."""
    import_tensorflow()
    return traceable_graph(_read(source, path), source)


def _read(source: Source, path: Path) -> GraphSource:
    if path.is_dir():
        return read_saved_model(source, path)
    _refuse_signature(source)
    if path.suffix == ".pb" and path.is_file():
        return read_frozen(path)
    if path.with_name(f"{path.name}.meta").is_file():
        return read_checkpoint(source, path)
    if path.suffix == ".meta" and path.is_file():
        return read_checkpoint(source, path.with_suffix(""))
    fix = "give a SavedModel folder, a frozen graph (.pb), or the prefix of a checkpoint that has a .meta file"
    raise SourceUnreadable("this is no TensorFlow model", where=path.name, fix=fix)


def _refuse_signature(source: Source) -> None:
    if source.signature is not None:
        raise RecipeError(f"source.signature: only a SavedModel has signatures, and {source.location} is none", fix="name tensors under `inputs` and `outputs`")
