"""How float16 is computed: not at all (float32 throughout), or rounded after every op that can leave the float16 grid.

ONNX Runtime's CPU kernels compute in float32 whatever a graph's types say, so rounding is explicit: values are stored as float32, and a cast to
float16 and back follows each op. Overflow gives infinity, as on hardware. What Core ML's own kernels keep in wider registers is not known: the two
precisions are the ends of a band.
"""

from __future__ import annotations

from enum import StrEnum

import numpy as np

from mlpipe.runtime.onnx_graph import Graph


class Precision(StrEnum):
    """What float16 values are computed in."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"


def round_to_half(graph: Graph, value: str, precision: Precision) -> str:
    """Return the float32 value on the float16 grid where the precision is float16, and unchanged where it is float32.

    Not needed after what keeps the grid: data movement, relu, max, abs.
    """
    if precision is Precision.FLOAT32:
        return value
    constant = graph.value_of(value)
    if constant is not None:
        return graph.constant(half_grid(constant))
    return graph.cast(graph.cast(value, np.float16), np.float32)


def half_grid(value: np.ndarray) -> np.ndarray:
    """Return float32 numbers rounded to the nearest that float16 can hold, ties to even, infinity beyond its range."""
    with np.errstate(over="ignore"):
        return value.astype(np.float16).astype(np.float32)
