"""The step `predict`: the outputs of the source, or of one variant on the portable runtime, on every sample.

Parameters: `side` ("source" or "model"), `samples`, `inputs` (convert.inputs), `outputs` (names or null), `source` and `precision` by side.
Inputs: `source` (none where `files["reference_outputs"]` stands in for it), or `model` and `conversion`.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mlpipe.errors import MlpipeError, NotExecutable, SampleUnreadable, StepFailed
from mlpipe.recipe.image_inputs import ResolvedImage, resolve_image_inputs
from mlpipe.recipe.schema.compare import Samples
from mlpipe.recipe.schema.convert import Input
from mlpipe.recipe.schema.source import Source
from mlpipe.samples.arrays import array_keys, open_array
from mlpipe.samples.predictions import PredictionWriter
from mlpipe.samples.sample_set import Sample, SampleSet, open_samples, sample_names
from mlpipe.steps.compute_precision import precisions_of
from mlpipe.steps.core_ml_source import image_inputs, run_core_ml
from mlpipe.steps.step import Json, StepRequest, StepResult

Arrays = dict[str, np.ndarray[Any, np.dtype[Any]]]
_RESTARTS = 3
"""How many samples may fail inside the source's framework before the step gives up: each costs loading the model again."""


def run(request: StepRequest) -> StepResult:
    """Write the outputs. A sample that cannot be read or computed is recorded, and the others go on."""
    samples = Samples.model_validate(request.parameters["samples"])
    if request.parameters["side"] == "model":
        return _predict_model(request, samples)
    writer = PredictionWriter(request.output)
    if "source" in request.inputs:
        _predict_source(request, samples, writer)
    else:
        _copy_outputs(request, samples, writer)
    return StepResult({"n": writer.close(classifier=None, image_outputs={}), "errors": len(writer.errors)})


def _predict_source(request: StepRequest, samples: Samples, writer: PredictionWriter) -> None:
    from mlpipe.sources.table import model_path, module_of, with_modules_in

    source = with_modules_in(Source.model_validate(request.parameters["source"]), request.folder)
    path = model_path(source, request.inputs["source"])
    declared = _declared_inputs(request)
    described = json.loads((request.inputs["source"] / "description.json").read_text(encoding="utf-8"))["inputs"]
    is_core_ml = source.kind == "coreml"
    images = image_inputs(path) if is_core_ml else resolve_image_inputs(declared, described)
    sample_set = open_samples(samples, request.files, _with_defaults(described, declared), images)
    predict: Callable[..., Iterator[Arrays]] = module_of(source).predict
    if is_core_ml:
        predict = partial(predict, runtime=run_core_ml)
    started: deque[Sample] = deque()
    feeds = _feeds(sample_set, sample_set.pixel_feed if is_core_ml else sample_set.source_feed, writer, started)
    for restarts_left in reversed(range(_RESTARTS + 1)):
        try:
            for outputs in predict(source, path, feeds, request.progress):
                sample = started.popleft()
                writer.add(sample.id, _chosen(outputs, request.parameters["outputs"]))
                request.progress(len(writer.ids) + len(writer.errors), len(sample_set), sample.id)
        except MlpipeError as error:
            if not started or not restarts_left:
                raise
            writer.fail(started.popleft().id, str(error))
        else:
            return


def _feeds(sample_set: SampleSet, feed_of: Callable[[Sample], Arrays], writer: PredictionWriter, started: deque[Sample]) -> Iterator[Arrays]:
    """Yield what the model is fed for each readable sample, and note in `started` which one that was."""
    for sample in sample_set:
        if sample.error is not None:
            writer.fail(sample.id, sample.error)
            continue
        try:
            feed = feed_of(sample)
        except SampleUnreadable as error:
            writer.fail(sample.id, str(error))
            continue
        started.append(sample)
        yield feed


def _copy_outputs(request: StepRequest, samples: Samples, writer: PredictionWriter) -> None:
    """Take the outputs from an .npz: one array an output, samples along the first axis."""
    path = request.files["reference_outputs"][0]
    keys = array_keys(path)
    if keys is None:
        raise SampleUnreadable(f"{path.name} is a .npy", fix="reference_outputs is an .npz with one array an output")
    names = sample_names(samples, request.files)
    arrays = {key: open_array(path, key) for key in keys}
    for key, array in _chosen(arrays, request.parameters["outputs"]).items():
        if array.shape[0] != len(names):
            raise SampleUnreadable(f"{path.name}: {key} has {array.shape[0]} rows, and there are {len(names)} samples")
    chosen = _chosen(arrays, request.parameters["outputs"])
    rows = zip(*(array.rows() for array in chosen.values()), strict=True)
    for name, row in zip(names, rows, strict=True):
        writer.add(name, dict(zip(chosen, row, strict=True)))


def _predict_model(request: StepRequest, samples: Samples) -> StepResult:
    from mlpipe.runtime import load_model, what_overflows

    conversion = _conversion(request)
    path = model_file(request.inputs["model"])
    precisions = precisions_of(path, request.parameters["precision"])
    models = {precision: load_model(path, precision=precision) for precision in precisions}
    writers = {precision: PredictionWriter(_folder(request.output / precision)) for precision in precisions}
    images = {name: _resolved(image) for name, image in conversion["images"].items()}
    described = _with_defaults(conversion["described"]["inputs"], _declared_inputs(request))
    sample_set = open_samples(samples, request.files, described, images)
    overflowed: Arrays | None = None
    for done, sample in enumerate(sample_set, 1):
        for precision, writer in writers.items():
            try:
                if sample.error is not None:
                    raise SampleUnreadable(sample.error)
                feed = sample_set.pixel_feed(sample, conversion["inputs"])
                model = models[precision]
                outputs = model.predict_arrays(feed, model.make_state())
                writer.add(sample.id, _chosen(_source_outputs(outputs, conversion), request.parameters["outputs"]))
                if precision == "float16" and overflowed is None and not all(np.isfinite(value).all() for value in outputs.values()):
                    overflowed = feed
            except NotExecutable:
                raise
            except MlpipeError as error:
                writer.fail(sample.id, str(error))
        request.progress(done, len(sample_set), sample.id)
    extra = {"classifier": _classifier(conversion), "image_outputs": conversion.get("image_outputs", {})}
    counts = {precision: writer.close(**extra) for precision, writer in writers.items()}
    result = {"n": min(counts.values()), "errors": max(len(writer.errors) for writer in writers.values()), "precisions": list(precisions)}
    # The first such sample tells: looking into one computes every layer twice.
    return StepResult(result if overflowed is None else result | {"overflows": what_overflows(models["float16"], overflowed)})


def model_file(artifact: Path) -> Path:
    """Return the Core ML file in an artifact. Errors: StepFailed where there is none."""
    for name in ("model.mlpackage", "model.mlmodel"):
        if (artifact / name).exists():
            return artifact / name
    raise StepFailed("the artifact holds no Core ML model", where=str(artifact))


def _conversion(request: StepRequest) -> Json:
    folder = request.inputs.get("conversion", request.inputs["model"])
    return json.loads((folder / "conversion.json").read_text(encoding="utf-8"))


def _resolved(image: Mapping[str, Any]) -> ResolvedImage:
    return ResolvedImage(image["color"], tuple(image["scale"]), tuple(image["bias"]), image["layout"], image["height"], image["width"])


def _declared_inputs(request: StepRequest) -> dict[str, Input]:
    return {name: Input.model_validate(value) for name, value in request.parameters["inputs"].items()}


def _with_defaults(described: Sequence[Mapping[str, Json]], declared: Mapping[str, Input]) -> list[dict[str, Json]]:
    """Return the inputs with the recipe's sizes as defaults of flexible ones."""
    result = []
    for entry in described:
        wanted = declared.get(entry["name"], Input())
        shape: Sequence[Any] | None = wanted.default_shape or next(iter(wanted.enumerated_shapes or ()), None) or wanted.shape
        sizes = None if shape is None else [size if isinstance(size, int) else size.default for size in shape]
        result.append({**entry, "default_shape": sizes})
    return result


def _source_outputs(outputs: Mapping[str, Any], conversion: Mapping[str, Json]) -> Arrays:
    """Return a Core ML model's outputs under the source's names; an image output in the source's layout and units."""
    result = {}
    for name, core_ml_name in conversion["outputs"].items():
        value = np.asarray(outputs[core_ml_name])
        image = conversion.get("image_outputs", {}).get(name)
        if image is not None:
            planes = value.reshape(value.shape[-3:])
            value = (planes if image.get("layout") == "nchw" else planes.transpose(1, 2, 0)) / image.get("scale", 1.0)
        result[name] = value
    return result


def _chosen(outputs: Mapping[str, Any], names: Sequence[str] | None) -> dict[str, Any]:
    if names is None:
        return dict(outputs)
    unknown = [name for name in names if name not in outputs]
    if unknown:
        raise StepFailed(f"compare.outputs: there is no output {unknown[0]!r}", fix=f"the outputs are {', '.join(outputs)}")
    return {name: outputs[name] for name in names}


def _classifier(conversion: Mapping[str, Json]) -> Json:
    classifier = conversion.get("classifier")
    if classifier is None:
        return None
    names = {core_ml_name: name for name, core_ml_name in conversion["outputs"].items()}
    return {"output": names.get(classifier["probabilities"], classifier["probabilities"]), "labels": [str(label) for label in classifier["labels"]]}


def _folder(path: Path) -> Path:
    path.mkdir()
    return path
