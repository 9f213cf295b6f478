"""How one operation is lowered: a function whose signature is the operation's schema.

`@op("softmax")` on `def softmax(build: Build, x: Tensor, axis: int = -1) -> str` says all of it: the inputs' names, which of them must be constants
(everything but Tensor), and the defaults. The function adds ONNX nodes and returns the names of its outputs.
"""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from mlpipe.runtime.lowered import UnsupportedLayerError
from mlpipe.runtime.mlprogram.values import STORAGE, Constant, State, Tensor, TensorType
from mlpipe.runtime.onnx_graph import Graph
from mlpipe.runtime.registry import Registry

VERSIONS = ("iOS13", "iOS14", "iOS15", "iOS16", "iOS17", "iOS18", "iOS26")


@dataclass(frozen=True)
class Build:
    """Where an operation adds its nodes."""

    graph: Graph
    outputs: tuple[TensorType, ...]
    """The declared types of the operation's outputs."""

    def add(self, op: str, *inputs: Tensor | str | None, **attributes: Any) -> str:
        """Add an ONNX node with one output and return its name."""
        return self.graph.add(op, *map(_name, inputs), **attributes)

    def add_many(self, op: str, count: int, *inputs: Tensor | str | None, **attributes: Any) -> list[str]:
        """Add an ONNX node with several outputs."""
        return self.graph.add_many(op, count, *map(_name, inputs), **attributes)

    def number(self, value: float, like: Tensor) -> str:
        """Add a constant without dimensions, of a tensor's type."""
        return self.graph.constant(value, STORAGE[like.dtype])

    def floats(self, value: np.ndarray | list[float] | float) -> str:
        """Add a float32 constant."""
        return self.graph.constant(value, np.float32)

    def int64(self, *values: int) -> str:
        """Add a 1-D int64 constant."""
        return self.graph.int64(*values)

    def indices(self, tensor: Tensor) -> str:
        """Return a tensor of integers as int64, as ONNX wants shapes and axes."""
        return self.graph.cast(tensor.name, np.int64)


def _name(value: Tensor | str | None) -> str | None:
    return value.name if isinstance(value, Tensor) else value


OpFunction = Callable[..., str | list[str]]


@dataclass(frozen=True)
class Operation:
    """An entry of the table: the function, and how its parameters are bound."""

    function: OpFunction
    keeps_grid: bool

    @cached_property
    def parameters(self) -> Mapping[str, inspect.Parameter]:
        """The operation's inputs by name. Looked at when a program has the operation: all two hundred would take a tenth of a model's load."""
        return dict(list(inspect.signature(self.function).parameters.items())[1:])

    @cached_property
    def hints(self) -> Mapping[str, Any]:
        """The types of the parameters."""
        return typing.get_type_hints(self.function)


OPS: Registry[Operation] = Registry(VERSIONS)


def op(*names: str, since: str = "iOS13", keeps_grid: bool = False) -> Callable[[OpFunction], OpFunction]:
    """Register the decorated function for operations of this name, from this version of the operator set on.

    `keeps_grid`: outputs hold only numbers that the inputs hold (or zero), so that they need no rounding to float16.
    """

    def register(function: OpFunction) -> OpFunction:
        OPS.add(names, since, Operation(function, keeps_grid))
        return function

    return register


Binding = Tensor | Constant | State
"""What an argument names."""


def bind(operation: Operation, arguments: Mapping[str, list[Binding]], as_tensor: Callable[[Binding], Tensor]) -> dict[str, Any]:
    """Return the keyword arguments of the operation's function.

    Errors: UnsupportedLayerError for a parameter that is missing, unknown, or not constant where it must be.
    """
    for name in arguments:
        if name not in operation.parameters:
            raise UnsupportedLayerError(f"its parameter {name!r} is not supported")
    bound: dict[str, Any] = {}
    for name, parameter in operation.parameters.items():
        if name in arguments:
            bound[name] = _convert(name, operation.hints[name], arguments[name], as_tensor)
        elif parameter.default is inspect.Parameter.empty:
            raise UnsupportedLayerError(f"its parameter {name!r} is missing")
    return bound


def _convert(name: str, hint: Any, given: list[Binding], as_tensor: Callable[[Binding], Tensor]) -> Any:
    if isinstance(hint, types.UnionType):
        (hint,) = [choice for choice in typing.get_args(hint) if choice is not types.NoneType]
    if hint == tuple[Tensor, ...]:
        return tuple(as_tensor(value) for value in given)
    if typing.get_origin(hint) is tuple:
        (kind, _) = typing.get_args(hint)
        return tuple(kind(item) for value in given for item in _host(name, value).reshape(-1).tolist())
    if len(given) != 1:
        raise UnsupportedLayerError(f"its parameter {name!r} has {len(given)} values")
    if hint is Tensor:
        return as_tensor(given[0])
    array = _host(name, given[0])
    if hint is np.ndarray:
        return array
    if array.size != 1:
        raise UnsupportedLayerError(f"its parameter {name!r} is not a single value")
    return hint(array.reshape(-1)[0])


def _host(name: str, value: Binding) -> np.ndarray:
    if isinstance(value, State):
        raise UnsupportedLayerError(f"its parameter {name!r} is a state")
    array = value.value if isinstance(value, Tensor) else value.array
    if array is None:
        raise UnsupportedLayerError(f"its parameter {name!r} is not a constant")
    return array
