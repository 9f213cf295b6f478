from __future__ import annotations

import json

from demo_steps.common import behave
from mlpipe.steps.step import StepRequest, StepResult


def run(request: StepRequest) -> StepResult:
    behave(request)
    outputs = json.loads((request.inputs["predict"] / "outputs.json").read_text())
    verdict = "pass" if max(map(max, outputs)) >= request.parameters["bound"] else "fail"
    (request.output / "verdict.json").write_text(json.dumps(verdict))
    return StepResult(values={"verdict": verdict})
