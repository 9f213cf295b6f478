"""One prediction."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mlpipe.errors import MlpipeError
from mlpipe.runtime.overflow import Overflow
from mlpipe.samples.ports import Array


@dataclass(frozen=True)
class Prediction:
    """What a model gave for one sample."""

    sample: str | None
    """The sample's name; None for the one prediction that is made without `samples`."""
    outputs: Mapping[str, Any] = field(default_factory=dict)
    """As coremltools' `MLModel.predict` returns them."""
    taps: Mapping[str, Array] = field(default_factory=dict)
    """The values between inputs and outputs that were asked for."""
    overflows: tuple[Overflow, ...] | None = None
    """The layers that overflow float16 or come near it, first causes first, where that was asked for."""
    error: MlpipeError | None = None
    """Why there are none."""
