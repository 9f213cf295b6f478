"""The report of a recipe of which a step failed: what was finished is in it, and what was not says why."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from mlpipe.engine.files import write_atomically
from mlpipe.engine.outcome import RunResult
from mlpipe.engine.state import state_folder
from mlpipe.engine.task_spec import TaskSpec
from mlpipe.steps import report
from mlpipe.steps.step import StepRequest


def write_failure_report(spec: TaskSpec, result: RunResult, specs: Mapping[str, TaskSpec], workspace_root: Path) -> None:
    """Write the report task's files with what there is, over those of an earlier run: nobody may read an old pass after a failure.

    Called while the workspace is locked. The task itself has not run, so that nothing of this is cached and the next run makes the report anew.
    """
    done = {role: result.tasks[task] for role, task in spec.inputs.items() if task in result.tasks and result.tasks[task].outcome.is_good}
    parameters = dict(spec.parameters) | {"failures": _failures(spec, result, specs)}
    folders = {role: task.folder for role, task in done.items() if task.folder is not None}
    with tempfile.TemporaryDirectory(prefix="mlpipe-") as name:
        output = Path(name)
        report.run(StepRequest(spec.name, parameters, folders, {role: task.values for role, task in done.items()}, {}, spec.folder, output))
        for relative, target in spec.export.items():
            write_atomically(target, (output / relative).read_bytes(), state_folder(workspace_root) / "tmp")


def _failures(spec: TaskSpec, result: RunResult, specs: Mapping[str, TaskSpec]) -> dict[str, str]:
    """Return why each variant has no verdict: the failures that its gate rests on."""
    reasons = {}
    for variant in spec.parameters["variants"]:
        gate = spec.inputs[f"gate:{variant}"]
        if gate not in result.tasks or not result.tasks[gate].outcome.is_good:
            below = _ancestors(gate, specs)
            failed = [f"{task.task} failed: {(task.error or {}).get('what', 'see its log')}" for task in result.failed if task.task in below]
            reasons[variant] = "; ".join(failed) or "it was not built, because the run was stopped"
    return reasons


def _ancestors(task: str, specs: Mapping[str, TaskSpec]) -> set[str]:
    """Return a task and all that it reads."""
    found: set[str] = set()
    pending = [task]
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            pending += specs[name].inputs.values()
    return found
