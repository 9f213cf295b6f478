"""Programs whose sizes are only known when they run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

Runner = Callable[..., list[np.ndarray]]


@pytest.fixture
def run_varying(mil: Any, run: Runner) -> Runner:
    """Return `run` for programs that declare every dimension of their inputs as one that varies, but for those of `fixed`, by input."""

    def run_body(body: Any, feed: Mapping[str, np.ndarray], *, fixed: Mapping[str, tuple[int, ...]] | None = None, **options: Any) -> list[np.ndarray]:
        shapes, inputs = {}, []
        for name, value in feed.items():
            kept = (fixed or {}).get(name, ())
            shapes[name] = tuple(size if axis in kept else mil.symbol() for axis, size in enumerate(value.shape))
            ranges = (size if axis in kept else mil.ct.RangeDim(1, 99, default=size) for axis, size in enumerate(value.shape))
            inputs.append(mil.ct.TensorType(name, shape=mil.ct.Shape(tuple(ranges)), dtype=value.dtype))
        return run(body, feed, shapes=shapes, inputs=inputs, **options)

    return run_body
