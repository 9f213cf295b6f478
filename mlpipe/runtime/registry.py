"""Tables of ops: which function lowers an op, from which version of the op set on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Generic, TypeVar

Entry = TypeVar("Entry")


class Registry(Generic[Entry]):
    """Entries by op name and version. Filled while the op modules are imported and only read afterwards."""

    def __init__(self, versions: Sequence[str]) -> None:
        """Start an empty table; `versions` in the order in which they appeared."""
        self._versions = {version: number for number, version in enumerate(versions)}
        self._entries: dict[str, dict[int, Entry]] = {}

    def add(self, names: Iterable[str], since: str, entry: Entry) -> None:
        """Enter an op under one or several names. A name that has an entry of the same version is a mistake of the programmer: ValueError."""
        for name in names:
            versions = self._entries.setdefault(name, {})
            if self._versions[since] in versions:
                raise ValueError(f"{name} is registered twice for {since}")
            versions[self._versions[since]] = entry

    def find(self, name: str, version: str) -> Entry | None:
        """Return the newest entry that is not newer than the version, or None."""
        fitting = [number for number in self._entries.get(name, {}) if number <= self._versions[version]]
        return self._entries[name][max(fitting)] if fitting else None

    def names(self) -> list[str]:
        """Return every name that has an entry, sorted."""
        return sorted(self._entries)
