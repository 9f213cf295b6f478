from __future__ import annotations

import json

from demo_steps.common import behave
from mlpipe.steps.step import StepRequest, StepResult


def run(request: StepRequest) -> StepResult:
    """Drop the comments, and write a folder as .mlpackage is one."""
    behave(request)
    lines = (request.inputs["source"] / "model.txt").read_text().splitlines()
    numbers = [float(line) * request.parameters["scale"] for line in lines if not line.startswith("#")]
    package = request.output / "model.package"
    (package / "weights").mkdir(parents=True)
    (package / "weights" / "numbers.json").write_text(json.dumps(numbers * 5000))
    (package / "manifest.json").write_text(json.dumps({"count": len(numbers)}))
    return StepResult(values={"count": len(numbers)})
