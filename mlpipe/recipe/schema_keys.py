"""Which keys a section knows: for `did you mean`."""

from __future__ import annotations

from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel


def known_keys(model: type[BaseModel], path: tuple[str | int, ...]) -> list[str]:
    """Return the keys of the section at a path (as pydantic gives it, union tags included) below a model."""
    candidates: list[Any] = [model]
    for part in path:
        deeper = [child for candidate in candidates for child in _children(candidate, part)]
        candidates = deeper or candidates  # a part that leads nowhere is a union's tag
    return list(dict.fromkeys(key for candidate in candidates for key in _keys(candidate)))


def _members(annotation: Any) -> list[Any]:
    """Return the types that a union or an annotated type stands for."""
    origin = get_origin(annotation)
    if origin is Annotated:
        return _members(get_args(annotation)[0])
    if origin in (Union, UnionType):
        return [member for argument in get_args(annotation) for member in _members(argument)]
    return [annotation]


def _is_section(candidate: Any) -> bool:
    return isinstance(candidate, type) and issubclass(candidate, BaseModel)


def _children(candidate: Any, part: str | int) -> list[Any]:
    if _is_section(candidate):
        fields = {info.alias or name: info.annotation for name, info in candidate.model_fields.items()}
        return _members(fields[part]) if part in fields else []
    origin, arguments = get_origin(candidate), get_args(candidate)
    if origin is dict:
        return _members(arguments[1])
    return _members(arguments[0]) if origin is list and isinstance(part, int) else []


def _keys(candidate: Any) -> list[str]:
    return [info.alias or name for name, info in candidate.model_fields.items()] if _is_section(candidate) else []
