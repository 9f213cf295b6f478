"""What layer functions build with: the graph, decoded weights, and reshapes that merge leading dimensions into a batch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any, NamedTuple

import numpy as np

from mlpipe.errors import ModelFileInvalid, NotExecutable
from mlpipe.runtime.custom_layers import References
from mlpipe.runtime.lowered import UnsupportedLayerError
from mlpipe.runtime.onnx_graph import Dim, Graph
from mlpipe.runtime.precision import Precision, half_grid, round_to_half
from mlpipe.weights.neuralnetwork import decode


class SizeOf(NamedTuple):
    """A dimension of a value, as a size that `Network.reshape` can ask for."""

    value: str
    axis: int


LARGEST_WRITTEN = 10_000
"""The most layers that a network may have once its loops are written out."""


@dataclass
class Written:
    """How many layers were lowered, those of every round of a loop included."""

    layers: int = 0

    def count(self) -> None:
        """Count one more.

        Errors: NotExecutable where it is one too many: loops in loops would be written out without end.
        """
        self.layers += 1
        if self.layers > LARGEST_WRITTEN:
            raise too_many_layers()

    def has_room(self) -> bool:
        """Return whether more rounds of a loop may be written out: so many that what follows has room too."""
        return self.layers <= LARGEST_WRITTEN // 2


def too_many_layers() -> NotExecutable:
    """Return the error for a network that would grow too large."""
    return NotExecutable(f"with its loops written out, the network has more than {LARGEST_WRITTEN // 2:,} layers")


@dataclass
class Network:
    """A network under construction. Every value is float32, whatever it means: booleans are 0 and 1, indices whole numbers."""

    graph: Graph
    precision: Precision
    values: dict[str, str] = field(default_factory=dict)
    """The network's name of a value -> the graph's."""
    references: References = field(default_factory=dict)
    """What stands in for the classes of custom layers."""
    written: Written = field(default_factory=Written)

    def array(self, weights: Any, shape: Sequence[int], *, channel_axis: int = 0, rounded: bool = True) -> np.ndarray:
        """Return the weights of a layer as float32, on the float16 grid where that is the precision and they are to be rounded.

        Shapes: `channel_axis` is the axis along which a quantization has one scale per channel.
        Errors: UnsupportedLayerError where the layer has no or another number of weights; whatever decoding finds wrong.
        """
        if not weights.ByteSize():
            raise UnsupportedLayerError("it has no weights where it should have some")
        sizes = tuple(int(size) for size in shape)
        try:
            value = decode(weights, sizes, channel_axis=channel_axis)
        except ValueError as error:
            raise ModelFileInvalid(f"a weight of shape {list(sizes)} has another number of values", why=str(error)) from error
        return half_grid(value) if rounded and self.precision is Precision.FLOAT16 else value

    def weight(self, weights: Any, shape: Sequence[int], *, channel_axis: int = 0) -> str:
        """Return the weights of a layer as a constant of the graph."""
        return self.graph.constant(self.array(weights, shape, channel_axis=channel_axis), hint="weight")

    def round(self, value: str) -> str:
        """Return a value on the float16 grid where that is the precision; known whole numbers from -1 on are indices and sizes, and stay."""
        constant = self.graph.value_of(value)
        if constant is not None and np.array_equal(constant, np.trunc(constant)) and constant.min(initial=0) >= -1:
            return value
        return round_to_half(self.graph, value, self.precision)

    def scalar(self, value: float) -> str:
        """Return a float32 constant without dimensions: a parameter of a layer, which no precision rounds."""
        return self.graph.constant(value, np.float32)

    def sizes(self, value: str, *axes: int) -> tuple[int, ...]:
        """Return sizes of a value that must be known before the model runs.

        Errors: UnsupportedLayerError where one is flexible, or the value has no such axis.
        """
        self.require_rank(value, at_least=max(axis + 1 if axis >= 0 else -axis for axis in axes))
        known = [self.graph.shape(value)[axis] for axis in axes]
        numbers = tuple(size for size in known if isinstance(size, int))
        if len(numbers) != len(known):
            raise UnsupportedLayerError("it needs sizes that are flexible here")
        return numbers

    def require_rank(self, value: str, *ranks: int, at_least: int = 0) -> int:
        """Return a value's rank.

        Errors: UnsupportedLayerError where it is not known, none of `ranks` or smaller than `at_least`.
        """
        known = self.graph.type_of(value)
        if known is None or known.shape is None:
            raise UnsupportedLayerError("the rank of its input is not known before the model runs")
        rank = len(known.shape)
        if rank < at_least or (ranks and rank not in ranks):
            raise UnsupportedLayerError(f"an input of rank {rank}")
        return rank

    def axis(self, value: str, axis: int, *, new: int = 0) -> int:
        """Return an axis counted from 0. `new` is how many more dimensions than the value the tensor has to which the axis belongs.

        Errors: UnsupportedLayerError where there is no such axis.
        """
        rank = self.require_rank(value) + new
        if not -rank <= axis < rank:
            raise UnsupportedLayerError(f"axis {axis} of a tensor of rank {rank}")
        return axis % rank

    def reshape(self, value: str, target: Sequence[int | SizeOf]) -> str:
        """Return the value in another shape, made of numbers, sizes of other values and at most one -1."""
        graph = self.graph
        dims: list[Dim] = [size if isinstance(size, int) else graph.shape(size.value)[size.axis] for size in target]
        numbers = [size for size in dims if isinstance(size, int)]
        static = graph.static_shape(value)
        if static is not None and numbers.count(-1) == 1 and len(numbers) == len(dims):
            rest = prod(size for size in numbers if size != -1)
            dims = [prod(static) // rest if size == -1 and rest else size for size in dims]
            numbers = [size for size in dims if isinstance(size, int)]
        if len(dims) - len(numbers) + numbers.count(-1) <= 1:
            shape = graph.int64(*(size if isinstance(size, int) else -1 for size in dims))
        else:
            parts = [graph.int64(size) if isinstance(size, int) else self._size(size) for size in target]
            shape = graph.add("Concat", *parts, axis=0)
        result = graph.add("Reshape", value, shape, allowzero=int(0 in numbers))
        return graph.set_type(result, np.float32, [None if size == -1 else size for size in dims])

    def _size(self, size: SizeOf) -> str:
        graph = self.graph
        return graph.add("Slice", graph.shape_value(size.value), graph.int64(size.axis), graph.int64(size.axis + 1), graph.int64(0))

    def merge_leading(self, value: str, keep: int) -> str:
        """Return the value with all dimensions before the last `keep` merged into one; a dimension of 1 where there are none."""
        rank = self.require_rank(value, at_least=keep)
        if rank == keep + 1:
            return value
        return self.reshape(value, [-1, *(SizeOf(value, axis) for axis in range(rank - keep, rank))])

    def restore_leading(self, value: str, like: str, keep: int) -> str:
        """Return a value of merged leading dimensions with those of `like` in their place."""
        lead = self.graph.rank(like) - keep
        if lead == 1:
            return value
        tail = range(1, self.graph.rank(value))
        return self.reshape(value, [*(SizeOf(like, axis) for axis in range(lead)), *(SizeOf(value, axis) for axis in tail)])

    def truth(self, value: str) -> str:
        """Return a float value as a boolean: everything but 0 is true."""
        return self.graph.cast(value, np.bool_)

    def number(self, value: str) -> str:
        """Return a boolean or an integer as float32, as networks hold everything."""
        return self.graph.cast(value, np.float32)

    def indices(self, value: str) -> str:
        """Return float indices as int64."""
        constant = self.graph.value_of(value)
        return self.graph.cast(value, np.int64) if constant is None else self.graph.constant(constant.astype(np.int64))

    def known_integers(self, value: str, what: str) -> list[int]:
        """Return the whole numbers that a value holds.

        Errors: UnsupportedLayerError where they are only known when the model runs.
        """
        constant = self.graph.value_of(value)
        if constant is None:
            raise UnsupportedLayerError(f"{what} is only known when the model runs")
        return [int(number) for number in constant.reshape(-1)]

    def length(self, vector: str) -> int:
        """Return the number of elements of a vector, which is the rank of the tensor whose shape it holds.

        Errors: UnsupportedLayerError where it is flexible, or the value no vector.
        """
        self.require_rank(vector, 1)
        return self.sizes(vector, 0)[0]

    def with_rank(self, value: str, vector: str) -> str:
        """Return a value whose shape is what the vector holds, with its rank.

        Errors: UnsupportedLayerError where the vector's length is flexible: everything behind it depends on the rank.
        """
        return self.graph.set_type(value, np.float32, [None] * self.length(vector))

    def at_least_1d(self, value: str) -> str:
        """Return the value, with one dimension where it has none: networks know no tensors without dimensions."""
        if self.require_rank(value) > 0:
            return value
        constant = self.graph.value_of(value)
        return self.reshape(value, [1]) if constant is None else self.graph.constant(constant.reshape(1))
