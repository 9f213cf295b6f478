"""`kmeans`: the look-up table with the smallest squared error."""

from __future__ import annotations

from mlpipe.quantization.palettes import groups_of, palette_by_group
from mlpipe.quantization.weight import Weight
from mlpipe.recipe.schema.quantize import QuantizeStep
from mlpipe.weights.kmeans import Palette, cluster
from mlpipe.weights.kmeans import noise_bound as cluster_noise_bound


def encode(weight: Weight, step: QuantizeStep) -> Palette:
    """Return indices and the optimal table. Errors: SkippedWeight where groups do not divide it."""
    return palette_by_group(weight, step, lambda values: cluster(values, step.bits, weight.storage))


def noise_bound(weight: Weight, step: QuantizeStep) -> float:
    """Return the largest sum of squared errors: that of a table of evenly spaced levels, which no optimal table exceeds."""
    return sum(cluster_noise_bound(group, step.bits) for group in groups_of(weight, step)[0])
