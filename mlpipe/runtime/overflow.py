"""Where float16 overflows: the layers that make NaN, infinities or numbers near the end of float16 of inputs that hold none, first cause first."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, Any

import numpy as np

from mlpipe.runtime.graph_walk import origins
from mlpipe.runtime.lowered import LayerValue
from mlpipe.runtime.precision import Precision
from mlpipe.runtime.taps import Taps

if TYPE_CHECKING:
    from mlpipe.runtime.model import RuntimeModel

LARGEST = 65504.0
"""The largest number that float16 holds."""

MOST_SENTENCES = 5

Feeds = Sequence[Mapping[str, Any]]


class Extent(IntEnum):
    """How bad the worst numbers of a value are."""

    FINE = 0
    NEAR = 1
    """At least half of what float16 can hold."""
    INFINITE = 2
    NAN = 3


@dataclass(frozen=True)
class Overflow:
    """A layer that overflows float16, or comes within a factor of two of it."""

    name: str
    """The value that the layer makes."""
    type: str
    """The operation or the type of layer."""
    extent: Extent
    count: int
    """How many elements are of this extent, in all samples together."""
    largest: float
    """The largest magnitude in float16, infinities and NaN apart."""
    float32: float
    """The largest magnitude that float32 has where these elements are; NaN where it has NaN there too."""
    samples: tuple[int, ...]
    """In which feeds it happens, counted from 0."""

    def __str__(self) -> str:
        """Return one sentence."""
        elements = "1 element" if self.count == 1 else f"{self.count} elements"
        if self.extent is Extent.NEAR:
            return f"{self.name} ({self.type}) comes near the end of float16 in {elements}: up to {self.largest:.5g} of {LARGEST:.0f}"
        becomes = "infinite" if self.extent is Extent.INFINITE else "NaN"
        return f"{self.name} ({self.type}) becomes {becomes} in {elements}, where float32 has up to {self.float32:.5g}"


@dataclass(frozen=True)
class _Seen:
    """What one value is in one sample."""

    extent: Extent = Extent.FINE
    count: int = 0
    largest: float = 0.0


def find_overflows(model: RuntimeModel, feeds: Feeds) -> list[Overflow]:
    """Return the layers that overflow when what is declared float16 is rounded to it after every op, in the order in which they are computed.

    A layer is named where its output is worse than all that it reads, or holds large numbers of its own; what only passes them on is not.
    A model that keeps state starts each feed with zeros. Programs that are declared in float32 do not overflow float16: convert them first.
    Errors: InvalidInput; NotExecutable.
    """
    half = model.computed_in(Precision.FLOAT16)
    taps = half.taps()
    seen: dict[tuple[str, int], _Seen] = {}
    for part in _parts(half, taps, feeds):
        for number, feed in enumerate(feeds):
            arrays = part.predict_arrays(feed, state=half.make_state())
            seen |= {(value.value, number): _look(arrays[value.name], value) for value in part.values}
    reading = _reads(taps)
    constants = {name: _constant(taps.graph.constants[name]) for _, reads in reading for name in reads if name in taps.graph.constants}
    found: dict[str, dict[int, _Seen]] = {}
    for value, reads in reading:
        for number, feed in enumerate(feeds):
            before = [seen.get((name, number)) or constants.get(name, _Seen()) for name in reads]
            if value.type == "input":
                before = [_look(np.asarray(feed.get(value.name, 0)), value)]
            if value.dtype == "float16" and _is_made_here(seen[value.value, number], before):
                found.setdefault(value.name, {})[number] = seen[value.value, number]
    return [_overflow(value, found[value.name], elsewhere) for value, elsewhere in _in_float32(model, half, taps.values, found, feeds)]


def what_overflows(model: RuntimeModel, feed: Mapping[str, Any]) -> list[str]:
    """Return a sentence for each of the first layers that become infinite or NaN. Errors: InvalidInput; NotExecutable."""
    return [str(each) for each in model.overflows(feed) if each.extent > Extent.NEAR][:MOST_SENTENCES]


def _reads(taps: Taps) -> list[tuple[LayerValue, set[str]]]:
    """Return each value with the other values and the constants that it is computed from; a value of two names goes by its first."""
    makers = {output: node for node in taps.graph.nodes for output in node.outputs}
    first: dict[str, LayerValue] = {}
    for value in taps.values:
        first.setdefault(value.value, value)
    return [(value, origins(makers, value.value, first)) for value in first.values()]


def _look(array: np.ndarray, value: LayerValue) -> _Seen:
    """Return how bad an array is; only float16 can come near its end."""
    if array.dtype.kind != "f" or not array.size:
        return _Seen()
    magnitudes = np.abs(array)
    largest = float(np.max(magnitudes, where=np.isfinite(array), initial=0))
    for extent in (Extent.NAN, Extent.INFINITE, Extent.NEAR):
        count = int(_elements(magnitudes, extent).sum())
        if count and (extent is not Extent.NEAR or value.dtype == "float16"):
            return _Seen(extent, count, largest)
    return _Seen(largest=largest)


def _elements(array: np.ndarray, extent: Extent) -> np.ndarray:
    tests: dict[Extent, Callable[[np.ndarray], Any]] = {
        Extent.NAN: np.isnan,
        Extent.INFINITE: np.isinf,
        Extent.NEAR: lambda numbers: np.abs(numbers) >= LARGEST / 2,
    }
    return np.asarray(tests[extent](array))


def _constant(array: np.ndarray) -> _Seen:
    """Return how bad a constant is: what is infinite in the file was not made by the layer that reads it."""
    if array.dtype.kind != "f" or np.isfinite(array).all():
        return _Seen()
    return _Seen(Extent.NAN if np.isnan(array).any() else Extent.INFINITE)


def _is_made_here(own: _Seen, before: Sequence[_Seen]) -> bool:
    worst = max((each.extent for each in before), default=Extent.FINE)
    if own.extent is Extent.NEAR:
        return worst < Extent.NEAR or (worst is Extent.NEAR and own.largest not in [each.largest for each in before])
    return own.extent > worst


def _in_float32(
    model: RuntimeModel, half: RuntimeModel, values: Sequence[LayerValue], found: Mapping[str, Mapping[int, _Seen]], feeds: Feeds
) -> Iterator[tuple[LayerValue, float]]:
    """Yield the values that were found, with the largest magnitude that float32 has where float16 is worst."""
    if not found:
        return
    single = model.computed_in(Precision.FLOAT32)
    for part in _parts(half, half.taps(list(found)), feeds):
        names = [value.name for value in part.values]
        other = single.taps(names)
        largest = dict.fromkeys(names, 0.0)
        for number, feed in enumerate(feeds):
            rounded, unrounded = (taps.predict_arrays(feed, state=half.make_state()) for taps in (part, other))
            for name in names:
                if number in found[name]:
                    there = np.abs(unrounded[name])[_elements(rounded[name], _worst(found[name]))]
                    largest[name] = float(np.maximum(largest[name], np.max(there, initial=0)))
        yield from ((value, largest[value.name]) for value in values if value.name in largest)


def _overflow(value: LayerValue, seen: Mapping[int, _Seen], float32: float) -> Overflow:
    extent = _worst(seen)
    worst = {number: each for number, each in seen.items() if each.extent is extent}
    count = sum(each.count for each in worst.values())
    return Overflow(value.name, value.type, extent, count, max(each.largest for each in worst.values()), float32, tuple(worst))


def _worst(seen: Mapping[int, _Seen]) -> Extent:
    return max(each.extent for each in seen.values())


def _parts(model: RuntimeModel, taps: Taps, feeds: Feeds) -> Iterator[Taps]:
    if feeds:
        yield from taps.parts(feeds[0], state=model.make_state())
