"""The step `compare`: a variant's outputs against `converted` and against the source, as metrics.

Parameters: `samples`, `metrics`, `outputs`. Inputs: predictions `candidate` and, where there are such, `converted` and `source`; `conversion`.
Files: `ground_truth`, `labels` (one a line), and `samples` where the ground truth is an array of theirs.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from mlpipe.errors import MlpipeError, StepFailed
from mlpipe.metrics.evaluate import SHARE_METRICS, Pair, Value, evaluate, worst_of
from mlpipe.metrics.numbers import to_json
from mlpipe.recipe.metrics_table import METRICS, SOURCE_PREFIX
from mlpipe.recipe.schema.compare import MetricSpec, Samples
from mlpipe.samples.ground_truth import ground_truth_array, read_ground_truth
from mlpipe.samples.predictions import Predictions, open_predictions
from mlpipe.steps.labels import read_labels
from mlpipe.steps.step import Json, StepRequest, StepResult

Row = dict[str, np.ndarray[Any, np.dtype[Any]]]
_SHOWN_ERRORS = 20


def run(request: StepRequest) -> StepResult:
    """Write metrics.json. What could not be computed is recorded with its reason, for the gate to judge."""
    candidates = predictions_by_precision(request.inputs["candidate"])
    references = {role: predictions_by_precision(request.inputs[role]) for role in ("converted", "source") if role in request.inputs}
    specs = [MetricSpec.model_validate(metric) for metric in request.parameters["metrics"]]
    record = _Record()
    _judge_by_truth([spec for spec in specs if METRICS[spec.name].against == "ground_truth"], request, candidates, references, record)
    for role, sets in references.items():
        prefix = SOURCE_PREFIX if role == "source" else ""
        pairs = {precision: (candidate, sets.get(precision, next(iter(sets.values())))) for precision, candidate in candidates.items()}
        _judge_by_reference([spec for spec in specs if METRICS[spec.name].against == "reference"], pairs, prefix, record)
    n = min(len(candidate.ids) for candidate in candidates.values())
    for predictions in (*candidates.values(), *(one for sets in references.values() for one in sets.values())):
        record.errors |= predictions.errors
    overflows = request.values.get("candidate", {}).get("overflows", [])
    data = {"metrics": record.metrics, "n": n, "errors": record.errors, "not_computed": record.not_computed, "overflows": overflows}
    (request.output / "metrics.json").write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    shown = dict(list(record.errors.items())[:_SHOWN_ERRORS])
    return StepResult(data | {"errors": shown, "error_count": len(record.errors)})


@dataclass
class _Record:
    """What metrics.json will say."""

    metrics: dict[str, dict[str, Json]] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    """Sample -> why it has no outputs."""
    not_computed: dict[str, str] = field(default_factory=dict)
    """Metric -> why it has no value."""


def predictions_by_precision(folder: Path) -> dict[str, Predictions]:
    """Return the outputs of a variant by precision, float32 first; those of a source, which has no such choice, as float32."""
    if (folder / "outputs.json").exists():
        return {"float32": open_predictions(folder)}
    names = [name for name in ("float32", "float16") if (folder / name).exists()]
    if not names:
        raise StepFailed("there are no outputs to compare", where=str(folder))
    return {name: open_predictions(folder / name) for name in names}


def _judge_by_truth(
    specs: Sequence[MetricSpec],
    request: StepRequest,
    candidates: Mapping[str, Predictions],
    references: Mapping[str, Mapping[str, Predictions]],
    record: _Record,
) -> None:
    """Add the metrics against ground truth, with the same metric of `converted` and the source beside it."""
    if not specs:
        return
    try:
        labels = _labels(request, next(iter(candidates.values())))
    except MlpipeError as error:
        record.not_computed |= {spec.name: str(error) for spec in specs}
        return

    def values(sets: Mapping[str, Predictions], notes: dict[str, str]) -> dict[str, dict[str, Value]]:
        return {precision: _evaluated(specs, one, _alone(one, labels), "", notes) for precision, one in sets.items()}

    _add_bands(specs, values(candidates, record.not_computed), "", record)
    for role, sets in references.items():
        for name, band in _bands(specs, values(sets, {})).items():
            if name in record.metrics:
                record.metrics[name].setdefault("models", {})[role] = to_json(worst_of(name, [value.value for value in band.values()]))


def _judge_by_reference(specs: Sequence[MetricSpec], pairs: Mapping[str, tuple[Predictions, Predictions]], prefix: str, record: _Record) -> None:
    """Add the metrics against one reference, and the samples that either side lacks."""
    values = {}
    for precision, (candidate, reference) in pairs.items():
        values[precision] = _evaluated(specs, candidate, _pairs(candidate, reference), prefix, record.not_computed)
        record.errors |= dict.fromkeys(set(candidate.ids) ^ set(reference.ids), "has outputs of one model only")
    _add_bands(specs, values, prefix, record)


def _evaluated(specs: Sequence[MetricSpec], candidate: Predictions, pairs: Iterator[Pair], prefix: str, not_computed: dict[str, str]) -> dict[str, Value]:
    """Return the metrics that can be computed; the others are noted."""
    if not candidate.manifest["outputs"] and candidate.ids:
        not_computed |= dict.fromkeys(
            (prefix + spec.name for spec in specs), "no output of the model is a number; a classifier's label needs its scores beside it"
        )
        return {}
    scores, computable = None, list(specs)
    if any(spec.name in SHARE_METRICS for spec in specs):
        try:
            scores = scores_output(candidate)
        except StepFailed as error:
            not_computed |= {prefix + spec.name: str(error) for spec in specs if spec.name in SHARE_METRICS}
            computable = [spec for spec in specs if spec.name not in SHARE_METRICS]
    try:
        return evaluate(pairs, computable, scores) if computable else {}
    except StepFailed as error:
        not_computed |= {prefix + spec.name: str(error) for spec in computable}
        return {}


def scores_output(predictions: Predictions) -> str:
    """Return the output that holds the scores by class: a classifier's, or the only vector there is.

    Errors: StepFailed where it cannot be told.
    """
    outputs = predictions.manifest["outputs"]
    classifier = predictions.manifest.get("classifier")
    if classifier is not None and classifier["output"] in outputs:
        return str(classifier["output"])
    if len(outputs) != 1:
        raise StepFailed(f"which of the outputs {', '.join(outputs) or '(none)'} has the scores is not known", fix="name it in compare.outputs")
    [(name, entry)] = outputs.items()
    if len([size for size in entry["shape"] if size != 1]) != 1:
        raise StepFailed(f"output {name!r} has shape {entry['shape']} a sample, which are no scores by class", fix="use metrics of arrays, such as snr_db")
    return str(name)


def _alone(predictions: Predictions, labels: Mapping[str, int]) -> Iterator[Pair]:
    for name, row in predictions.rows():
        if name in labels:
            yield Pair(name, row, row, labels[name])


def _pairs(candidate: Predictions, reference: Predictions) -> Iterator[Pair]:
    """Yield the samples that both have, in order. Both go through one sample set, so that the common ones come in one order."""
    in_both = set(candidate.ids) & set(reference.ids)
    images = candidate.manifest.get("image_outputs", {}) if reference.manifest.get("image_outputs") == {} else {}
    candidate_rows = (row for row in candidate.rows() if row[0] in in_both)
    reference_rows = (row for row in reference.rows() if row[0] in in_both)
    for (name, row), (other, reference_row) in zip(candidate_rows, reference_rows, strict=True):
        if name != other:
            raise StepFailed(f"the outputs are of different samples: {name} and {other}")
        yield Pair(name, _named_alike(_as_pixels(reference_row, images), row), row)


def _named_alike(reference: Row, candidate: Row) -> Row:
    """Return the reference's outputs; the only one of two models of different kinds goes by the candidate's name."""
    if len(reference) == len(candidate) == 1 and reference.keys() != candidate.keys():
        return dict(zip(candidate, reference.values(), strict=True))
    return reference


def _as_pixels(row: Row, images: Mapping[str, Json]) -> Row:
    """Return the source's outputs with those that are images in Core ML clipped to what a pixel can say, as the recipe asks."""
    clipped = {name: np.clip(row[name], 0, 255 / image["scale"]) for name, image in images.items() if image.get("clip") and name in row}
    return row | clipped


def _labels(request: StepRequest, predictions: Predictions) -> dict[str, int]:
    """Return sample -> true class. Errors: SampleUnreadable; StepFailed where the recipe names no ground truth."""
    samples = Samples.model_validate(request.parameters["samples"])
    if samples.ground_truth is None:
        raise StepFailed("there is no ground truth", fix="name a .csv in compare.samples.ground_truth")
    if samples.ground_truth.startswith("key:"):
        return ground_truth_array(request.files["samples"][0], samples.ground_truth.removeprefix("key:"), predictions.ids)
    names = samples.labels if isinstance(samples.labels, list) else None
    if "labels" in request.files:
        names = read_labels(request.files["labels"][0], "compare.samples.labels")
    elif names is None and predictions.manifest.get("classifier"):
        names = predictions.manifest["classifier"]["labels"]
    return read_ground_truth(request.files["ground_truth"][0], predictions.ids, names)


def _bands(specs: Sequence[MetricSpec], values: Mapping[str, Mapping[str, Value]]) -> dict[str, dict[str, Value]]:
    """Return metric -> precision -> value, for the metrics that every precision has."""
    return {
        spec.name: {precision: found[spec.name] for precision, found in values.items()}
        for spec in specs
        if all(spec.name in found for found in values.values())
    }


def _add_bands(specs: Sequence[MetricSpec], values: Mapping[str, Mapping[str, Value]], prefix: str, record: _Record) -> None:
    """Add each metric's entry: the worse end of the band, and both ends."""
    for name, band in _bands(specs, values).items():
        value = worst_of(name, [one.value for one in band.values()])
        worst = next(one for one in band.values() if one.value == value or one.value != one.value)
        outputs = {output: to_json(worst_of(name, [one.outputs[output] for one in band.values()])) for output in worst.outputs}
        record.metrics[prefix + name] = {
            "value": to_json(value),
            "n": worst.n,
            "low": worst.low,
            "high": worst.high,
            "worst_sample": worst.worst_sample,
            "band": {precision: to_json(one.value) for precision, one in band.items()},
            "outputs": outputs,
        }
