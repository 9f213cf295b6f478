"""The layer functions, a file per family. Importing this package fills `LAYERS`."""

from mlpipe.runtime.neuralnetwork.layers import (
    activation,
    arithmetic,
    constants,
    convolution,
    dense,
    elementwise,
    logic,
    normalization,
    padding,
    pooling,
    rearrange,
    reduction,
    resize,
    scatter,
    selection,
    shape,
    slicing,
)
from mlpipe.runtime.neuralnetwork.registry import LAYERS

__all__ = [
    "LAYERS",
    "activation",
    "arithmetic",
    "constants",
    "convolution",
    "dense",
    "elementwise",
    "logic",
    "normalization",
    "padding",
    "pooling",
    "rearrange",
    "reduction",
    "resize",
    "scatter",
    "selection",
    "shape",
    "slicing",
]
