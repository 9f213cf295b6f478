"""The quantization methods. A new one is a module with `encode` and `noise_bound`, and a line here."""

from __future__ import annotations

from typing import Protocol

from mlpipe.quantization import float16, kmeans, linear, lut
from mlpipe.quantization.weight import Encoded, Weight
from mlpipe.recipe.schema.quantize import Method, QuantizeStep


class QuantizationMethod(Protocol):
    """What a method's module offers."""

    def encode(self, weight: Weight, step: QuantizeStep) -> Encoded:
        """Return the compressed weight. Errors: SkippedWeight where it stays as it is."""

    def noise_bound(self, weight: Weight, step: QuantizeStep) -> float:
        """Return the largest sum of squared errors that the method can make when it is right, from the original values alone."""


METHODS: dict[Method, QuantizationMethod] = {"float16": float16, "kmeans": kmeans, "linear": linear, "lut": lut}
