"""What was written in a YAML file: values that know their place, through merging, substitution and expansion."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from mlpipe.errors import Location

Scalar = str | int | float | bool | None
KeyPath = tuple[str | int, ...]
"""Keys and list positions from the top of a file."""


class Place(NamedTuple):
    """Where something stands. Units: line and column count from 1."""

    file: Path
    line: int
    column: int

    def location(self) -> Location:
        """Return the place as messages show it: the file relative to the working directory where it lies below it."""
        return Location(display_path(self.file), self.line, self.column)


class Node(NamedTuple):
    """A value as written; never changed, only replaced."""

    value: Any
    """A Scalar, dict[str, Node] or list[Node]."""
    place: Place
    key_place: Place | None = None
    """Where the key of this value stands; None in lists and at the top."""
    text: str | None = None
    """What an environment variable said, word by word: the value where text is expected (`1.10` is not 1.1 then)."""

    @property
    def mapping(self) -> dict[str, Node]:
        """Return the entries, none if this is no mapping."""
        return self.value if isinstance(self.value, dict) else {}

    @property
    def items(self) -> list[Node]:
        """Return the items of a list, none if this is no list."""
        return self.value if isinstance(self.value, list) else []

    @property
    def is_scalar(self) -> bool:
        """Return whether this is a single value."""
        return not isinstance(self.value, dict | list)

    def plain(self) -> Any:
        """Return the value without places."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value

    def with_entries(self, **entries: Node) -> Node:
        """Return this mapping with some entries set."""
        return self._replace(value={**self.mapping, **entries})

    def without(self, *keys: str) -> Node:
        """Return this mapping without some entries; another value as it is."""
        if not isinstance(self.value, dict):
            return self
        return self._replace(value={key: node for key, node in self.mapping.items() if key not in keys})

    def implied(self, value: Any) -> Node:
        """Return a value that nobody wrote and that this node implies: errors about it point here."""
        return Node(value, self.place, self.key_place)

    def replaced(self, path: KeyPath, new: Node) -> Node:
        """Return this tree with the node at a path, which exists, exchanged."""
        if not path:
            return new
        first, *rest = path
        children = self.value.copy()
        children[first] = children[first].replaced(tuple(rest), new)
        return self._replace(value=children)

    def walk(self, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Node]]:
        """Return every node below and including this one with its path, in the order written."""
        yield path, self
        for key, node in self.mapping.items():
            yield from node.walk((*path, key))
        for index, node in enumerate(self.items):
            yield from node.walk((*path, index))


def display_path(file: Path) -> str:
    """Return the path as messages show it."""
    working_directory = Path.cwd()
    return str(file.relative_to(working_directory)) if file.is_relative_to(working_directory) else str(file)


def path_text(path: KeyPath) -> str:
    """Return a path as messages show it: `compare.metrics[0].k`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text
