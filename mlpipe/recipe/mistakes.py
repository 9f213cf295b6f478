"""The mistakes of a recipe, collected so that the user sees all of them at once."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from mlpipe.errors import RecipeError, RecipeErrors
from mlpipe.recipe.nodes import KeyPath, Node, Place, path_text


class Mistakes:
    """A collector; one mistake a place, because the second one there is a consequence of the first."""

    def __init__(self) -> None:
        """Start without any."""
        self._found: dict[Place, str] = {}
        self._silenced: set[Place] = set()

    def __bool__(self) -> bool:
        """Return whether there is any."""
        return bool(self._found)

    def at(self, place: Place, path: KeyPath, message: str) -> None:
        """Add a mistake at a place."""
        if place in self._silenced:
            return
        self._found.setdefault(place, f"{path_text(path)}: {message}" if path else message)

    def silence(self, place: Place) -> None:
        """Ignore mistakes at a place, whose cause is reported elsewhere."""
        self._silenced.add(place)

    def concerns(self, places: Iterable[Place]) -> bool:
        """Return whether something is wrong at one of these places."""
        return any(place in self._found or place in self._silenced for place in places)

    def value(self, node: Node, path: KeyPath, message: str) -> None:
        """Add a mistake about a value."""
        self.at(node.place, path, message)

    def key(self, node: Node, path: KeyPath, message: str) -> None:
        """Add a mistake about a key, or about a value as a whole."""
        self.at(node.key_place or node.place, path, message)

    def raise_if_any(self) -> None:
        """Errors: RecipeErrors, in the order of the files."""
        if self._found:
            raise RecipeErrors([RecipeError(what, where=place.location()) for place, what in sorted(self._found.items(), key=lambda item: item[0])])


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return `, did you mean 'x'?` for the nearest known word, or nothing."""
    by_lower = {name.lower(): name for name in known}
    near = difflib.get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return f", did you mean '{by_lower[near[0]]}'?" if near else ""


def one_of(words: Iterable[object]) -> str:
    """Return `a, b or c`."""
    *most, last = map(str, words)
    return f"{', '.join(most)} or {last}" if most else last


def unknown(what: str, word: str, known: Iterable[str]) -> str:
    """Return the message for a word that is not in a list, with the nearest one, or with all of them where none is near."""
    names = list(known)
    hint = did_you_mean(word, names)
    if not hint and names:
        hint = f"; expected {one_of(names)}" if len(names) <= 40 else ""
    return f"unknown {what} '{word}'{hint}"


def shown(value: object) -> str:
    """Return a value as messages show it: short, and as YAML writes it."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "keys and values"
    if isinstance(value, list):
        return "a list"
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:56]}...{text[0]}"
