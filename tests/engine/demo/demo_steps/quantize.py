from __future__ import annotations

import json

from demo_steps.common import behave
from mlpipe.steps.step import StepRequest, StepResult


def run(request: StepRequest) -> StepResult:
    behave(request)
    numbers = json.loads((request.inputs["model"] / "model.package/weights/numbers.json").read_text())
    levels = 2 ** request.parameters["bits"]
    (request.output / "model.bin").write_text(json.dumps([round(number * levels) / levels for number in numbers]))
    return StepResult(log_notes=("one layer was skipped",))
