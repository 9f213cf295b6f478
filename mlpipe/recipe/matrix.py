"""`matrix:`, with `include` and `exclude`, as GitHub Actions has it."""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

from mlpipe.recipe.mistakes import Mistakes, shown
from mlpipe.recipe.nodes import KeyPath, Node
from mlpipe.recipe.variables import Variables

MOST_VARIANTS = 10_000
"""More is taken for a slip of the pen."""


class Combination(NamedTuple):
    """One point of a matrix."""

    values: dict[str, Node]
    names: list[Node]
    """The values that name it: those of the axes, or of an `include` that stands alone."""


def expand_matrix(written: Node | None, path: KeyPath, variables: Variables, mistakes: Mistakes) -> tuple[list[Combination], dict[str, Node]]:
    """Return the combinations and the names that they define; without a matrix a single empty combination."""
    if written is None:
        return [Combination({}, [])], {}
    matrix = variables.substitute(written, path)
    if not matrix.mapping:
        mistakes.value(matrix, path, f"expected keys with lists of values, got {shown(matrix.value)}")
        return [], {}
    axes = {key: node for key, node in matrix.mapping.items() if key not in ("include", "exclude")}
    included, excluded = _objects(matrix, "include", path, mistakes), _objects(matrix, "exclude", path, mistakes)
    if not _check_axes(matrix, axes, excluded, path, mistakes):
        return [], {}
    points = [dict(zip(axes, values, strict=True)) for values in itertools.product(*(node.items for node in axes.values()))] if axes else []
    kept = [point for point in points if not any(_agrees(object_, point, object_.mapping) for object_ in excluded)]
    combinations = [Combination(dict(point), list(point.values())) for point in kept]
    for object_ in included:
        _include(object_, kept, combinations, axes)
    if not combinations and not mistakes.concerns(node.place for node in matrix.mapping.values()):
        mistakes.key(matrix, path, "makes no variant")
    return combinations, {**axes, **{key: node for object_ in included for key, node in object_.mapping.items() if key not in axes}}


def _check_axes(matrix: Node, axes: dict[str, Node], excluded: list[Node], path: KeyPath, mistakes: Mistakes) -> bool:
    """Return whether a matrix can be expanded, after adding what is wrong with its axes."""
    for key, node in axes.items():
        if not node.items:
            mistakes.value(node, (*path, key), f"expected a list of values, got {shown(node.value)}")
    for position, object_ in enumerate(excluded):
        for key, node in object_.mapping.items():
            if key not in axes:
                mistakes.key(node, (*path, "exclude", position, key), f"'{key}' is no key of the matrix")
    count = math.prod(len(node.items) for node in axes.values())
    if count > MOST_VARIANTS:
        mistakes.key(matrix, path, f"makes {count} variants; the most is {MOST_VARIANTS}")
    return count <= MOST_VARIANTS


def _objects(matrix: Node, key: str, path: KeyPath, mistakes: Mistakes) -> list[Node]:
    node = matrix.mapping.get(key)
    if node is None:
        return []
    if not node.items or not all(item.mapping for item in node.items):
        mistakes.value(node, (*path, key), "expected a list of keys and values")
    return [item for item in node.items if item.mapping]


def _agrees(object_: Node, point: dict[str, Node], keys: object) -> bool:
    """Return whether an object has a point's values for some of its keys."""
    return all(key in point and object_.mapping[key].plain() == point[key].plain() for key in keys)  # type: ignore[attr-defined]


def _include(object_: Node, points: list[dict[str, Node]], combinations: list[Combination], axes: dict[str, Node]) -> None:
    """Add an object's entries to every combination whose axes it would not change; where there is none, it is a new combination."""
    own_axes = [key for key in object_.mapping if key in axes]
    fitting = [combination for point, combination in zip(points, combinations, strict=False) if _agrees(object_, point, own_axes)]
    for combination in fitting:
        combination.values.update({key: node for key, node in object_.mapping.items() if key not in axes})
    if not fitting:
        combinations.append(Combination(dict(object_.mapping), list(object_.mapping.values())))
