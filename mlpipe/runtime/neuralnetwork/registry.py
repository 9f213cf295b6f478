"""The table of layers: which function lowers a layer type.

A layer is one function in `layers/`, decorated with `@layer("type")`. It takes the network, the layer's parameters (the protobuf message of that type)
and the names of its inputs, and returns the name of its output or a list of them. Its Python signature is its arity: a layer with another number of
inputs is refused before the function is called.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from mlpipe.runtime.lowered import UnsupportedLayerError

LayerFunction = Callable[..., "str | list[str]"]
Decorated = TypeVar("Decorated", bound=LayerFunction)


@dataclass(frozen=True)
class LayerLowering:
    """How one layer type is lowered."""

    function: LayerFunction
    keeps_grid: bool
    """Whether outputs stand on the float16 grid where the inputs do (data movement, relu, comparisons), or are indices and sizes."""
    drops_outputs: bool
    """Whether the layer may declare fewer outputs than the function gives: the first ones."""

    def check_inputs(self, count: int) -> None:
        """Check the number of inputs against the function's signature.

        Errors: UnsupportedLayerError.
        """
        try:
            inspect.signature(self.function).bind(None, None, *[""] * count)
        except TypeError:
            raise UnsupportedLayerError(f"{count} inputs are not supported") from None


LAYERS: dict[str, LayerLowering] = {}
"""Layer type -> its lowering. Filled while `layers/` is imported and only read afterwards."""


def layer(*types: str, keeps_grid: bool = False, drops_outputs: bool = False) -> Callable[[Decorated], Decorated]:
    """Return a decorator that registers a function for these layer types; a type that is registered already is a mistake: ValueError."""

    def register(function: Decorated) -> Decorated:
        for type_name in types:
            if type_name in LAYERS:
                raise ValueError(f"the layer {type_name} is registered twice")
            LAYERS[type_name] = LayerLowering(function, keeps_grid, drops_outputs)
        return function

    return register
