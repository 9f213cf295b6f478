"""An error on the console: what and where, the line in question with a caret, why, and what to do."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any, TextIO

from mlpipe.cli.console.streams import columns, paint, write_line
from mlpipe.errors import MlpipeError, RecipeErrors

_WHERE = re.compile(r"(?P<file>.+?):(?P<line>\d+)(?::(?P<column>\d+))?")
_LONGEST_LINE = 120


def print_error(error: MlpipeError, *, as_json: bool = False) -> None:
    """Print an error for people on stderr, or as `{"error": {...}}` on stdout."""
    if as_json:
        print(json.dumps({"error": _as_dict(error)}))
        return
    for part in _parts(error):
        for line in error_lines(part.as_dict(), sys.stderr):
            write_line(line, sys.stderr)


def error_lines(error: dict[str, Any], stream: TextIO) -> list[str]:
    """Return the lines that show `MlpipeError.as_dict()`, also one that comes from a worker."""
    where = error.get("where")
    head = f"{shorten(where)}: {error['what']}" if where else f"error: {error['what']}"
    first, *rest = head.splitlines()
    lines = [paint(first, "bold", stream), *rest]
    if where:
        lines += source_lines(where, stream)
    lines += [f"  {name}: {error[name]}" for name in ("why", "fix") if error.get(name)]
    return lines


def source_lines(where: str, stream: TextIO) -> list[str]:
    """Return the line that `file:line:column` names, and a caret under the column; nothing where there is no such line."""
    match = _WHERE.fullmatch(where)
    if match is None:
        return []
    number, column = int(match["line"]), int(match["column"] or 0)
    try:
        text = Path(match["file"]).read_text(encoding="utf-8").splitlines()[number - 1]
    except (OSError, ValueError, IndexError):
        return []
    margin = f"  {number} | "
    text, caret = _window(text.replace("\t", " "), column, (columns(stream) or _LONGEST_LINE) - len(margin) - 1)
    lines = [margin + text]
    if column:
        lines.append(" " * (len(margin) - 2) + "| " + " " * caret + paint("^", "red", stream))
    return lines


def shorten(where: str) -> str:
    """Return a path, with or without line and column, relative to the working directory where it lies below it."""
    folder = f"{Path.cwd()}/"
    return where.removeprefix(folder)


def _window(text: str, column: int, width: int) -> tuple[str, int]:
    """Return the part of a long line around a column, and where the column is in it."""
    width = max(width, 20)
    start = max(0, min(column - width // 2, len(text) - width))
    shown = text[start : start + width]
    if start:
        shown = "…" + shown[1:]
    if start + width < len(text):
        shown = shown[:-1] + "…"
    return shown, column - 1 - start


def _parts(error: MlpipeError) -> tuple[MlpipeError, ...]:
    return error.errors if isinstance(error, RecipeErrors) else (error,)


def _as_dict(error: MlpipeError) -> dict[str, Any]:
    made: dict[str, Any] = dict(error.as_dict())
    if isinstance(error, RecipeErrors):
        made["errors"] = [part.as_dict() for part in error.errors]
    return made
