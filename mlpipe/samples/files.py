"""Which files a recipe's samples are, and what each sample is called. Light: the build graph is made with it."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from pathlib import Path, PurePath

from mlpipe.recipe.schema.compare import Samples


def sample_files(samples: Samples) -> dict[str, tuple[Path, ...]]:
    """Return the files behind the samples as `{"samples": (...)}`, sorted; empty for synthetic samples.

    The paths in `samples` are absolute. With `limit`, only the files that are used are named, so that others can change freely.
    """
    if samples.images is not None:
        patterns = [samples.images] if isinstance(samples.images, str) else samples.images
        found = {Path(path) for pattern in patterns for path in glob.glob(pattern, recursive=True) if Path(path).is_file()}  # noqa: PTH207 -- absolute patterns
        return {"samples": tuple(sorted(found)[: samples.limit])}
    if samples.arrays is not None:
        return {"samples": (Path(samples.arrays),)}
    return {}


def sample_ids(files: Sequence[Path]) -> list[str]:
    """Return each image's name in reports: its path below the deepest folder that holds them all, with forward slashes."""
    if not files:
        return []
    folder = os.path.commonpath([str(path.parent) for path in files])
    return [PurePath(os.path.relpath(path, folder)).as_posix() for path in files]
