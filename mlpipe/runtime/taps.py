"""Values between a model's inputs and outputs, by the names that its file gives them, from an inference session of their own.

What is tapped cannot be fused with what follows it: such a session is slower than the plain one, and its last bits may differ.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from mlpipe.errors import InvalidInput
from mlpipe.runtime.execute import Executable
from mlpipe.runtime.graph_walk import part_for
from mlpipe.runtime.host_parts import HostParts
from mlpipe.runtime.lowered import LayerValue
from mlpipe.runtime.onnx_graph import Graph

PART_BYTES = 256 << 20
"""How much memory the values of one part may take."""

_SUFFIX = re.compile(r"(_cast_fp16|_quantized)+$")
"""What coremltools appends to the names of values that it computes in float16 or quantizes."""


class Taps:
    """Some values of a model. Made by `RuntimeModel.taps`; their session is built when they are first asked for."""

    def __init__(
        self, graph: Graph, values: Sequence[LayerValue], feeding: Callable[..., Mapping[str, np.ndarray]], session: Callable[[Graph], Executable | HostParts]
    ) -> None:
        """Keep the graph with its weights. `feeding` makes the graph's inputs of what a caller feeds, `session` what runs a graph."""
        self.values = tuple(values)
        self.graph = graph
        self._feeding = feeding
        self._session = session
        self._executable: Executable | HostParts | None = None

    def predict_arrays(self, feed: Mapping[str, Any], **state: Any) -> dict[str, np.ndarray]:
        """Return every tapped value by name, numbers as float32 or int32; a `state` is read and left as it is.

        Errors: InvalidInput, as in the model's own `predict_arrays`.
        """
        if self._executable is None:
            # Values may have the names of inputs, which the graph's outputs must not have.
            outputs = {f"tap {value.name}": value.value for value in self.values}
            self._executable = self._session(part_for(self.graph, outputs))
        arrays = self._feeding(feed, **state)
        found = self._executable.run({name: arrays[name] for name in self._executable.inputs})
        return {value.name: found[f"tap {value.name}"] for value in self.values}

    def parts(self, feed: Mapping[str, Any], *, limit_bytes: int = PART_BYTES, **state: Any) -> Iterator[Taps]:
        """Yield the same taps in parts, in order, whose values for a feed of this size stay under the limit: so that memory is bounded.

        Each part is a session of its own, which goes when nobody keeps the part. A value that is larger than the limit is a part alone.
        Errors: InvalidInput.
        """
        part: list[LayerValue] = []
        taken = 0
        for value, size in zip(self.values, self._sizes(feed, state), strict=True):
            if part and taken + size > limit_bytes:
                yield Taps(self.graph, part, self._feeding, self._session)
                part, taken = [], 0
            part.append(value)
            taken += size
        if part:
            yield Taps(self.graph, part, self._feeding, self._session)

    def _sizes(self, feed: Mapping[str, Any], state: Mapping[str, Any]) -> list[int]:
        """Return the bytes of every value; shapes that vary are asked of the model itself."""
        shapes = {value.name: self.graph.static_shape(value.value) for value in self.values}
        graph = replace(self.graph, nodes=list(self.graph.nodes), types=dict(self.graph.types))
        unknown = {value.name: graph.add("Shape", value.value) for value in self.values if shapes[value.name] is None}
        if unknown:
            arrays = self._feeding(feed, **state)
            executable = self._session(part_for(graph, {f"shape {name}": shape for name, shape in unknown.items()}))
            found = executable.run({name: arrays[name] for name in executable.inputs})
            shapes |= {name: tuple(found[f"shape {name}"].tolist()) for name in unknown}
        return [prod(shapes[value.name] or ()) * graph.dtype(value.value).itemsize for value in self.values]


def choose(values: Sequence[LayerValue], names: Sequence[str] | None) -> list[LayerValue]:
    """Return the values of these names, in the order of the model; None chooses all that can be tapped.

    Errors: InvalidInput for a name that the model does not have, or that is made inside a block.
    """
    by_name = {value.name: value for value in values}
    for name in names or ():
        if name not in by_name:
            near = difflib.get_close_matches(name, by_name, n=3, cutoff=0.4)
            fix = f"did you mean {' or '.join(map(repr, near))}?" if near else "the model's `layers` are what can be tapped"
            raise InvalidInput(f"the model computes no value {name!r}", fix=fix)
        block = by_name[name].block
        if block is not None:
            raise InvalidInput(
                f"the value {name!r} cannot be tapped",
                why=f"it is made inside a block of {block!r}, which may run any number of times",
                fix=f"tap {block!r}, the block's results" if block in by_name else None,
            )
    wanted = None if names is None else set(names)
    return [value for value in values if value.block is None and (wanted is None or value.name in wanted)]


def matching(reference: Sequence[LayerValue], candidate: Sequence[LayerValue]) -> list[tuple[str, str]]:
    """Return the names of the values that two variants of one model have in common, in the order of the reference.

    Names match without what coremltools appends for float16 and quantization, where operation and shape are the same too; a value that
    could be one of several is left out, unless one has the very name.
    """
    by_key: dict[tuple[str, str], list[LayerValue]] = {}
    for value in candidate:
        by_key.setdefault(_key(value), []).append(value)
    pairs = []
    for value in reference:
        found = [other for other in by_key.get(_key(value), ()) if _may_agree(value, other)]
        same = [other for other in found if other.name == value.name] or found
        if len(same) == 1:
            pairs.append((value.name, same[0].name))
    return pairs


def _key(value: LayerValue) -> tuple[str, str]:
    return _SUFFIX.sub("", value.name), value.type


def _may_agree(one: LayerValue, other: LayerValue) -> bool:
    pairs = zip(one.shape, other.shape, strict=False)
    return len(one.shape) == len(other.shape) and all(a == b or not isinstance(a, int) or not isinstance(b, int) for a, b in pairs)
