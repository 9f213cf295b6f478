"""Where the samples of a linear interpolation lie: `sampling_mode`, the same for images and for the boxes that are cut out of them.

Source: the notes on sampling_mode in coremltools' definition of resize_bilinear and `SamplingMode` in NeuralNetwork.proto. Both have an interval [0, X - 1]
of X pixels; here it is [first, last], and no sample leaves it. Positions are doubles: a whole one must come out whole.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from mlpipe.runtime.lowered import UnsupportedLayerError
from mlpipe.runtime.mlprogram.op import Build
from mlpipe.runtime.mlprogram.ops.sizes import Size, scalar, vector


def doubles(build: Build, value: Any) -> str:
    """Return a double constant."""
    return build.graph.constant(value, np.float64)


def as_doubles(build: Build, value: str) -> str:
    """Return a value as doubles."""
    return build.graph.cast(value, np.float64)


def count_up(build: Build, count: Size) -> str:
    """Return 0, 1, ... count - 1 as an int64 vector."""
    if isinstance(count, int):
        build.graph.check_size((count,), np.int64)
        return build.graph.constant(np.arange(count, dtype=np.int64))
    return build.add("Range", scalar(build, 0), scalar(build, count), scalar(build, 1))


def positions(build: Build, first: str, last: str, count: Size, mode: str) -> str:
    """Return `count` positions from first to last.

    Shapes: first and last [..., 1]; the result [..., count].
    """
    length = build.add("Sub", last, first)
    number = as_doubles(build, vector(build, count))
    offset, spacing = _placed(build, length, number, mode)
    steps = build.add("Mul", as_doubles(build, count_up(build, count)), spacing)
    ends = build.add("Min", first, last), build.add("Max", first, last)
    return inside(build, build.add("Add", build.add("Add", first, offset), steps), *ends)


def inside(build: Build, value: str, lowest: str, highest: str) -> str:
    """Return a value, or the end of the range that it is beyond."""
    return build.add("Max", build.add("Min", value, highest), lowest)


def _placed(build: Build, length: str, number: str, mode: str) -> tuple[str, str]:
    """Return the first sample's distance from the first pixel, and the distance between samples; the length is X - 1."""
    zero, one, half = doubles(build, 0), doubles(build, 1), doubles(build, 0.5)
    if mode in ("STRICT_ALIGN_CORNERS", "ALIGN_CORNERS"):
        spacing = build.add("Div", length, build.add("Max", build.add("Sub", number, one), one))
        if mode == "STRICT_ALIGN_CORNERS":
            return zero, spacing
        middle = build.add("Mul", length, half)
        return build.add("Where", build.add("Equal", number, one), middle, zero), spacing
    if mode == "OFFSET_CORNERS":
        spacing = build.add("Div", build.add("Max", length, one), number)
        return build.add("Mul", spacing, half), spacing
    if mode not in ("DEFAULT", "UNALIGN_CORNERS"):
        raise UnsupportedLayerError(f"sampling_mode {mode!r} is not known")
    spacing = build.add("Div", build.add("Add", length, one), number)
    return (zero if mode == "DEFAULT" else build.add("Mul", build.add("Sub", spacing, one), half)), spacing
