"""The step `release`: the packaged model under its release name, if its gate passes.

Parameters: `variant`, `name`. Inputs: `package`. Values: `gate`. Runs in the main process: imports no numpy and no framework.
"""

from __future__ import annotations

import shutil

from mlpipe.steps.step import StepRequest, StepResult


def run(request: StepRequest) -> StepResult:
    """Copy the model, or nothing where the gate does not pass; the value `released` is the file's name or null."""
    variant, name = request.parameters["variant"], request.parameters["name"]
    verdict = request.values["gate"]["verdict"]
    if verdict != "PASS":
        return StepResult({"variant": variant, "released": None}, (f"{name} is not released: the gate of {variant} says {verdict}",))
    [model] = (path for path in request.inputs["package"].iterdir() if path.suffix in {".mlmodel", ".mlpackage"})
    target = request.output / f"{name}{model.suffix}"
    if model.is_dir():
        shutil.copytree(model, target)
    else:
        shutil.copyfile(model, target)
    return StepResult({"variant": variant, "released": target.name})
