"""Many samples for one model: a folder or glob with a file a sample, or one array file with samples along its first axis."""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from mlpipe.analysis.prediction.pixels import IMAGE_SUFFIXES, pixels_for
from mlpipe.analysis.prediction.values import ARRAY_SUFFIXES, named_values, read_value
from mlpipe.errors import RecipeError, SampleUnreadable
from mlpipe.recipe.schema.compare import Samples
from mlpipe.runtime.features import Feature
from mlpipe.samples.arrays import ArrayFile, array_keys, open_array
from mlpipe.samples.files import sample_ids
from mlpipe.samples.ports import Array

Feed = dict[str, Any]


@dataclass(frozen=True)
class Batch:
    """Samples that are read one at a time."""

    ids: tuple[str, ...]
    read: Callable[[], Iterator[Callable[[], Feed]]]
    """Yields, for each sample in order, what reads it."""
    note: str | None = None
    """What of the given place is no sample."""


def open_batch(location: str | Path, features: Sequence[Feature], settings: Samples, limit: int | None = None) -> Batch:
    """Return the samples at a place, for the inputs that nothing else feeds. An optional one is fed where an .npz has an array of its name.

    Errors: RecipeError where there are none; SampleUnreadable for an array file that does not fit the inputs as a whole.
    """
    place, key = _place(str(location))
    if place.is_file() and place.suffix.lower() in ARRAY_SUFFIXES:
        return _rows(place, key, features, settings, limit)
    files, note = _files(str(location), json_too=any(feature.kind not in ("array", "image") for feature in _fed(features, [])))
    if not files:
        fix = "give a folder, a glob in quotes, or a .npz with samples along the first axis"
        raise RecipeError(f"--samples: there are no samples at {str(location)!r}", why=note, fix=fix)
    files = files[:limit]
    names = sample_ids(files) if len(files) > 1 else [file.name for file in files]
    return Batch(tuple(names), lambda: (partial(_sample, file, features, settings) for file in files), note)


def _place(location: str) -> tuple[Path, str | None]:
    name, separator, key = location.rpartition(":")
    return (Path(name), key) if separator and not Path(location).exists() and Path(name).is_file() else (Path(location), None)


def _files(location: str, *, json_too: bool) -> tuple[list[Path], str | None]:
    """Return the files of a folder that inputs can be read from, and those that a glob or a name names, whatever they are.

    A .json in a folder is a sample where inputs are dictionaries, text or single numbers; beside images and arrays it is more often about them.
    """
    folder = Path(location)
    if not folder.is_dir():
        return sorted(Path(name) for name in glob.glob(location, recursive=True) if Path(name).is_file()), None  # noqa: PTH207 (absolute globs)
    found = sorted(path for path in folder.rglob("*") if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts))
    suffixes = (*IMAGE_SUFFIXES, *ARRAY_SUFFIXES, *((".json",) if json_too else ()))
    files = [path for path in found if path.suffix.lower() in suffixes]
    others = [path.name for path in found if path not in set(files)]
    return files, f"passed over, neither images nor arrays: {_some(others)}" if others else None


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (" ..." if len(names) > 3 else "")


def _sample(path: Path, features: Sequence[Feature], settings: Samples) -> Feed:
    if path.suffix.lower() == ".npz":
        return {feature.name: read_value(feature, str(path), settings) for feature in _fed(features, array_keys(path) or [])}
    fed = _fed(features, [])
    if path.suffix.lower() == ".json" and [feature.kind for feature in fed] != ["dictionary"]:
        named = named_values(features, path)
        if named is not None:
            return named
    feature = _only(fed, path.name)
    return {feature.name: read_value(feature, str(path), settings)}


def _fed(features: Sequence[Feature], names: Sequence[str]) -> list[Feature]:
    """Return the inputs that samples feed: those that must be fed and those that are named, or else the only one that there is."""
    return [feature for feature in features if not feature.optional or feature.name in names] or list(features[:1])


def _only(features: Sequence[Feature], name: str) -> Feature:
    if len(features) != 1:
        listed = ", ".join(repr(feature.name) for feature in features)
        why = f"the model takes {listed}" if features else "every input is given with --input already"
        raise SampleUnreadable(
            f"{name} feeds one input",
            why=why,
            fix="give the others with --input, or each sample as an .npz with an array for each, or a .json with a value for each",
        )
    return features[0]


def _rows(path: Path, key: str | None, features: Sequence[Feature], settings: Samples, limit: int | None) -> Batch:
    features = _fed(features, array_keys(path) or [])
    arrays = {feature.name: open_array(path, _key(path, key, feature, features)) for feature in features}
    if not arrays:
        _only(features, path.name)
    lengths = {array.shape[0] for array in arrays.values()}
    if len(lengths) != 1:
        listed = ", ".join(f"{name} {array.shape[0]}" for name, array in arrays.items())
        raise SampleUnreadable(f"{path.name}: the inputs have different numbers of samples ({listed})")
    if lengths == {0}:
        raise SampleUnreadable(f"{path.name} has no samples", why="its first axis, which counts them, is 0 long")
    total = lengths.pop() if limit is None else min(lengths.pop(), limit)
    lift = {feature.name: _lift(feature, arrays[feature.name]) for feature in features}
    by_name = {feature.name: feature for feature in features}

    def sample(row: dict[str, Array]) -> Feed:
        return {name: _row(by_name[name], value, lift[name], settings, path) for name, value in row.items()}

    def read() -> Iterator[Callable[[], Feed]]:
        rows = zip(*(array.rows() for array in arrays.values()), strict=True)
        return (partial(sample, dict(zip(arrays, row, strict=True))) for row in islice(rows, total))

    unused = [name for name in array_keys(path) or [] if key is None and name not in {array.key for array in arrays.values()}]
    return Batch(tuple(map(str, range(total))), read, f"passed over, no inputs: {_some(unused)}" if unused else None)


def _key(path: Path, key: str | None, feature: Feature, features: Sequence[Feature]) -> str | None:
    keys = array_keys(path)
    if keys is None:
        _only(features, path.name)
        return None
    if key is not None:
        _only(features, f"{path.name}:{key}")
        return key
    if feature.name in keys or (len(keys) == 1 and len(features) == 1):
        return feature.name if feature.name in keys else keys[0]
    fix = f"name it: --samples {path}:{keys[0]}" if len(features) == 1 and keys else "name the arrays as the inputs"
    raise SampleUnreadable(f"{path.name} has no array {feature.name!r}", why=f"its arrays are {', '.join(keys) or 'none'}", fix=fix)


def _lift(feature: Feature, array: ArrayFile) -> bool:
    """Return whether a row lacks the input's first dimension, which is one sample long. Errors: SampleUnreadable where it fits neither way."""
    shape = array.shape[1:]
    if feature.kind != "array" or feature.sizes.accept(shape):
        return False
    if feature.sizes.accept((1, *shape)):
        return True
    label = array.path.name if array.key is None else f"{array.path.name}:{array.key}"
    raise SampleUnreadable(f"{label} has samples of shape {list(shape)}", why=f"input {feature.name!r} is a {feature}; the first axis counts the samples")


def _row(feature: Feature, value: Array, lift: bool, settings: Samples, path: Path) -> Any:
    if feature.kind == "image":
        return pixels_for(feature, value, settings, path.name)
    if feature.kind != "array":
        return value
    return np.asarray(value[None] if lift else value)
