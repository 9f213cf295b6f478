"""The way from a traceable source to a Core ML file: plan the interface, trace, convert, check, write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mlpipe.errors import RecipeError
from mlpipe.model_files.read import read_model
from mlpipe.model_files.write import write_canonical
from mlpipe.recipe.capabilities import DEFAULT_PRECISIONS
from mlpipe.recipe.schema.convert import Convert
from mlpipe.sources.conversion.core_ml import to_core_ml
from mlpipe.sources.conversion.description import check_description, complete_description, conversion_data
from mlpipe.sources.conversion.interface import plan_interface
from mlpipe.sources.conversion.trace import trace
from mlpipe.sources.traceable import Traceable
from mlpipe.weights.inventory import float32_size_bytes


def convert_traceable(model: Traceable, convert: Convert, output: Path) -> dict[str, Any]:
    """Write model.mlmodel or model.mlpackage into `output`; return the data of conversion.json.

    Errors: RecipeError, ConversionFailed.
    """
    keeps = convert.keep_float32.names or convert.keep_float32.types
    precision = convert.compute_precision or DEFAULT_PRECISIONS[convert.to]
    if convert.to == "neuralnetwork" and (keeps or precision == "float16"):
        raise RecipeError("convert: a NeuralNetwork does not state a compute precision", fix="drop compute_precision and keep_float32, or use `to: mlprogram`")
    if keeps and precision == "float32":
        raise RecipeError("convert.keep_float32: the whole model is float32 already", fix="drop it, or `compute_precision: float32`")
    interface = plan_interface(convert, model.inputs, model.outputs, model.names)
    made = to_core_ml(trace(model, interface), interface, convert)
    complete_description(made.spec, interface)
    check_description(made.spec, interface)
    path = output / ("model.mlpackage" if convert.to == "mlprogram" else "model.mlmodel")
    write_canonical(made.spec, path, made.weights_folder)
    return conversion_data(made.spec, interface) | {"float32_size_bytes": float32_size_bytes(read_model(path))}
