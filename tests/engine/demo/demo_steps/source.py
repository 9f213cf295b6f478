from __future__ import annotations

import shutil

from demo_steps.common import behave
from mlpipe.steps.step import StepRequest, StepResult


def run(request: StepRequest) -> StepResult:
    behave(request)
    (path,) = request.files["model"]
    shutil.copyfile(path, request.output / path.name)
    return StepResult(values={"bytes": path.stat().st_size})
