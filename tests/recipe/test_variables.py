from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mlpipe.recipe.loader import parse
from mlpipe.recipe.mistakes import Mistakes
from mlpipe.recipe.variables import Environment, Variables

ENVIRONMENT = {"BITS": "4", "VERSION": "1.10", "EMPTY": "", "SECRET": "x"}


def substituted(recipe: str) -> tuple[Any, list[str], dict[str, str | None]]:
    tree = parse(recipe, Path("recipe.yaml"))
    mistakes = Mistakes()
    environment = Environment(ENVIRONMENT, frozenset({"BITS", "VERSION", "EMPTY", "UNSET"}))
    variables = Variables(tree.mapping.get("vars"), environment, mistakes)
    variables.check()
    value = variables.substitute(tree.without("vars"), ()).plain()
    messages = []
    try:
        mistakes.raise_if_any()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is shown
        messages = str(error).split("\n")
    return value["x"], messages, environment.read


@pytest.mark.parametrize(
    ("recipe", "value"),
    [
        ("vars: {a: 8}\nx: ${a}", 8),
        ("vars: {a: 8}\nx: bits-${a}", "bits-8"),
        ("vars: {a: true}\nx: is ${a}", "is true"),
        ("vars: {a: 0.5}\nx: '${a}${a}'", "0.50.5"),
        ("vars: {a: [1, 2]}\nx: ${a}", [1, 2]),
        ("vars: {a: {b: 1}}\nx: ['${a}', 3]", [{"b": 1}, 3]),
        ("vars: {a: null}\nx: ${a}", None),
        ("vars: {a: 1, b: '${a}', c: '${b}-${a}'}\nx: ${c}", "1-1"),
        ("x: $${a}", "${a}"),
        ("x: a $ b $c {d}", "a $ b $c {d}"),
        ("x: ${env.BITS}", 4),
        ("x: v${env.VERSION}", "v1.10"),
        ("x: ${env.UNSET:-7}", 7),
        ("x: ${env.UNSET:-}", None),
        ("x: ${env.EMPTY:-7}", None),  # set, though empty
        ("x: ${env.UNSET:-a:-b}", "a:-b"),
    ],
)
def test_references(recipe: str, value: object) -> None:
    assert substituted(recipe)[:2] == (value, [])


@pytest.mark.parametrize(
    ("recipe", "messages"),
    [
        ("vars: {a: '${b}', b: '${c}', c: 'x${a}'}\nx: ${a}", ["recipe.yaml:1:11: vars.a: variables in a circle: a -> b -> c -> a"]),
        ("vars: {a: '${a}'}\nx: 1", ["recipe.yaml:1:11: vars.a: variables in a circle: a -> a"]),
        ("vars: {a: ['${b}'], b: '${a}'}\nx: 1", ["recipe.yaml:1:11: vars.a: variables in a circle: a -> b -> a"]),
        ("vars: {a: '${nope}'}\nx: ${a}", ["recipe.yaml:1:11: vars.a: unknown variable 'nope'; expected a"]),
        ("x: ${a}", ["recipe.yaml:1:4: x: unknown variable 'a'"]),
        ("vars: {a: null}\nx: b${a}", ["recipe.yaml:2:4: x: 'a' is nothing, which cannot stand inside text"]),
        ("x: ${env.SECRET}", ["recipe.yaml:1:4: x: the environment variable 'SECRET' is not listed under `env:`"]),
        ("x: ${a:-3}", ["recipe.yaml:1:4: x: unknown variable 'a:-3'"]),
        ("x: '${}'", ["recipe.yaml:1:4: x: unknown variable ''"]),
        ("x: '${a ${b}'", ["recipe.yaml:1:4: x: `${` without its `}`; a literal `${` is written `$${`"]),
    ],
)
def test_references_that_lead_nowhere(recipe: str, messages: list[str]) -> None:
    assert substituted(recipe)[1] == messages


def test_what_was_read_from_the_environment_is_known() -> None:
    assert substituted("x: ['${env.BITS}', '${env.UNSET:-1}']")[2] == {"BITS": "4", "UNSET": None}
