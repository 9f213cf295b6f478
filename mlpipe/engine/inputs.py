"""Which files outside the store a recipe's sections stand for."""

from __future__ import annotations

import glob
from pathlib import Path

from mlpipe.errors import RecipeError
from mlpipe.recipe.schema.compare import Samples
from mlpipe.recipe.schema.source import Source


def model_files(source: Source) -> tuple[Path, ...]:
    """Return a source model's file or folder; the files of a checkpoint, which share a prefix; nothing for a URL."""
    if "://" in source.location:
        return ()
    path = Path(source.location)
    if path.exists():
        return (path,)
    return tuple(Path(found) for found in sorted(glob.glob(f"{glob.escape(str(path))}.*")))  # noqa: PTH207 - a prefix, not a folder


def sample_files(samples: Samples) -> dict[str, tuple[Path, ...]]:
    """Return the files of a sample set by role: `samples`, none for synthetic ones."""
    if samples.arrays is not None:
        return {"samples": (Path(samples.arrays),)}
    if samples.images is None:
        return {}
    patterns = [samples.images] if isinstance(samples.images, str) else samples.images
    found = {path for pattern in patterns for path in glob.glob(pattern, recursive=True)}  # noqa: PTH207 - absolute patterns
    return {"samples": tuple(_named_in_unicode(path) for path in sorted(found) if Path(path).is_file())}


def _named_in_unicode(path: str) -> Path:
    """Return a path that reports and records can name. Errors: RecipeError."""
    try:
        path.encode()
    except UnicodeEncodeError as error:
        raise RecipeError(f"compare.samples: the name of {path!r} is no UTF-8 text", fix="rename the file, or leave it out of the pattern") from error
    return Path(path)
