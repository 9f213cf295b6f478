"""What one input is given as, a value, a literal or a file, read as the value that the runtime takes."""

from __future__ import annotations

import json
import re
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mlpipe.analysis.prediction.pixels import pixels_for
from mlpipe.errors import RecipeError, SampleUnreadable
from mlpipe.recipe.schema.compare import Samples
from mlpipe.runtime.features import Feature
from mlpipe.samples.arrays import array_keys

if TYPE_CHECKING:
    from mlpipe.samples.ports import Array

NOT_JSON = {"nan": np.nan, "inf": np.inf, "-inf": -np.inf}
"""Numbers that JSON has no words for."""

READABLE = "a .npy, .npz, .json or .txt file, an image, or the numbers themselves as JSON, e.g. 3 or [1, 2, 3]"

ARRAY_SUFFIXES = (".npy", ".npz")


def value_of(feature: Feature, given: Any, settings: Samples) -> Any:
    """Return what the runtime is fed for one input. Arrays, images and numbers are taken as they are.

    Text is a literal (JSON; for inputs of strings the text itself, or `@FILE`), else a file's name. `settings` says how images fit.
    Errors: RecipeError for text that is neither; SampleUnreadable for a file that does not hold what the input takes.
    """
    if isinstance(given, Path):
        return read_value(feature, str(given), settings)
    if not isinstance(given, str):
        return _array(feature, given) if isinstance(given, list | tuple) and feature.kind == "array" else given
    if feature.kind == "string":
        return _text_file(Path(given[1:])) if given.startswith("@") else given
    literal = _literal(given)
    if literal is None:
        return read_value(feature, given, settings)
    return _structured(feature, literal)


def read_value(feature: Feature, location: str, settings: Samples) -> Any:
    """Return what a file holds for one input; `FILE.npz:KEY` names the array. Errors: RecipeError where there is no such file; SampleUnreadable."""
    path, key = _located(location)
    if path is None:
        what = f"input {feature.name!r}: {location!r} is neither a file nor a value"
        raise RecipeError(what, why=_json_complaint(location), fix=f"give {READABLE}")
    suffix = path.suffix.lower()
    if suffix in ARRAY_SUFFIXES:
        array = _array_file(feature, path, key)
        return pixels_for(feature, array, settings, path.name) if feature.kind == "image" else array
    if suffix == ".json":
        return _structured(feature, _json(path))
    if suffix == ".txt" and feature.kind == "string":
        return _text_file(path)
    if suffix in (".txt", ".csv"):
        return _numbers(feature, path)
    return pixels_for(feature, path, settings, path.name)


def named_values(features: Sequence[Feature], path: Path) -> dict[str, Any] | None:
    """Return what a .json holds for inputs by their names; None where it is no object. Errors: SampleUnreadable where one is missing or unknown."""
    values = _json(path)
    if not isinstance(values, dict):
        return None
    names = [feature.name for feature in features]
    if not set(values) <= set(names):
        raise SampleUnreadable(f"{path.name} does not name the model's inputs", fix=f"write an object with {', '.join(map(repr, names))}")
    missing = [feature.name for feature in features if not feature.optional and feature.name not in values]
    if missing:
        raise SampleUnreadable(f"{path.name} has no value for the input {missing[0]!r}")
    return {feature.name: _structured(feature, values[feature.name]) for feature in features if feature.name in values}


def _literal(text: str) -> Any:
    """Return the value that a text spells, or None where it spells none."""
    if text.lower() in NOT_JSON:
        return NOT_JSON[text.lower()]
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return None if isinstance(value, str) else value


def _json_complaint(text: str) -> str | None:
    if not text.lstrip().startswith(("[", "{")):
        return None
    try:
        json.loads(text)
    except (ValueError, RecursionError) as error:
        return f"as JSON: {error}"
    return None


def _structured(feature: Feature, value: Any) -> Any:
    """Return JSON as the input's kind takes it."""
    if feature.kind == "dictionary" and isinstance(value, dict):
        return {int(key) if feature.dtype == "int64" and re.fullmatch(r"-?\d+", key) else key: entry for key, entry in value.items()}
    return _array(feature, value) if feature.kind == "array" else value


def _array(feature: Feature, value: Any) -> Array:
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise SampleUnreadable(f"input {feature.name!r}: the lists have different lengths", why=str(error)) from error
    if array.dtype.kind in "OUS":
        raise SampleUnreadable(f"input {feature.name!r} takes numbers", why="the value holds something else, or whole numbers beyond 64 bits")
    return array


def _located(location: str) -> tuple[Path | None, str | None]:
    if Path(location).is_file():
        return Path(location), None
    name, separator, key = location.rpartition(":")
    if separator and key and name.lower().endswith(".npz") and Path(name).is_file():
        return Path(name), key
    return None, None


def _array_file(feature: Feature, path: Path, key: str | None) -> Array:
    keys = array_keys(path)
    if keys is None:
        wanted = None
    else:
        wanted = key or (keys[0] if len(keys) == 1 else feature.name)
        if wanted not in keys:
            fix = f"name one of them: {path}:{keys[0]}" if keys else None
            raise SampleUnreadable(f"{path.name} has no array {wanted!r}", why=f"its arrays are {', '.join(keys) or 'none'}", fix=fix)
    try:
        if wanted is None:
            return np.array(np.load(path, mmap_mode="r", allow_pickle=False))
        with np.load(path, allow_pickle=False) as arrays:
            return np.asarray(arrays[wanted])
    except (OSError, ValueError, EOFError, MemoryError, SyntaxError, zipfile.BadZipFile, zlib.error) as error:
        raise SampleUnreadable(f"{path.name} is damaged, or holds no numbers", why=str(error)) from error


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise SampleUnreadable(f"{path.name} is no JSON", why=str(error)) from error


def _text_file(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"the text {path} cannot be read", why=str(error)) from error


def _numbers(feature: Feature, path: Path) -> Array:
    """Return the numbers of a text file in the input's shape, row by row: text has none of its own."""
    try:
        words = re.split(r"[\s,;]+", path.read_text(encoding="utf-8").strip())
        numbers = np.array([float(word) for word in words if word])
    except (OSError, ValueError) as error:
        raise SampleUnreadable(f"{path.name} holds something that is no number", why=str(error)) from error
    sizes = feature.sizes.default
    fixed = feature.kind == "array" and not feature.sizes.enumerated and not feature.sizes.ranges
    if fixed and sizes and numbers.size == np.prod(sizes, dtype=np.int64):
        return numbers.reshape(sizes)
    return numbers.reshape(()) if numbers.size == 1 and feature.kind != "array" else numbers
