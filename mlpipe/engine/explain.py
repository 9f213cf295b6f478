"""Why a task is not up to date: the fields of its key that changed, old -> new."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from mlpipe.engine.keys import Fields

_MISSING = "(none)"


@dataclass(frozen=True)
class Change:
    """One field of a key, before and now."""

    field: str
    """As in `parameters.bits`, `tools.coremltools`, `inputs.model`, `files.samples: 0001.png`, `code: mlpipe.runtime.execute`."""
    old: str
    new: str

    def __str__(self) -> str:
        """Return `field: old -> new`; a digest says only that it changed."""
        if self.field.startswith(("code:", "files.", "inputs.")) and _MISSING not in {self.old, self.new}:
            return f"{self.field} changed"
        return f"{self.field}: {self.old} -> {self.new}"


def changes(old: Fields, new: Fields, members: Callable[[str], Mapping[str, str] | None], inputs: Mapping[str, str]) -> list[Change]:
    """Return what differs between two keys' fields.

    `members` gives what a set digest is made of, where that is known; `inputs` names the task behind each role.
    """
    found: list[Change] = []
    before, after = _flat(old), _flat(new)
    for field in [*after, *(field for field in before if field not in after)]:
        one, other = before.get(field, _MISSING), after.get(field, _MISSING)
        if one == other:
            continue
        sets = members(str(one)), members(str(other))
        if (field == "code" or field.startswith("files.")) and sets[0] is not None and sets[1] is not None:
            found += _member_changes(field, sets[0], sets[1])
        else:
            role = field.removeprefix("inputs.")
            name = f"{field} ({inputs[role]})" if field.startswith("inputs.") and role in inputs else field
            found.append(Change(name, _text(one), _text(other)))
    return found


def sentence(found: list[Change], limit: int = 3) -> str:
    """Return changes as one line."""
    more = f", and {len(found) - limit} more" if len(found) > limit else ""
    return ", ".join(str(change) for change in found[:limit]) + more


def _member_changes(field: str, old: Mapping[str, str], new: Mapping[str, str]) -> list[Change]:
    names = sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))
    return [Change(f"{field}: {name}", old.get(name, _MISSING), new.get(name, _MISSING)) for name in names]


def _flat(value: Any, prefix: str = "") -> dict[str, Any]:
    """Return a field path -> value for every leaf; a list is a leaf unless it holds mappings."""
    if isinstance(value, Mapping) and value:
        items = [(str(key), item) for key, item in value.items()]
    elif isinstance(value, list | tuple) and any(isinstance(item, Mapping) for item in value):
        items = [(str(index), item) for index, item in enumerate(value)]
    else:
        return {prefix: list(value) if isinstance(value, tuple) else value}
    flat: dict[str, Any] = {}
    for key, item in items:
        flat |= _flat(item, f"{prefix}.{key}" if prefix else key)
    return flat


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
