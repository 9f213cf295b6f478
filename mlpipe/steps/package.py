"""The step that stamps a variant's metadata, last, so that editing it runs nothing heavy."""

from __future__ import annotations

import json
import shutil

from mlpipe.model_files.metadata import is_empty, stamp
from mlpipe.model_files.read import read_model
from mlpipe.model_files.size import find_model, size_bytes
from mlpipe.model_files.write import write_canonical
from mlpipe.recipe.schema.convert import Metadata
from mlpipe.steps.step import StepRequest, StepResult
from mlpipe.weights.inventory import float32_size_bytes


def run(request: StepRequest) -> StepResult:
    """Return `size_bytes` of the packaged model and `float32_size_bytes` of `converted`; writes `model.*`.

    Parameters: `metadata`, or None. Inputs: `model`; `conversion`, the artifact of the conversion. Without metadata the model is copied as it is.
    Errors: RecipeError where the metadata describes an input or output that the model does not have; ModelFileInvalid.
    """
    source = find_model(request.inputs["model"])
    target = request.output / source.name
    conversion = json.loads((request.inputs["conversion"] / "conversion.json").read_text(encoding="utf-8"))
    metadata = Metadata.model_validate(request.parameters["metadata"] or {})
    if is_empty(metadata):
        (shutil.copytree if source.is_dir() else shutil.copyfile)(source, target)
    else:
        model = read_model(source)
        stamp(model.spec, metadata, {**conversion["inputs"], **conversion["outputs"]})
        write_canonical(model.spec, target, model.weights_folder)
    float32_bytes = conversion.get("float32_size_bytes") or float32_size_bytes(read_model(find_model(request.inputs["conversion"])))
    stamped = size_bytes(target) - size_bytes(source)  # the float32 conversion would carry the same metadata
    return StepResult({"size_bytes": size_bytes(target), "float32_size_bytes": float32_bytes + stamped})
