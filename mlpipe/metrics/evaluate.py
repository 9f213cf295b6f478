"""Two sets of outputs, gone through once, as the value of every metric with its worst sample."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from mlpipe.errors import StepFailed
from mlpipe.metrics.agreement import Scores, accuracy, top1_agreement, topk_agreement
from mlpipe.metrics.difference import max_abs_error
from mlpipe.metrics.moments import Array, Moments, moments_of
from mlpipe.metrics.signal import psnr_db, snr_db
from mlpipe.metrics.similarity import cosine
from mlpipe.metrics.wilson import wilson_interval
from mlpipe.recipe.metrics_table import METRICS
from mlpipe.recipe.schema.compare import MetricSpec

TENSOR_METRICS: Mapping[str, Callable[[Moments, MetricSpec], float]] = {
    "snr_db": snr_db,
    "psnr_db": psnr_db,
    "max_abs_error": max_abs_error,
    "cosine": cosine,
}
"""Metrics of each output; the worst output's value counts."""

SHARE_METRICS: Mapping[str, Callable[[Scores, MetricSpec], float]] = {
    "top1_agreement": top1_agreement,
    "topk_agreement": topk_agreement,
    "accuracy": accuracy,
}
"""Metrics of a classifier's scores: 1 or 0 a sample, and the share of ones."""


@dataclass(frozen=True)
class Pair:
    """One sample's outputs of both models, by output name."""

    id: str
    reference: Mapping[str, Array]
    candidate: Mapping[str, Array]
    label: int | None = None


@dataclass(frozen=True)
class Value:
    """A metric's value over a set. `low` and `high` are the ends of a share's Wilson interval."""

    value: float
    n: int
    worst_sample: str | None
    low: float | None = None
    high: float | None = None
    outputs: Mapping[str, float] = field(default_factory=dict)
    """By output, where the metric looks at each."""


@dataclass
class _Worst:
    """The sample with the worst value so far; NaN is worse than anything, and the first of equals stays."""

    higher_is_better: bool
    badness: float = -math.inf
    value: float = math.nan
    sample: str | None = None

    def see(self, sample: str, value: float) -> None:
        badness = math.inf if math.isnan(value) else -value if self.higher_is_better else value
        worse_than_worst = self.sample is None or badness > self.badness or (math.isnan(value) and not math.isnan(self.value))
        if worse_than_worst:
            self.badness, self.value, self.sample = badness, value, sample


def evaluate(pairs: Iterable[Pair], specs: Sequence[MetricSpec], scores: str | None) -> dict[str, Value]:
    """Return every metric's value by name. `scores` is the output that holds a classifier's scores, for metrics that want them.

    Errors: StepFailed where the outputs of a sample have different names or shapes, or a label is no class.
    """
    totals: dict[str, Moments] = {}
    hits: dict[str, float] = {spec.name: 0.0 for spec in specs if spec.name in SHARE_METRICS}
    worst = {spec.name: _Worst(METRICS[spec.name].better == "higher") for spec in specs}
    n = 0
    for pair in pairs:
        n += 1
        moments = {name: moments_of(*same_shape(pair, name)) for name in _same_names(pair)} if _wants(specs, TENSOR_METRICS) else {}
        for name, value in moments.items():
            totals[name] = totals.get(name, Moments()) + value
        case = scores_of(pair, scores) if scores is not None and hits else None
        for spec in specs:
            if spec.name in TENSOR_METRICS:
                for value in moments.values():
                    worst[spec.name].see(pair.id, TENSOR_METRICS[spec.name](value, spec))
            elif case is not None:
                hit = SHARE_METRICS[spec.name](case, spec)
                hits[spec.name] += hit
                worst[spec.name].see(pair.id, hit)
    return {spec.name: _value(spec, n, totals, hits, worst[spec.name]) for spec in specs if n}


def _value(spec: MetricSpec, n: int, totals: Mapping[str, Moments], hits: Mapping[str, float], worst: _Worst) -> Value:
    if spec.name in SHARE_METRICS:
        share = hits[spec.name] / n
        if math.isnan(share):
            return Value(share, n, worst.sample)
        low, high = wilson_interval(share, n)
        return Value(share, n, worst.sample if worst.value < 1.0 else None, low, high)
    outputs = {name: TENSOR_METRICS[spec.name](moments, spec) for name, moments in totals.items()}
    return Value(worst_of(spec.name, list(outputs.values())), n, worst.sample, outputs=outputs)


def worst_of(metric: str, values: Sequence[float]) -> float:
    """Return the worst of several values of a metric; NaN where one of them is."""
    if any(math.isnan(value) for value in values):
        return math.nan
    return min(values) if METRICS[metric].better == "higher" else max(values)


def same_shape(pair: Pair, name: str) -> tuple[Array, Array]:
    """Return one output of both models, in one shape. Axes of length one may differ: they change no element's place.

    Errors: StepFailed where the shapes differ otherwise.
    """
    reference, candidate = pair.reference[name], pair.candidate[name]
    if [size for size in reference.shape if size != 1] != [size for size in candidate.shape if size != 1]:
        raise StepFailed(
            f"output {name!r} has shape {list(candidate.shape)} and the reference's has {list(reference.shape)}, on sample {pair.id}",
            why="only outputs of one shape can be compared",
        )
    return reference.reshape(candidate.shape), candidate


def scores_of(pair: Pair, output: str) -> Scores:
    """Return the scores of one sample as two vectors. Errors: StepFailed where the output is no vector of two classes or more, or the label no class."""
    reference, candidate = same_shape(pair, output)
    classes = candidate.size
    if classes < 2 or classes not in candidate.shape:
        raise StepFailed(
            f"output {output!r} has shape {list(candidate.shape)} a sample, which are no scores by class",
            fix="name the output with the scores in compare.outputs",
        )
    if pair.label is not None and not 0 <= pair.label < classes:
        raise StepFailed(f"the label of sample {pair.id} is class {pair.label}, and output {output!r} has {classes} classes")
    return Scores(reference.ravel(), candidate.ravel(), pair.label)


def _same_names(pair: Pair) -> list[str]:
    if pair.reference.keys() != pair.candidate.keys():
        raise StepFailed(f"the candidate has the outputs {', '.join(pair.candidate)}, the reference {', '.join(pair.reference)}, on sample {pair.id}")
    return list(pair.candidate)


def _wants(specs: Sequence[MetricSpec], table: Mapping[str, object]) -> bool:
    return any(spec.name in table for spec in specs)
