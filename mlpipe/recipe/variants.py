"""`quantize:` to variants: sweeps, matrices, chains and names."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Iterator
from typing import NamedTuple

from mlpipe.recipe.matrix import MOST_VARIANTS, Combination, expand_matrix
from mlpipe.recipe.mistakes import Mistakes, shown
from mlpipe.recipe.nodes import KeyPath, Node
from mlpipe.recipe.schema.quantize import QuantizeStep
from mlpipe.recipe.variables import Variables

LIST_PARAMETERS = frozenset({"skip"})
"""Parameters that are lists themselves; a list for any other makes variants."""
RESERVED_NAMES = frozenset({"converted", "source"})
"""Names that tasks and gates use for other things."""
_DIRECTIVES = ("matrix", "name", "steps")
_SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class WrittenVariant(NamedTuple):
    """A variant before its steps are validated."""

    name: str
    path: KeyPath
    """Of its entry in `quantize:`."""
    entry: Node
    steps: tuple[tuple[KeyPath, Node], ...]


def expand_variants(section: Node, variables: Variables, mistakes: Mistakes) -> list[WrittenVariant]:
    """Return every variant that `quantize:` declares, in order, with distinct names."""
    found: dict[str, WrittenVariant] = {}
    for key, entry in section.mapping.items():
        path = ("quantize", key)
        for variant in _Entry(key, entry, path, variables, mistakes).expand():
            known = found.setdefault(variant.name.lower(), variant)
            if known is not variant:  # file systems may ignore case
                mistakes.key(entry, path, f"makes the variant '{variant.name}', as {'.'.join(map(str, known.path))} does; write a `name:` for it")
    return list(found.values())


class _Entry:
    """One key of `quantize:`."""

    def __init__(self, key: str, entry: Node, path: KeyPath, variables: Variables, mistakes: Mistakes) -> None:
        self._key, self._entry, self._path = key, entry, path
        self._variables, self._mistakes = variables, mistakes

    def expand(self) -> Iterator[WrittenVariant]:
        if not self._entry.mapping and not self._entry.items:
            self._refuse(self._entry, self._path)
            return
        combinations, local = expand_matrix(self._entry.mapping.get("matrix"), (*self._path, "matrix"), self._variables, self._mistakes)
        name_template = self._entry.mapping.get("name")
        body = self._variables.substitute(self._entry.without("matrix", "name"), self._path, keep=local)
        steps = self._steps(body)
        if not steps:
            return
        self._check_axes_are_used(local, steps, name_template)
        for combination in combinations:
            yield from self._sweep(combination, steps, name_template)

    def _steps(self, body: Node) -> list[tuple[KeyPath, Node]]:
        """Return the steps as written, each with its path."""
        chain, path = (body.mapping["steps"], (*self._path, "steps")) if "steps" in body.mapping else (body, self._path)
        for extra in body.mapping if chain is not body else ():
            if extra not in _DIRECTIVES:
                self._mistakes.key(body.mapping[extra], (*self._path, extra), "stands beside `steps:`; put it into one of the steps")
        steps = [((*path, index), step) for index, step in enumerate(chain.items)] if chain.items else [(path, chain)]
        for step_path, step in steps:
            comes_from_matrix = step is body and "matrix" in self._entry.mapping
            if not step.mapping and not comes_from_matrix:
                self._refuse(step, step_path)
                return []
            for key in {"include", "exclude"} & step.mapping.keys():
                self._mistakes.key(step.mapping[key], (*step_path, key), f"'{key}' goes under `matrix:`")
                return []
        return steps

    def _refuse(self, node: Node, path: KeyPath) -> None:
        self._mistakes.value(node, path, f"expected a step such as {{method: linear, bits: 8}}, got {shown(node.value)}")

    def _check_axes_are_used(self, local: dict[str, Node], steps: list[tuple[KeyPath, Node]], name: Node | None) -> None:
        for axis, node in local.items():
            sets_parameter = len(steps) == 1 and axis in _PARAMETERS and axis not in steps[0][1].mapping
            texts = [inner.value for _, step in steps for _, inner in step.walk() if isinstance(inner.value, str)]
            if not sets_parameter and not any(f"${{{axis}}}" in text for text in texts):
                named = name is not None and f"${{{axis}}}" in str(name.value)
                where = "only the name uses" if named else "nothing uses"
                self._mistakes.key(node, (*self._path, "matrix", axis), f"'{axis}' is no parameter of the step, and {where} ${{{axis}}}")

    def _sweep(self, combination: Combination, steps: list[tuple[KeyPath, Node]], name: Node | None) -> Iterator[WrittenVariant]:
        filled = [(path, self._fill(step, combination, path, only=len(steps) == 1)) for path, step in steps]
        axes = [
            (index, key, node)
            for index, (_, step) in enumerate(filled)
            for key, node in step.mapping.items()
            if isinstance(node.value, list) and key not in LIST_PARAMETERS
        ]
        for index, key, node in axes:
            if not node.items:
                self._mistakes.value(node, (*filled[index][0], key), "an empty list makes no variant")
        count = math.prod(len(node.items) for _, _, node in axes)
        if count > MOST_VARIANTS:
            self._mistakes.key(self._entry, self._path, f"makes {count} variants; the most is {MOST_VARIANTS}")
            return
        for values in itertools.product(*(node.items for _, _, node in axes)):
            swept = list(filled)
            for (index, key, node), value in zip(axes, values, strict=True):
                path, step = swept[index]
                swept[index] = path, step._replace(value={**step.mapping, key: value._replace(key_place=node.key_place)})
            local = {**combination.values, **{key: value for (_, key, _), value in zip(axes, values, strict=True)}}
            made = self._name([*combination.names, *values], local, name)
            if made is not None:
                yield WrittenVariant(made, self._path, self._entry, tuple(swept))

    def _fill(self, step: Node, combination: Combination, path: KeyPath, *, only: bool) -> Node:
        step = self._variables.substitute(step, path, combination.values)
        if not only:
            return step
        implied = {key: value for key, value in combination.values.items() if key in _PARAMETERS and key not in step.mapping}
        return step.with_entries(**implied) if implied else step

    def _name(self, values: list[Node], local: dict[str, Node], template: Node | None) -> str | None:
        """Return the variant's name, or None if there is none that can be a file's."""
        node, path = self._entry, self._path
        if template is not None:
            node, path = self._variables.substitute(template, (*self._path, "name"), local), (*self._path, "name")
            name = str(node.plain())
            if self._mistakes.concerns([template.place]):
                return None
        else:
            name = "-".join([self._key, *(str(value.value).lower() if isinstance(value.value, bool) else str(value.plain()) for value in values)])
        if not _SAFE_NAME.fullmatch(name):
            message = f"'{name}' cannot be a file name: use letters, digits, '.', '-' and '_', a letter or digit first"
            message += "; write a `name:` for it" if template is None and name != self._key else ""
        elif name.lower() in RESERVED_NAMES:
            message = f"the name '{name}' is taken: it stands for the {'source' if name.lower() == 'source' else 'model before compression'}"
        else:
            return name
        self._mistakes.key(node, path, message)
        return None


_PARAMETERS = frozenset({*QuantizeStep.model_fields, "weights"})
