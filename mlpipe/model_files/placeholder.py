"""Files that stand where a model should be: pointers that git-lfs left, and empty ones."""

from __future__ import annotations

from pathlib import Path

from mlpipe.errors import ModelFileInvalid

_POINTER = b"version https://git-lfs.github.com/spec/"
_LONGEST_POINTER_BYTES = 1024


def refuse_placeholders(folder: Path) -> None:
    """Return nothing where the model in a folder has content of its own.

    Errors: ModelFileInvalid for a git-lfs pointer among its files, and for a model that is one empty file.
    """
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    for path in files:
        size = path.stat().st_size
        if size <= _LONGEST_POINTER_BYTES and path.read_bytes().startswith(_POINTER):
            raise ModelFileInvalid("this is a git-lfs pointer, not the file itself", where=str(path), fix="fetch it: git lfs pull")
        if size == 0 and len(files) == 1:
            raise ModelFileInvalid("the file is empty", where=str(path), fix="export or download it again")
