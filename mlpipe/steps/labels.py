"""Files of labels, one a line."""

from __future__ import annotations

from pathlib import Path

from mlpipe.errors import RecipeError


def read_labels(path: Path, key: str) -> list[str]:
    """Return the labels of a file in order, without the space around them; blank lines at its end count for nothing.

    Errors: RecipeError, which names the recipe's `key`, for a file without labels, with a gap, or that is no UTF-8 text.
    """
    try:
        labels = [line.strip() for line in path.read_text(encoding="utf-8-sig").split("\n")]
    except UnicodeDecodeError as error:
        raise RecipeError(f"{key}: the file is not UTF-8 text", where=path.name, why=str(error), fix="save it as UTF-8") from error
    while labels and not labels[-1]:
        labels.pop()
    if not labels or "" in labels:
        what = f"line {labels.index('') + 1} is empty" if labels else "the file is empty"
        raise RecipeError(f"{key}: {what}", where=path.name, fix="one label a line")
    return labels
