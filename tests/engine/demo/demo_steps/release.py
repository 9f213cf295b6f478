from __future__ import annotations

import shutil

from demo_steps.common import behave
from mlpipe.steps.step import StepRequest, StepResult


def run(request: StepRequest) -> StepResult:
    """Hand the model on where its gate passes, else nothing."""
    behave(request)
    if request.values["gate"]["verdict"] == "pass":
        shutil.copyfile(request.inputs["model"] / "model.bin", request.output / "release.bin")
    return StepResult()
