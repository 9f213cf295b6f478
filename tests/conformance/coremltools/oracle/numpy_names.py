"""Names that NumPy 2 has dropped and coremltools or its tests still use."""

from __future__ import annotations

from typing import Any

import numpy as np

NAMES: dict[str, Any] = {
    "product": np.prod,
    "infty": np.inf,
    "Inf": np.inf,
    "NaN": np.nan,
    "float_": np.float64,
    "cfloat": np.complex128,
    "row_stack": np.vstack,
    "in1d": np.isin,
}


def install() -> None:
    """Give them back, in this process."""
    for name, value in NAMES.items():
        if not hasattr(np, name):
            setattr(np, name, value)
