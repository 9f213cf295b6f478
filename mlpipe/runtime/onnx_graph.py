"""The ONNX graph that a Core ML model is lowered into: nodes, constants, names and types, built one op at a time."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from mlpipe.runtime.lowered import UnsupportedLayerError

OPSET = 21
"""The operator set of every graph that the runtime builds."""

Dim = int | str | None
"""A size: a number, a name that stands for the same number wherever it occurs, or unknown."""

LARGEST_BYTES = 1 << 27
AMPLIFICATION = 64
"""How many times as large as the whole model a value may be: a file of a few bytes must not take all of the memory."""

WINDOWED = ("AveragePool", "Conv", "ConvTranspose", "LpPool", "MaxPool")
"""Operations whose kernels divide by the size of what they make: of nothing, the process would end."""

INFERENCE_VALUES = 64
"""Constants up to this many elements are shown to shape inference: axes, shapes, pads, scales."""


@dataclass(frozen=True)
class ValueType:
    """What is known of a value before the graph runs."""

    dtype: np.dtype[Any]
    shape: tuple[Dim, ...] | None
    """None where not even the rank is known."""


class Layer(NamedTuple):
    """The layer or operation of a model that a node was made for."""

    type: str
    name: str


@dataclass(frozen=True)
class Node:
    """One ONNX node. An attribute that is a Graph is a subgraph."""

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: dict[str, Any]
    domain: str = ""
    layer: Layer | None = None


@dataclass
class Graph:
    """A graph under construction. Value names are strings; every method that makes a value returns its name."""

    nodes: list[Node] = field(default_factory=list)
    """In execution order."""
    constants: dict[str, np.ndarray] = field(default_factory=dict)
    inputs: list[str] = field(default_factory=list)
    outputs: dict[str, str] = field(default_factory=dict)
    """Output name -> the value that it shows."""
    types: dict[str, ValueType] = field(default_factory=dict)
    parent: Graph | None = None
    largest_bytes: int = LARGEST_BYTES
    """What one value may take; whoever lowers a model raises it with the model's size."""
    layer: Layer | None = None
    """What nodes are made for at present."""
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    def subgraph(self) -> Graph:
        """Return an empty graph for the body of an If, Loop or Scan of this one: it sees this one's values, and its names are unique in both."""
        return Graph(parent=self, layer=self.layer, largest_bytes=self.largest_bytes, _numbers=self._numbers)

    def allow_for(self, model_bytes: int, fed: Iterable[str] | None = None) -> None:
        """Let values be as large as the size of the model makes likely, and of the inputs that are fed: all unless named."""
        known = [self.types[name] for name in (self.inputs if fed is None else fed) if name in self.types]
        fed_bytes = sum(math.prod(size for size in kind.shape or () if isinstance(size, int)) * kind.dtype.itemsize for kind in known)
        self.largest_bytes = max(LARGEST_BYTES, AMPLIFICATION * (model_bytes + fed_bytes))

    @contextmanager
    def made_for(self, layer_type: str, name: str) -> Iterator[None]:
        """Note on every node that is added meanwhile which layer of the model it belongs to."""
        before, self.layer = self.layer, Layer(layer_type, name)
        try:
            yield
        finally:
            self.layer = before

    def name(self, hint: str) -> str:
        """Return a fresh value name."""
        fresh = f"{hint}__{next(self._numbers)}"
        # A model's input may be called anything.
        return fresh if self.type_of(fresh) is None else self.name(hint)

    def add_input(self, name: str, dtype: np.dtype[Any] | type, shape: Sequence[Dim]) -> str:
        """Declare a graph input. It may be of any size: it is the caller who feeds it."""
        self.inputs.append(name)
        self.types[name] = ValueType(np.dtype(dtype), tuple(shape))
        return name

    def constant(self, value: np.ndarray | float | list[Any], dtype: Any = None, hint: str = "const") -> str:
        """Add a constant; a subgraph's constants live in the outermost graph, which it sees."""
        if self.parent is not None:
            return self.parent.constant(value, dtype, hint)
        array = np.asarray(value, dtype)
        name = self.name(hint)
        self.constants[name] = array
        self.set_type(name, array.dtype, array.shape)
        return name

    def int64(self, *values: int) -> str:
        """Add a 1-D int64 constant, as ONNX wants axes, shapes and pads."""
        return self.constant(np.asarray(values, dtype=np.int64), hint="i64")

    def value_of(self, name: str) -> np.ndarray | None:
        """Return a constant's value, or None where the value is only known when the graph runs."""
        if name in self.constants:
            return self.constants[name]
        return self.parent.value_of(name) if self.parent else None

    def type_of(self, name: str) -> ValueType | None:
        """Return what is known of a value, here or in an enclosing graph."""
        if name in self.types:
            return self.types[name]
        return self.parent.type_of(name) if self.parent else None

    def set_type(self, name: str, dtype: np.dtype[Any] | type, shape: Sequence[Dim] | None) -> str:
        """State a value's type, where the lowering knows better than inference; return the name."""
        self.types[name] = ValueType(np.dtype(dtype), None if shape is None else tuple(shape))
        self.check_size(shape, dtype)
        return name

    def check_size(self, shape: Sequence[Dim] | None, dtype: np.dtype[Any] | type) -> None:
        """Return nothing where a value of this shape is small enough for the model. Errors: UnsupportedLayerError."""
        sizes = [size for size in shape or () if isinstance(size, int)]
        if min(sizes, default=0) < 0:
            raise UnsupportedLayerError(f"a value cannot have the shape {list(shape or ())}")
        if (taken := math.prod(sizes) * np.dtype(dtype).itemsize) > self.largest_bytes:
            limit = f"and a model of this size may have values of {self.largest_bytes / 1e9:.1f} GB"
            raise UnsupportedLayerError(f"a value of the shape {list(shape or ())} would take {taken / 1e9:.1f} GB, {limit}")

    def shape(self, name: str) -> tuple[Dim, ...]:
        """Return a value's sizes, as far as they are known. It is a defect of the lowering to ask where the rank is not."""
        known = self.type_of(name)
        assert known is not None, f"{name} has no known type"
        assert known.shape is not None, f"{name} has no known rank"
        return known.shape

    def rank(self, name: str) -> int:
        """Return a value's number of dimensions."""
        return len(self.shape(name))

    def dtype(self, name: str) -> np.dtype[Any]:
        """Return a value's element type."""
        known = self.type_of(name)
        assert known is not None, f"{name} has no known type"
        return known.dtype

    def static_shape(self, name: str) -> tuple[int, ...] | None:
        """Return a value's sizes where all of them are numbers, else None."""
        shape = self.shape(name)
        return tuple(size for size in shape if isinstance(size, int)) if all(isinstance(size, int) for size in shape) else None

    def shape_value(self, name: str) -> str:
        """Return the value that holds another value's shape as int64: a constant where it is known."""
        static = self.static_shape(name)
        return self.add("Shape", name) if static is None else self.int64(*static)

    def add(self, op: str, *inputs: str | None, domain: str = "", **attributes: Any) -> str:
        """Add a node with one output. None is an absent optional input, and an attribute that is None is absent."""
        return self.add_many(op, 1, *inputs, domain=domain, **attributes)[0]

    def add_many(self, op: str, count: int, *inputs: str | None, domain: str = "", **attributes: Any) -> list[str]:
        """Add a node with several outputs."""
        from mlpipe.runtime.onnx_types import infer_types

        outputs = [self.name(op.lower()) for _ in range(count)]
        present = {key: value for key, value in attributes.items() if value is not None}
        node = Node(op, tuple(name or "" for name in inputs), tuple(outputs), present, domain, self.layer)
        self.nodes.append(node)
        self.types.update(infer_types(self, node))
        for output in outputs:
            if output in self.types:
                self.check_size(self.types[output].shape, self.types[output].dtype)
                if op in WINDOWED and 0 in (self.types[output].shape or ()):
                    raise UnsupportedLayerError(f"nothing is left of its input: its result has the shape {list(self.types[output].shape or ())}")
        return outputs

    def cast(self, name: str, dtype: np.dtype[Any] | type) -> str:
        """Return the value in another element type; the value itself where it has that type already."""
        from onnx import helper

        wanted = np.dtype(dtype)
        known = self.type_of(name)
        if known is not None and known.dtype == wanted:
            return name
        value = self.value_of(name)
        if value is not None and value.size <= INFERENCE_VALUES:
            # At once, so that shapes stay known.
            with np.errstate(over="ignore", invalid="ignore"):
                return self.constant(value.astype(wanted))
        return self.add("Cast", name, to=int(helper.np_dtype_to_tensor_dtype(wanted)))
