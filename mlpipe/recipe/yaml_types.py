"""YAML 1.2's core types, where PyYAML has YAML 1.1's: `no` is text, `1e-3` a number, `012` twelve."""

from __future__ import annotations

import re

import yaml

from mlpipe.recipe.nodes import Scalar

_PREFIX = "tag:yaml.org,2002:"
_CORE_TYPES = (  # Source: YAML 1.2.2, section 10.3.2
    ("null", r"null|Null|NULL|~|", [*"nN~", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", [*"tTfF"]),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", [*"-+0123456789"]),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", [*"-+.0123456789"]),
    ("merge", r"<<", ["<"]),
)

_FastLoader: type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class CoreLoader(_FastLoader):  # type: ignore[valid-type, misc]
    """Composes nodes whose tags follow YAML 1.2; in C where libyaml is present."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own form; resolvers are added below


for _name, _pattern, _first in _CORE_TYPES:
    CoreLoader.add_implicit_resolver(_PREFIX + _name, re.compile(rf"(?:{_pattern})\Z"), _first)


def is_merge(tag: str) -> bool:
    """Return whether a key's tag is that of `<<`."""
    return tag == _PREFIX + "merge"


def scalar_value(tag: str, text: str) -> Scalar:
    """Return the value of a scalar. Errors: ValueError with a message for the user."""
    kind = tag.removeprefix(_PREFIX)
    try:
        if kind in ("str", "merge"):
            return text
        if kind == "null":
            return None
        if kind == "bool":
            return {"true": True, "false": False}[text.lower()]
        if kind == "int":
            return int(text, 0) if text[:2] in ("0o", "0x") else int(text)
        if kind == "float":
            word = text.lower().lstrip("+-")
            return float(text.replace(".", "", 1)) if word in (".inf", ".nan") else float(text)
    except (ValueError, KeyError):
        raise ValueError(f"{text[:40]!r} is no {kind}") from None
    raise ValueError(f"the tag {tag.replace(_PREFIX, '!!')!r} is not supported")


def parse_scalar(text: str) -> Scalar:
    """Return what a text would be, if it stood in a file without quotes."""
    for name, pattern, first in _CORE_TYPES[:4]:
        if text[:1] in first and re.fullmatch(pattern, text):
            return scalar_value(_PREFIX + name, text)
    return text
