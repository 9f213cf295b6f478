"""What to do about a bound that was not met: one sentence, chosen by metric and variant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlpipe.recipe.metrics_table import METRICS, SOURCE_PREFIX
from mlpipe.recipe.plan import CONVERTED

_SIZE = "fewer bits or fewer skipped weights make it smaller"
_CONVERSION = "look at the conversion: colour, scale and bias of image inputs, which output is compared, compute_precision"
_TRUTH = "check that the labels, the preprocessing and the sample files belong to this model"
_COMPRESSION = "use more bits or a look-up table, skip the layers that suffer most, or lower the bound"
_FLOAT16 = "in float32 it passes, so float16 is the cause: keep the operations that overflow or lose digits in float32 (convert.keep_float32)"


def advice(metric: str, variant: str, *, only_float16_fails: bool) -> str:
    """Return what to try next."""
    if only_float16_fails:
        return _FLOAT16
    against = METRICS[metric.removeprefix(SOURCE_PREFIX)].against
    if against == "nothing":
        return _SIZE
    if variant != CONVERTED:
        return _COMPRESSION
    return _TRUTH if against == "ground_truth" else _CONVERSION


def advice_for_errors(not_computed: str | None) -> str:
    """Return what to do about a metric that has no value."""
    return not_computed or "list it under compare.metrics, and give compare.samples"


def worst(entry: Mapping[str, Any]) -> str:
    """Return where to look: the worst sample, where there is one."""
    return f"; worst sample {entry['worst_sample']}" if entry.get("worst_sample") else ""
