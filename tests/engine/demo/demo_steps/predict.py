from __future__ import annotations

import importlib.util
import json

from demo_steps.common import behave
from mlpipe.steps.step import StepRequest, StepResult


def run(request: StepRequest) -> StepResult:
    from demo_steps.runtime.registry import OPS

    behave(request)
    numbers = json.loads((request.inputs["model"] / "model.bin").read_text())[:10]
    layer = _user_layer(request) if request.parameters["user_code"] else float
    samples = [float(path.read_text()) for path in request.files["samples"]]
    outputs = [[layer(OPS["relu"](sample * number)) for number in numbers] for sample in samples]
    (request.output / "outputs.json").write_text(json.dumps(outputs))
    return StepResult(values={"n": len(samples)})


def _user_layer(request: StepRequest):
    spec = importlib.util.spec_from_file_location("layer", request.folder / "layer.py")
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules["layer"] = module
    spec.loader.exec_module(module)
    return module.layer
