"""The step `report`: report.json, report.md and junit.xml from what the other tasks recorded.

Parameters: `recipe`, `variants`, `artifacts` (variant -> file), `release`. Values by role: `source`, `package:V`, `gate:V`, `compare:V`, `quantize:V`,
`release`. Runs in the main process: imports no numpy and no framework.
"""

from __future__ import annotations

import json
import re
from importlib import metadata
from pathlib import Path

from mlpipe.reports.junit import junit
from mlpipe.reports.markdown import markdown
from mlpipe.reports.model import report_data
from mlpipe.steps.step import StepRequest, StepResult

_DIGEST = re.compile("[0-9a-f]{64}")
TOOLS = ("coremltools", "numpy", "onnx", "onnxruntime", "pillow", "protobuf")
"""Distributions whose versions a report states, beside the source's own framework."""


def run(request: StepRequest) -> StepResult:
    """Write the reports; the values are `passed` and `verdict`."""
    recipe = request.parameters["recipe"]
    tasks = {f"{recipe}:{role}": {"artifact": _address(folder)} for role, folder in sorted(request.inputs.items())}
    report = report_data(request.parameters, request.values, tasks, _versions(), metadata.version("mlpipe"))
    files = {"report.json": json.dumps(report, indent=1, ensure_ascii=False, allow_nan=False) + "\n", "report.md": markdown(report), "junit.xml": junit(report)}
    for name, text in files.items():
        (request.output / name).write_text(text, encoding="utf-8")
    return StepResult({"passed": report["passed"], "verdict": report["verdict"]})


def _address(folder: Path) -> str:
    """Return the digest that an artifact has in the store, which some part of its path is."""
    return next((part for part in reversed(folder.parts) if _DIGEST.fullmatch(part)), folder.name)


def _versions() -> dict[str, str]:
    found = {}
    for name in TOOLS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found
