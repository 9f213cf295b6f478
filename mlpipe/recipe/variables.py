"""`${name}` and `${env.NAME:-default}`."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mlpipe.recipe.mistakes import Mistakes, shown, unknown
from mlpipe.recipe.nodes import KeyPath, Node, Place, Scalar
from mlpipe.recipe.yaml_types import parse_scalar

_REFERENCE = re.compile(r"(?P<escaped>\$\$\{)|\$\{(?P<inside>[^{}]*)\}|(?P<open>\$\{)")
_NOWHERE = Place(Path(), 0, 0)  # of values that no file holds
_ENVIRONMENT = re.compile(r"env\.(?P<name>[A-Za-z_]\w*)(?::-(?P<default>.*))?", re.DOTALL)


class _Unresolved(Exception):
    """A reference that cannot be replaced; the message is for the user, empty where the cause was reported elsewhere."""


@dataclass
class Environment:
    """The environment variables that a recipe may read, and those that it did."""

    values: Mapping[str, str]
    allowed: Collection[str]
    read: dict[str, str | None] = field(default_factory=dict)

    def lookup(self, name: str, default: str | None) -> str:
        """Return a variable's value. Errors: _Unresolved."""
        if name not in self.allowed:
            raise _Unresolved(f"the environment variable '{name}' is not listed under `env:`")
        self.read[name] = self.values.get(name)
        value = self.values.get(name, default)
        if value is None:
            raise _Unresolved(f"the environment variable '{name}' is not set; set it, or write a default: ${{env.{name}:-...}}")
        return value


class Variables:
    """The values behind `${...}`; each variable is resolved once, when it is first used."""

    def __init__(self, written: Node | None, environment: Environment, mistakes: Mistakes) -> None:
        """`written` is the `vars:` section, if there is one."""
        self._written = written.mapping if written is not None else {}
        self._environment = environment
        self._mistakes = mistakes
        self._resolved: dict[str, Node | None] = {}
        self._resolving: list[str] = []

    def check(self) -> None:
        """Resolve every variable, so that mistakes in unused ones are found too."""
        for name in self._written:
            self._resolve(name)

    def substitute(self, node: Node, path: KeyPath, local: Mapping[str, Node] | None = None, keep: Collection[str] | None = None) -> Node:
        """Return a tree with every reference replaced.

        `local` names shadow the recipe's; references to names in `keep` stay as they are, for a second substitution. A text that is one reference
        becomes that value, with its type; inside other text a value becomes text.
        """
        local = local or {}
        if isinstance(node.value, str):
            return self._text(node, path, local, keep) if "${" in node.value else node
        if isinstance(node.value, dict):
            entries = {key: self.substitute(child, (*path, key), local, keep) for key, child in node.value.items()}
            changed = any(entries[key] is not child for key, child in node.value.items())
            return node._replace(value=entries) if changed else node
        if isinstance(node.value, list):
            items = [self.substitute(child, (*path, index), local, keep) for index, child in enumerate(node.value)]
            return node._replace(value=items) if any(new is not old for new, old in zip(items, node.value, strict=True)) else node
        return node

    def _text(self, node: Node, path: KeyPath, local: Mapping[str, Node], keep: Collection[str] | None) -> Node:
        try:
            whole = _REFERENCE.fullmatch(node.value)
            if whole and whole["inside"] is not None:
                if keep and whole["inside"] in keep:
                    return node
                found = self._lookup(whole["inside"], local)
                return Node(found.value, node.place, node.key_place, found.text)
            return node._replace(value=_REFERENCE.sub(self._inside_text(local, keep), node.value))
        except _Unresolved as error:
            if str(error):
                self._mistakes.value(node, path, str(error))
            self._mistakes.silence(node.place)
            return node

    def _inside_text(self, local: Mapping[str, Node], keep: Collection[str] | None) -> Callable[[re.Match[str]], str]:
        def replacement(match: re.Match[str]) -> str:
            if match["escaped"]:
                return "${" if keep is None else "$${"  # what is kept is substituted again later
            if match["open"]:
                raise _Unresolved("`${` without its `}`; a literal `${` is written `$${`")
            if keep and match["inside"] in keep:
                return match[0]
            return _as_text(match["inside"], self._lookup(match["inside"], local))

        return replacement

    def _lookup(self, name: str, local: Mapping[str, Node]) -> Node:
        environment = _ENVIRONMENT.fullmatch(name)
        if environment:
            text = self._environment.lookup(environment["name"], environment["default"])
            return Node(parse_scalar(text), _NOWHERE, None, text)
        if name in local:
            return local[name]
        if name not in self._written:
            raise _Unresolved(unknown("variable", name, (*local, *self._written)))
        found = self._resolve(name)
        if found is None:
            raise _Unresolved
        return found

    def _resolve(self, name: str) -> Node | None:
        if name in self._resolving:
            circle = self._resolving[self._resolving.index(name) :]
            self._mistakes.value(self._written[circle[0]], ("vars", circle[0]), f"variables in a circle: {' -> '.join([*circle, name])}")
            raise _Unresolved
        if name not in self._resolved:
            self._resolving.append(name)
            before = self._written[name]
            resolved = self.substitute(before, ("vars", name))
            self._resolving.pop()
            self._resolved[name] = None if self._mistakes.concerns(place for _, node in before.walk() for place in [node.place]) else resolved
        return self._resolved[name]


def _as_text(name: str, node: Node) -> str:
    if node.text is not None:
        return node.text
    value: Scalar = node.value if node.is_scalar else None
    if value is None:
        raise _Unresolved(f"'{name}' is {shown(node.value)}, which cannot stand inside text")
    return ("true" if value else "false") if isinstance(value, bool) else str(value)
