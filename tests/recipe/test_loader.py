from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from mlpipe.errors import RecipeError
from mlpipe.recipe import loader, yaml_types
from mlpipe.recipe.loader import load, parse

HERE = Path("recipe.yaml")

CORE_TYPES: list[tuple[str, Any]] = [  # YAML 1.2.2, 10.3.2; the comments say what YAML 1.1 makes of it
    ("1e-3", 0.001),  # text
    ("1E3", 1000.0),
    (".5", 0.5),
    ("5.", 5.0),
    ("-1.5e+3", -1500.0),
    ("no", "no"),  # False
    ("on", "on"),  # True
    ("Yes", "Yes"),  # True
    ("12:30", "12:30"),  # 750
    ("012", 12),  # 10
    ("0o14", 12),  # text
    ("0x1F", 31),
    ("-0", 0),
    ("+7", 7),
    ("0b11", "0b11"),  # 3
    ("1_000", "1_000"),  # 1000
    ("2026-01-02", "2026-01-02"),  # a date
    ("true", True),
    ("FALSE", False),
    ("tRue", "tRue"),
    ("null", None),
    ("~", None),
    ("", None),
    ("nil", "nil"),
    (".inf", math.inf),
    ("-.INF", -math.inf),
    ("inf", "inf"),
    ("1.2.3", "1.2.3"),
    ("'1'", "1"),
    ('"true"', "true"),
    ("!!str 1", "1"),
    ("!!int '7'", 7),
    ("!!float 7", 7.0),
    ("=", "="),
]


@pytest.mark.parametrize(("text", "value"), CORE_TYPES)
def test_scalars_have_the_types_of_yaml_1_2(text: str, value: object) -> None:
    loaded = parse(f"key: {text}\n", HERE).plain()["key"]
    assert loaded == value
    assert type(loaded) is type(value)


def test_not_a_number_is_one() -> None:
    assert math.isnan(parse("a: .nan", HERE).plain()["a"])


@pytest.mark.parametrize("text", ["!!int x", "!!bool maybe", "!!timestamp 2026-01-02", "!!binary aaaa", "!mine x", "9" * 5000])
def test_scalars_that_are_refused(text: str) -> None:
    with pytest.raises(RecipeError, match=r"recipe.yaml:1:\d+"):
        parse(f"a: {text}\n", HERE)


TEXT = st.text(st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"]), max_size=8)  # JSON writes the others as pairs that YAML has not
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**15), 10**15) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda children: st.lists(children, max_size=4) | st.dictionaries(TEXT, children, max_size=4),
    max_leaves=12,
)


@given(st.dictionaries(TEXT, JSON, min_size=1, max_size=4))
@settings(deadline=None)
def test_json_is_yaml(data: dict[str, Any]) -> None:
    assert parse(json.dumps(data), HERE).plain() == data


@given(st.dictionaries(st.text("abc", min_size=1, max_size=3), JSON, min_size=1, max_size=4), st.integers(1, 5))
@settings(deadline=None)
def test_every_value_knows_its_place(data: dict[str, Any], indent: int) -> None:
    text = json.dumps(data, indent=indent)
    lines = text.split("\n")
    for path, node in parse(text, HERE).walk():
        written = json.dumps(node.plain()) if node.is_scalar else "[" if isinstance(node.value, list) else "{"
        assert lines[node.place.line - 1][node.place.column - 1 :].startswith(written)
        if node.key_place is not None:
            assert lines[node.key_place.line - 1][node.key_place.column - 1 :].startswith(json.dumps(path[-1]) + ":")


@pytest.mark.parametrize("text", ["a: 1e-3\nb: [no, {c: 0o7}]\n", "a: &x {b: 1}\nc: {<<: *x, d: 2}\n", "a: |\n  text\nb: 'x'\n"])
def test_the_pure_python_loader_agrees(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fast = parse(text, HERE)

    class PureLoader(yaml.SafeLoader):
        yaml_implicit_resolvers = yaml_types.CoreLoader.yaml_implicit_resolvers

    monkeypatch.setattr(loader, "CoreLoader", PureLoader)
    assert parse(text, HERE) == fast


def test_keys_are_text() -> None:
    assert parse("8: a\ntrue: b\nnull: c\n1.50: d\n", HERE).plain() == {"8": "a", "true": "b", "null": "c", "1.50": "d"}


def test_duplicate_keys_are_refused_wherever_they_stand() -> None:
    with pytest.raises(RecipeError) as raised:
        parse('a: {b: 1, "b": 2}\nc:\n  - d: 1\n    d: 2\na: 3\n', HERE)
    assert str(raised.value).split("\n") == [
        "recipe.yaml:1:11: duplicate key 'b', first on line 1",
        "recipe.yaml:4:5: duplicate key 'd', first on line 3",
        "recipe.yaml:5:1: duplicate key 'a', first on line 1",
    ]


def test_merge_keys_bring_what_is_not_written_and_keep_its_place() -> None:
    node = parse("base: &base {a: 1, b: 2}\nother: &other {b: 3, c: 4}\nx: {b: 9, <<: [*base, *other]}\n", HERE).mapping["x"]
    assert node.plain() == {"a": 1, "b": 9, "c": 4}
    assert (node.mapping["a"].place.line, node.mapping["a"].key_place) == (1, (HERE, 1, 14))


def test_merging_something_else_is_refused() -> None:
    with pytest.raises(RecipeError, match=r"recipe.yaml:1:5: `<<` takes a mapping"):
        parse("x: {<<: 3}", HERE)


def test_an_alias_bomb_is_refused_at_once() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"] + [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 20)]
    with pytest.raises(RecipeError, match="aliases multiply this to more than a million values"):
        parse("\n".join(lines), HERE)


@pytest.mark.parametrize("text", ["a: " + "[" * 100_000, "- " * 100_000 + "x", "a: " + "{b: " * 100_000, "?" * 1 + " ?" * 100_000])
def test_deep_nesting_is_refused_rather_than_ending_the_process(text: str) -> None:
    with pytest.raises(RecipeError, match="nested deeper than"):
        parse(text, HERE)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"a: 1\nb: \xff\n", "recipe.yaml:2: the file is not UTF-8 text"),
        (b"a: \x01\n", "recipe.yaml:1:4: not valid YAML: control characters are not allowed"),
        (b"---\na: 1\n---\nb: 2\n", "recipe.yaml:3:1: not valid YAML expected a single document in the stream: but found another document"),
        (b"", "recipe.yaml:1:1: the file is empty"),
    ],
)
def test_files_that_are_no_yaml(data: bytes, message: str, folder: Path) -> None:
    (folder / "recipe.yaml").write_bytes(data)
    with pytest.raises(RecipeError) as raised:
        load(folder / "recipe.yaml")
    assert str(raised.value) == message


def test_a_byte_order_mark_and_windows_line_ends_are_read(folder: Path) -> None:
    (folder / "recipe.yaml").write_bytes(b"\xef\xbb\xbfa: 1\r\nb: {c: x}\r\n")
    node = load(folder / "recipe.yaml")
    assert node.plain() == {"a": 1, "b": {"c": "x"}}
    assert node.mapping["b"].mapping["c"].place[1:] == (2, 8)


def test_a_file_that_cannot_be_read(folder: Path) -> None:
    with pytest.raises(RecipeError, match=r"^absent.yaml: cannot read the file: No such file or directory$"):
        load(folder / "absent.yaml")
