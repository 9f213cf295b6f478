"""The `convert` step: the source becomes the variant `converted`."""

from __future__ import annotations

import json

from mlpipe.recipe.schema.convert import Convert
from mlpipe.recipe.schema.source import Source
from mlpipe.sources.table import model_path, module_of, with_modules_in
from mlpipe.steps.labels import read_labels
from mlpipe.steps.step import StepRequest, StepResult


def run(request: StepRequest) -> StepResult:
    """Write the Core ML model and conversion.json. Errors: RecipeError, SourceUnreadable, ConversionFailed."""
    source = with_modules_in(Source.model_validate(request.parameters["source"]), request.folder)
    convert = _with_labels(Convert.model_validate(request.parameters["convert"] or {}), request)
    conversion = module_of(source).convert(source, model_path(source, request.inputs["source"]), convert, request.output)
    description = json.loads((request.inputs["source"] / "description.json").read_text(encoding="utf-8"))
    conversion["described"] = {"inputs": description["inputs"]}  # what is fed, so that no later step reads the source itself
    (request.output / "conversion.json").write_text(json.dumps(conversion, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return StepResult(values={"conversion": conversion})


def _with_labels(convert: Convert, request: StepRequest) -> Convert:
    """Return the section with the labels themselves instead of the name of their file."""
    classifier = convert.classifier
    if classifier is None or not isinstance(classifier.class_labels, str):
        return convert
    labels = read_labels(request.files["labels"][0], "convert.classifier.class_labels")
    return convert.model_copy(update={"classifier": classifier.model_copy(update={"class_labels": labels})})
