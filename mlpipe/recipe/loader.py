"""YAML files with the place of every key and value. Mistakes in YAML itself are reported here."""

from __future__ import annotations

import re
from itertools import accumulate
from pathlib import Path

import yaml

from mlpipe.errors import Location, RecipeError
from mlpipe.recipe.mistakes import Mistakes
from mlpipe.recipe.nodes import Node, Place, display_path
from mlpipe.recipe.yaml_types import CoreLoader, is_merge, scalar_value

_MOST_NODES = 1_000_000
_DEEPEST = 200


def load(path: Path) -> Node:
    """Return the mapping that a file holds.

    Errors: RecipeError where the file cannot be read or is no YAML; RecipeErrors for duplicate keys and the like.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise RecipeError("the file is not UTF-8 text", where=Location(display_path(path), line)) from None
    except OSError as error:
        raise RecipeError(f"cannot read the file: {error.strerror or error}", where=display_path(path)) from None
    return parse(text, path)


def parse(text: str, path: Path) -> Node:
    """Return the mapping that a text holds; `path` is the file that it came from."""
    top = _compose(text, path)
    if top is None:
        raise RecipeError("the file is empty", where=Location(display_path(path), 1, 1))
    builder = _Builder(path)
    node = builder.build(top)
    builder.mistakes.raise_if_any()
    if not isinstance(node.value, dict):
        found = "a list" if node.items else "a single value"
        raise RecipeError(f"expected keys and values at the top of the file, got {found}", where=node.place.location())
    return node


def _compose(text: str, path: Path) -> yaml.Node | None:
    _refuse_deep_nesting(text, path)
    try:
        node: yaml.Node | None = yaml.compose(text, Loader=CoreLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = Location(display_path(path), mark.line + 1, mark.column + 1) if mark else Location(display_path(path))
        context = f" {error.context}" if error.context else ""
        line = text.splitlines()[mark.line : mark.line + 1] if mark else []
        hint = "indent with spaces, not with tabs" if mark and line and line[0][mark.column : mark.column + 1] == "\t" else None
        raise RecipeError(f"not valid YAML{context}: {error.problem}", where=where, fix=hint) from None
    except yaml.reader.ReaderError as error:
        before = text[: error.position] if isinstance(error.position, int) else ""
        where = Location(display_path(path), before.count("\n") + 1, len(before) - before.rfind("\n"))
        raise RecipeError(f"not valid YAML: {error.reason}", where=where) from None
    return node


def _refuse_deep_nesting(text: str, path: Path) -> None:
    """Libyaml's composer recurses in C without a limit, so that a deep file would end the process."""
    depths = accumulate(1 if bracket in "[{" else -1 for bracket in re.findall(r"[\[\]{}]", text))
    if max(depths, default=0) > _DEEPEST or re.search(rf"^[ \t?:-]{{{2 * _DEEPEST},}}", text, re.MULTILINE):
        raise RecipeError(f"nested deeper than {_DEEPEST} levels", where=display_path(path))


class _Builder:
    """Turns PyYAML's nodes into ours, once each, so that an alias shares what it names."""

    def __init__(self, path: Path) -> None:
        self.mistakes = Mistakes()
        self._path = path
        self._built: dict[int, tuple[Node, int] | None] = {}

    def build(self, source: yaml.Node) -> Node:
        return self._sized(source)[0]

    def _sized(self, source: yaml.Node) -> tuple[Node, int]:
        """Return a node and how many it is when every alias is written out."""
        place = Place(self._path, source.start_mark.line + 1, source.start_mark.column + 1)
        if isinstance(source, yaml.ScalarNode):
            return self._scalar(source, place), 1
        if id(source) in self._built:
            known = self._built[id(source)]
            if known is None:
                raise RecipeError("an alias refers to a value that contains it", where=place.location())
            return known
        self._built[id(source)] = None
        node, size = self._mapping(source, place) if isinstance(source, yaml.MappingNode) else self._list(source, place)
        if size > _MOST_NODES:
            raise RecipeError("aliases multiply this to more than a million values", where=place.location())
        self._built[id(source)] = node, size
        return node, size

    def _scalar(self, source: yaml.ScalarNode, place: Place) -> Node:
        try:
            return Node(scalar_value(source.tag, source.value), place)
        except ValueError as error:
            self.mistakes.at(place, (), str(error))
            return Node(None, place)

    def _list(self, source: yaml.Node, place: Place) -> tuple[Node, int]:
        self._check_tag(source, "seq", place)
        sized = [self._sized(item) for item in source.value]
        return Node([node for node, _ in sized], place), 1 + sum(size for _, size in sized)

    def _mapping(self, source: yaml.MappingNode, place: Place) -> tuple[Node, int]:
        self._check_tag(source, "map", place)
        entries: dict[str, Node] = {}
        merged: dict[str, Node] = {}
        total = 1
        for key, value in source.value:
            key_place = Place(self._path, key.start_mark.line + 1, key.start_mark.column + 1)
            node, size = self._sized(value)
            total += size
            if not isinstance(key, yaml.ScalarNode):
                self.mistakes.at(key_place, (), "a key must be text")
            elif is_merge(key.tag):
                merged = self._merge(node, key_place, merged)
            elif key.value in entries:
                first = entries[key.value].key_place
                self.mistakes.at(key_place, (), f"duplicate key '{key.value}'" + (f", first on line {first.line}" if first else ""))
            else:
                entries[key.value] = Node(node.value, node.place, key_place)
        return Node({**merged, **entries}, place), total

    def _merge(self, node: Node, key_place: Place, merged: dict[str, Node]) -> dict[str, Node]:
        """Return what `<<` brings: of several mappings the first wins, as the merge key's specification says."""
        for item in node.items or [node]:
            if not isinstance(item.value, dict):
                self.mistakes.at(key_place, (), "`<<` takes a mapping or a list of mappings")
                return merged
            merged = {**item.mapping, **merged}
        return merged

    def _check_tag(self, source: yaml.Node, kind: str, place: Place) -> None:
        if source.tag != f"tag:yaml.org,2002:{kind}":
            self.mistakes.at(place, (), f"the tag {source.tag!r} is not supported")
