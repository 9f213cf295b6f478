"""What a gate needs to know of each metric, as pure data. How they are computed is `mlpipe/metrics`' business."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Unit = Literal["share", "ratio", "decibel", "bytes", "number"]


@dataclass(frozen=True)
class Metric:
    """One metric."""

    name: str
    unit: Unit
    """share: 0..1, a part of the samples; ratio: a quotient that may exceed 1; number: in the outputs' own unit."""
    better: Literal["higher", "lower"]
    against: Literal["reference", "ground_truth", "nothing"]
    """What it holds a variant against; only metrics against a reference know the prefix `source.`."""
    minimum: float | None = None
    maximum: float | None = None
    parameters: tuple[str, ...] = ()


_ALL = (
    Metric("top1_agreement", "share", "higher", "reference", 0, 1),
    Metric("topk_agreement", "share", "higher", "reference", 0, 1, ("k",)),
    Metric("accuracy", "share", "higher", "ground_truth", 0, 1),
    Metric("snr_db", "decibel", "higher", "reference"),
    Metric("psnr_db", "decibel", "higher", "reference", None, None, ("peak",)),
    Metric("max_abs_error", "number", "lower", "reference", 0),
    Metric("cosine", "number", "higher", "reference", -1, 1),
    Metric("size_ratio", "ratio", "lower", "nothing", 0),
    Metric("size_bytes", "bytes", "lower", "nothing", 0),
)
METRICS = {metric.name: metric for metric in _ALL}
SOURCE_PREFIX = "source."
DEFAULT_K = 5
