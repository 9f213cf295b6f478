"""What a stream can show: colour, symbols, how many columns. Without rich, so that plain output costs no import."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from typing import TextIO

_ANSI: Mapping[str, str] = {"red": "1;31", "green": "32", "yellow": "33", "bold": "1", "dim": "2"}
_ASCII = str.maketrans({"✓": "+", "✗": "x", "↺": "<", "·": ".", "…": "~"})


def is_terminal(stream: TextIO) -> bool:
    """Return whether somebody watches: a terminal that can move its cursor."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def has_colour(stream: TextIO) -> bool:
    """Return whether colour may be used, see https://no-color.org."""
    return is_terminal(stream) and not os.environ.get("NO_COLOR")


def columns(stream: TextIO) -> int | None:
    """Return how wide lines may be; None where the output is piped and width does not matter."""
    return shutil.get_terminal_size().columns if is_terminal(stream) else None


def paint(text: str, colour: str | None, stream: TextIO) -> str:
    """Return text in a colour, or as it is where the stream has none."""
    return f"\033[{_ANSI[colour]}m{text}\033[0m" if colour and has_colour(stream) else text


def encodable(text: str, stream: TextIO) -> str:
    """Return text that the stream's encoding can show: our symbols as ASCII, everything else escaped."""
    encoding = stream.encoding or "utf-8"  # in memory: text of any kind
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(_ASCII).encode(encoding, "backslashreplace").decode(encoding)
    return text


def write_line(text: str, stream: TextIO) -> None:
    """Write one line, at once: the reader of a pipe sees it when it happens."""
    stream.write(encodable(text, stream) + "\n")
    stream.flush()


def duration(seconds: float) -> str:
    """Return a duration as people say it: `0.4 s`, `12 s`, `3 min 05 s`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60:02d} s"
