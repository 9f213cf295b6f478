"""A Core ML file as an ONNX file, for people who name both."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mlpipe.analysis.prediction.run import as_command_error, require_core_ml
from mlpipe.errors import InvalidInput, RecipeError, StoreUnusable
from mlpipe.runtime.export import export_onnx, summary


def export_model(model: Path, output: Path, *, precision: str, function: str | None, external_data: bool) -> dict[str, Any]:
    """Write the ONNX model and return what was written. Errors: RecipeError, ModelFileInvalid, NotExecutable, StoreUnusable."""
    require_core_ml(model)
    if output.suffix.lower() != ".onnx":
        raise RecipeError(f"--output {output}: an ONNX model's name ends in .onnx", fix=f"say {output.with_suffix('.onnx')}")
    try:
        return summary(export_onnx(model, output, precision=precision, function_name=function, external_data=external_data))
    except InvalidInput as error:
        raise as_command_error(error) from error
    except OSError as error:
        raise StoreUnusable("the ONNX model cannot be written", where=str(output), why=error.strerror) from error
