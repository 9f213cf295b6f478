"""Custom layers: classes that an app provides, and the Python references that stand in for them here.

A reference is a function of the layer's inputs, in order, as float32 arrays in the layout that the class would see. The layer's parameters are handed over
by name, and its weights, where it has any, as `weights`. It returns one array, or as many as the layer has outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlpipe.errors import UserCodeFailed

Reference = Callable[..., Any]
References = Mapping[str, Reference]
"""Names of classes -> what stands in for them."""


@dataclass(frozen=True)
class CustomLayer:
    """A custom layer of a model, with its reference."""

    name: str
    class_name: str
    parameters: Mapping[str, Any]
    weights: tuple[np.ndarray, ...]
    reference: Reference
    outputs: int

    def run(self, inputs: Sequence[np.ndarray], ranks: Sequence[int | None] = ()) -> list[np.ndarray]:
        """Return the layer's outputs as float32.

        Errors: UserCodeFailed where the reference raises, or returns another number of arrays, no numbers, or arrays of other ranks than `ranks`.
        """
        given = {"weights": [*self.weights]} if self.weights else {}
        try:
            result = self.reference(*inputs, **self.parameters, **given)
        except Exception as error:
            shapes = ", ".join(str(array.shape) for array in inputs)
            raise UserCodeFailed(f"the reference of {self} failed on inputs of shape {shapes}", why=f"{type(error).__name__}: {error}") from error
        results = list(result) if isinstance(result, (list, tuple)) else [result]
        if len(results) != self.outputs:
            raise UserCodeFailed(f"the reference of {self} returned {len(results)} arrays", why=f"the layer has {self.outputs} outputs")
        arrays = [np.asarray(value) for value in results]
        for array in arrays:
            if array.dtype.kind not in "biuf":
                raise UserCodeFailed(f"the reference of {self} returned {array.dtype}", fix="return arrays of numbers")
        for array, rank in zip(arrays, ranks, strict=False):
            if rank is not None and array.ndim != rank:
                raise UserCodeFailed(f"the reference of {self} returned an array of shape {array.shape}", why=f"it returned {rank} dimensions for other inputs")
        return [np.ascontiguousarray(array, np.float32) for array in arrays]

    def __str__(self) -> str:
        """Return the layer as messages name it."""
        return f"the custom layer {self.name!r} (class {self.class_name})"
