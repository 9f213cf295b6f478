"""The step that compresses a variant's weights."""

from __future__ import annotations

import json

from mlpipe.model_files.read import read_model
from mlpipe.model_files.size import find_model, size_bytes
from mlpipe.quantization.quantize import quantize
from mlpipe.quantization.summary import notes, summary
from mlpipe.recipe.schema.quantize import QuantizeStep
from mlpipe.steps.step import StepRequest, StepResult


def run(request: StepRequest) -> StepResult:
    """Return a summary of the weights; writes `model.*` and `weights.json`, one record for each weight of the written file.

    Parameters: `steps`, a list of QuantizeStep data, done in order. Inputs: `model`.
    Errors: QuantizationFailed; RecipeError where a user's function is not there; ModelFileInvalid.
    """
    steps = [QuantizeStep.model_validate(step) for step in request.parameters["steps"]]
    path = find_model(request.inputs["model"])
    records = quantize(read_model(path), steps, request.output / path.name, request.folder, request.progress)
    text = json.dumps([record.as_dict() for record in records], indent=1)
    (request.output / "weights.json").write_text(text + "\n", encoding="utf-8")
    return StepResult({"weights": summary(records)}, (*notes(records), *_no_smaller(size_bytes(path), size_bytes(request.output / path.name))))


def _no_smaller(before: int, after: int) -> tuple[str, ...]:
    """Return what to say of a model that is so small that tables, scales and their descriptions outweigh the gain."""
    return (f"the file is no smaller: {after} bytes, and {before} before; its weights are too few for this method",) if after >= before else ()
