"""What the samples of a folder are called."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path, PurePath


def sample_ids(files: Sequence[Path]) -> list[str]:
    """Return each image's name in reports: its path below the deepest folder that holds them all, with forward slashes."""
    if not files:
        return []
    folder = os.path.commonpath([str(path.parent) for path in files])
    return [PurePath(os.path.relpath(path, folder)).as_posix() for path in files]
