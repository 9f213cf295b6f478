"""The report of a recipe of which a step failed: what was finished is in it, and what was not says why."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from mlpipe.engine.files import write_atomically
from mlpipe.engine.outcome import RunResult
from mlpipe.engine.state import state_folder
from mlpipe.engine.task_spec import TaskSpec
from mlpipe.steps import report
from mlpipe.steps.step import StepRequest


def write_failure_report(spec: TaskSpec, result: RunResult, workspace_root: Path) -> None:
    """Write the report task's files with what there is, over those of an earlier run: nobody may read an old pass after a failure.

    Called while the workspace is locked. The task itself has not run, so that nothing of this is cached and the next run makes the report anew.
    """
    done = {role: result.tasks[task] for role, task in spec.inputs.items() if task in result.tasks and result.tasks[task].outcome.is_good}
    parameters = dict(spec.parameters) | {"failures": _failures(spec, result)}
    folders = {role: task.folder for role, task in done.items() if task.folder is not None}
    with tempfile.TemporaryDirectory(prefix="mlpipe-") as name:
        output = Path(name)
        report.run(StepRequest(spec.name, parameters, folders, {role: task.values for role, task in done.items()}, {}, spec.folder, output))
        for relative, target in spec.export.items():
            write_atomically(target, (output / relative).read_bytes(), state_folder(workspace_root) / "tmp")


def _failures(spec: TaskSpec, result: RunResult) -> dict[str, str]:
    """Return why each variant has no verdict: the failure that stands at its root."""
    reasons = {}
    for variant in spec.parameters["variants"]:
        task = result.tasks.get(spec.inputs[f"gate:{variant}"])
        if task is None or not task.outcome.is_good:
            reasons[variant] = _reason(spec, variant, result)
    return reasons


def _reason(spec: TaskSpec, variant: str, result: RunResult) -> str:
    prefix = spec.name.partition(":")[0]
    own = [task for task in result.failed if task.task.startswith(f"{prefix}:") and task.task.rpartition(":")[2] == variant]
    shared = [task for task in result.failed if task.task.startswith(f"{prefix}:")]
    for task in own or shared:
        error: dict[str, Any] = task.error or {}
        return f"{task.task} failed: {error.get('what', 'see its log')}"
    return "it was not built, because the run was stopped"
