"""What lowering a model gives: the graph, and how its outputs become the model's features."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from mlpipe.errors import NotExecutable

if TYPE_CHECKING:
    from mlpipe.runtime.onnx_graph import Dim, Graph


@dataclass(frozen=True)
class Classifier:
    """How a vector of scores becomes a label and a dictionary."""

    labels: tuple[str | int, ...]
    scores: str
    """The graph output that holds the scores, in label order."""
    predicted: str
    """The feature that receives the label of the highest score, the first of equals."""
    probabilities: str | None
    """The feature that receives the dictionary, where the model has one."""


@dataclass(frozen=True)
class LayerValue:
    """A value of a model, under the name that its file gives it."""

    name: str
    type: str
    """The operation or the type of layer that makes it; `input` for what is fed."""
    dtype: str
    """What it is declared as; of a NeuralNetwork, which declares nothing, the precision that it is computed in."""
    shape: tuple[Dim, ...]
    value: str
    """Its name in the graph."""
    block: str | None = None
    """What contains the block that it is made in, where it is made in one: then it cannot be tapped."""


@dataclass(frozen=True)
class Lowered:
    """A model as a graph: inputs and outputs carry the names of the model's features."""

    graph: Graph
    classifier: Classifier | None = None
    states: Mapping[str, str] = field(default_factory=dict)
    """Every state that the model may change -> the graph output that holds its value afterwards."""
    values: tuple[LayerValue, ...] = ()
    """Every value that has a name in the model's file, constants apart, in the order of the file."""
    limits: Mapping[str, np.dtype[Any]] = field(default_factory=dict)
    """Integer types of inputs that hold fewer numbers than their features."""


@dataclass(frozen=True, order=True)
class Unsupported:
    """A layer that cannot be executed."""

    type: str
    name: str
    why: str

    def __str__(self) -> str:
        """Return one line."""
        return f"{self.type} {self.name!r}: {self.why}"


class UnsupportedLayerError(Exception):
    """Raised while one layer is lowered; collected by whoever lowers the whole model, so that all of them are reported at once."""

    def __init__(self, why: str) -> None:
        """Say what about the layer is not supported."""
        super().__init__(why)
        self.why = why


def why_not(error: Exception) -> str:
    """Return why a layer cannot be lowered: what was found wrong with it, or what its lowering tripped over."""
    return error.why if isinstance(error, UnsupportedLayerError) else f"its parameters cannot be what they are: {type(error).__name__}: {error}"


def not_executable(layers: list[Unsupported], where: str) -> NotExecutable:
    """Return the error that lists every layer that cannot be executed, by type and name."""
    count = "1 layer" if len(layers) == 1 else f"{len(layers)} layers"
    return NotExecutable(f"the portable runtime cannot execute {count}: " + "; ".join(map(str, layers)), where=where)
