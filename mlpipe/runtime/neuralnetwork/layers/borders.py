"""Parameters that several layers share: pairs of sizes with defaults, and amounts at the four borders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from mlpipe.runtime.lowered import UnsupportedLayerError

Borders = tuple[tuple[int, int], tuple[int, int]]
"""((top, bottom), (left, right))"""


def pair(values: Sequence[int], default: int) -> list[int]:
    """Return [height, width]; the default for both where the field is empty."""
    if len(values) not in (0, 2):
        raise UnsupportedLayerError(f"{len(values)} sizes where there should be two")
    return [int(value) for value in values] or [default, default]


def border_amounts(amounts: Any) -> Borders:
    """Return the amounts of a `BorderAmounts` message, 0 where it is empty."""
    edges = [(int(edge.startEdgeSize), int(edge.endEdgeSize)) for edge in amounts.borderAmounts]
    if len(edges) not in (0, 2):
        raise UnsupportedLayerError(f"{len(edges)} border amounts where there should be two")
    return (edges[0], edges[1]) if edges else ((0, 0), (0, 0))


def same_mode(same: Any) -> str:
    """Return ONNX's name of a "same" padding: where it is odd, the larger half is at the end (upper) or at the start (lower)."""
    return {0: "SAME_UPPER", 1: "SAME_LOWER"}[same.asymmetryMode]
