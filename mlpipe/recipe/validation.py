"""pydantic's errors in plain words, at the place where the mistake was written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel, ValidationError

from mlpipe.recipe.mistakes import Mistakes, did_you_mean, one_of, shown, unknown
from mlpipe.recipe.nodes import KeyPath, Node
from mlpipe.recipe.schema.base import FunctionReference, Name, Sha256
from mlpipe.recipe.schema.recipe import VariableName
from mlpipe.recipe.schema_keys import known_keys
from mlpipe.recipe.yaml_types import parse_scalar

Model = TypeVar("Model", bound=BaseModel)

_EXPECTED = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "string_type": "text",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "keys and values",
    "model_type": "keys and values",
    "model_attributes_type": "keys and values",
}
_LIMITS = {
    "greater_than_equal": ("ge", "at least"),
    "greater_than": ("gt", "more than"),
    "less_than_equal": ("le", "at most"),
    "less_than": ("lt", "less than"),
}
_PATTERNS = {
    Name: "cannot be a file name: use letters, digits, '.', '-' and '_', a letter or digit first",
    Sha256: "is no SHA-256 digest: 64 hexadecimal digits, in lower case",
    FunctionReference: "is no function of a file: write file.py:function",
    VariableName: "is no variable's name: use letters, digits and '_'",
}
_PATTERN_MESSAGES = {annotation.__metadata__[0].pattern: message for annotation, message in _PATTERNS.items()}  # type: ignore[attr-defined]


def validate(model: type[Model], node: Node, mistakes: Mistakes, path: KeyPath = ()) -> Model | None:
    """Return a section from what was written, or None after adding what is wrong with it. `path` is where the section stands."""
    try:
        return model.model_validate(node.plain())
    except ValidationError as error:
        errors = error.errors(include_url=False)
    with_texts = _environment_as_text(node, errors)
    if with_texts is not None:
        return validate(model, with_texts, mistakes, path)
    _report(model, node, errors, mistakes, path)
    return None


def _environment_as_text(node: Node, errors: list[Any]) -> Node | None:
    """Return the tree with environment variables as text where text was expected and a number came, or None if there is no such place."""
    changed = None
    for error in errors:
        found, path = _locate(node, error["loc"])
        if error["type"] == "string_type" and found.text is not None and not isinstance(found.value, str):
            changed = (changed or node).replaced(path, found._replace(value=found.text))
    return changed


def _locate(node: Node, location: tuple[str | int, ...]) -> tuple[Node, KeyPath]:
    """Return the deepest written value on the way to a location, skipping what pydantic adds (tags of unions) or a shorthand leaves out."""
    path: KeyPath = ()
    for part in location:
        children = _children(node)
        if part in children:
            node, path = children[part], (*path, part)
        elif len(children) == 1:  # {psnr_db: {peak: 1}} is validated as {name: psnr_db, peak: 1}
            [(only, child)] = children.items()
            if part in child.mapping:
                node, path = child.mapping[str(part)], (*path, only, part)
    return node, path


def _children(node: Node) -> Mapping[str | int, Node]:
    children: dict[str | int, Node] = dict(enumerate(node.items))
    children.update(node.mapping)
    return children


def _report(model: type[BaseModel], node: Node, errors: list[Any], mistakes: Mistakes, base: KeyPath) -> None:
    located = [_Located(error, *_locate(node, error["loc"])) for error in errors]
    wrong_types: dict[KeyPath, list[_Located]] = {}
    for mistake in located:
        if any(mistake.is_overtaken_by(other) for other in located):
            continue
        kind, path = mistake.error["type"], (*base, *mistake.path)
        if kind == "missing":
            mistakes.key(mistake.node, (*path, mistake.last), "missing")
        elif kind == "extra_forbidden":
            mistakes.key(mistake.node, path, unknown("key", str(mistake.last), known_keys(model, mistake.error["loc"][:-1])))
        elif mistake.last == "[key]":
            mistakes.key(mistake.node, path, _message(mistake.error, str(path[-1])))
        elif kind in _EXPECTED or kind == "literal_error":
            wrong_types.setdefault(mistake.path, []).append(mistake)  # one message for all members of a union
        else:
            add = mistakes.value if mistake.node.is_scalar else mistakes.key
            add(mistake.node, path, _message(mistake.error, mistake.node.value))
    for path, members in wrong_types.items():
        mistakes.value(members[0].node, (*base, *path), _wrong_type(members))


class _Located(NamedTuple):
    """An error of pydantic's and what was written there."""

    error: Any
    node: Node
    path: KeyPath

    @property
    def last(self) -> str | int:
        return self.error["loc"][-1] if self.error["loc"] else ""

    def is_overtaken_by(self, other: _Located) -> bool:
        """Return whether another member of the same union came further than this one."""
        is_union_member = len(self.error["loc"]) > len(self.path)
        return is_union_member and len(other.path) > len(self.path) and other.path[: len(self.path)] == self.path


def _wrong_type(members: list[_Located]) -> str:
    value = members[0].node.value
    words = [word for member in members for word in _literals(member.error)]
    kinds = [_EXPECTED.get(member.error["type"]) or one_of(_literals(member.error)) for member in members]
    message = f"expected {one_of(dict.fromkeys(kinds))}, got {shown(value)}"
    if isinstance(value, str):
        is_quoted_number = any(word in ("a number", "a whole number") for word in kinds) and isinstance(parse_scalar(value), int | float)
        return message + (": remove the quotes" if is_quoted_number else did_you_mean(value, words))
    if kinds == ["text"] and isinstance(value, int | float):
        return message + ": put it in quotes"
    return message


def _literals(error: Any) -> list[str]:
    """Return the words of a literal_error."""
    if error["type"] != "literal_error":
        return []
    return [quoted or number for quoted, number in re.findall(r"'([^']*)'|(\d+)", error["ctx"]["expected"])]


def _message(error: Any, value: object) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind in _LIMITS:
        key, comparison = _LIMITS[kind]
        return f"expected {comparison} {context[key]:g}, got {shown(value)}"
    if kind == "string_pattern_mismatch":
        return f"{shown(value)} {_PATTERN_MESSAGES.get(context['pattern'], 'does not match ' + context['pattern'])}"
    if kind == "string_too_long":
        return f"longer than {context['max_length']} characters"
    if kind == "literal_error":
        return unknown("key", str(value), _literals(error))
    if kind == "value_error":
        message = str(context["error"])
        return f"{message}, got {shown(value)}" if message.startswith("expected a ") else message
    return str(error["msg"])
