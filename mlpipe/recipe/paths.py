"""Paths of a recipe: relative to the file that names them, existing, and absolute afterwards."""

from __future__ import annotations

import contextlib
import difflib
import glob
import os
from collections.abc import Callable
from pathlib import Path

from mlpipe.errors import RecipeError
from mlpipe.recipe.guess import source_kind
from mlpipe.recipe.mistakes import Mistakes
from mlpipe.recipe.nodes import KeyPath, Node
from mlpipe.recipe.schema.source import SOURCE_KINDS

_Check = Callable[[str], bool]


def resolve_paths(recipe: Node, mistakes: Mistakes) -> Node:
    """Return the recipe with absolute paths, after adding those that name nothing to the mistakes."""
    for section in ("source", "reference"):
        for kind in SOURCE_KINDS:
            recipe = _resolve(recipe, (section, kind), mistakes, _model_exists if kind == "tensorflow" else _is_file_or_folder, skip=_is_url)
            _check_kind(recipe, (section, kind), mistakes)
        recipe = _resolve(recipe, (section, "modules"), mistakes, os.path.isfile)
    recipe = _resolve(recipe, ("reference", "npz"), mistakes, os.path.isfile)
    recipe = _resolve(recipe, ("convert", "classifier", "class_labels"), mistakes, os.path.isfile, lists=False)
    samples = ("compare", "samples")
    recipe = _resolve(recipe, (*samples, "images"), mistakes, _glob_matches, globs=True)
    recipe = _resolve(recipe, (*samples, "arrays"), mistakes, os.path.isfile)
    recipe = _resolve(recipe, (*samples, "labels"), mistakes, os.path.isfile, lists=False)
    return _resolve(recipe, (*samples, "ground_truth"), mistakes, os.path.isfile, skip=lambda text: text.startswith("key:"))


def _resolve(tree: Node, path: KeyPath, mistakes: Mistakes, exists: _Check, *, skip: _Check | None = None, lists: bool = True, globs: bool = False) -> Node:
    """Return the tree with the path or the list of paths that stand at a place made absolute."""
    node = tree
    for key in path:
        if key not in node.mapping:
            return tree
        node = node.mapping[str(key)]
    targets = [(path, node)] if not node.items else [((*path, index), item) for index, item in enumerate(node.items)] if lists else []
    for target_path, target in targets:
        if isinstance(target.value, str) and not (skip and skip(target.value)):
            absolute = absolute_path(target, globs=globs)
            if not exists(absolute):
                mistakes.value(target, target_path, missing_file(target, globs=globs))
            tree = tree.replaced(target_path, target._replace(value=absolute))
    return tree


def absolute_path(node: Node, *, globs: bool = False) -> str:
    """Return a path relative to the file in which it stands; as a glob, special characters of the folder are escaped."""
    folder = str(node.place.file.parent)
    return os.path.normpath(os.path.join(glob.escape(folder) if globs else folder, node.value))  # noqa: PTH118 - Path would drop a trailing `..`


def missing_file(node: Node, *, globs: bool = False) -> str:
    """Return the message for a path that names nothing, with the nearest name in its folder."""
    if globs:
        return f"no file matches '{node.value}'"
    path = Path(absolute_path(node))
    try:
        path.stat()
        return f"'{node.value}' is a {'folder, not a file' if path.is_dir() else 'pipe or a device, not a file'}"
    except PermissionError as error:
        return f"'{node.value}' cannot be read: {error.strerror}"
    except (OSError, ValueError):  # not there, or a name that no file can have
        neighbours = _names_in(path.parent)
    near = difflib.get_close_matches(path.name, neighbours, n=1, cutoff=0.75)
    hint = f", did you mean '{Path(node.value).with_name(near[0])}'?" if near and Path(node.value).name else ""
    return f"no such file: '{node.value}'{hint}"


def _names_in(folder: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in folder.iterdir())
    except (OSError, ValueError):
        return []


def _is_url(text: str) -> bool:
    return text.startswith(("https://", "http://"))


def _check_kind(recipe: Node, path: KeyPath, mistakes: Mistakes) -> None:
    """Add a mistake where a model stands under the key of another kind, which would read it in vain."""
    section, kind = path
    node = recipe.mapping[section].mapping.get(str(kind)) if section in recipe.mapping else None
    if node is None or not isinstance(node.value, str) or not _is_file_or_folder(node.value):
        return
    with contextlib.suppress(RecipeError):  # nothing says what it is: the step that reads it will
        found = source_kind(Path(node.value))
        if found != kind:
            mistakes.value(node, path, f"'{Path(node.value).name}' goes under `{found}:`")


def _is_file_or_folder(path: str) -> bool:
    """Return whether a path can be read as a model: a pipe would wait for ever."""
    return os.path.isfile(path) or os.path.isdir(path)  # noqa: PTH113, PTH112 - as fast as exists


def _model_exists(path: str) -> bool:
    """Return whether there is a file, a folder, or a checkpoint with this prefix."""
    return any(_is_file_or_folder(path + suffix) for suffix in ("", ".index", ".meta"))


def _glob_matches(pattern: str) -> bool:
    return any(os.path.isfile(found) for found in glob.iglob(pattern, recursive=True))  # noqa: PTH113, PTH207 - absolute patterns
