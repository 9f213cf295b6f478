"""What a step is: a pure function from parameters and artifacts to an artifact and a record.

A step module has one function `run(request: StepRequest) -> StepResult`. It reads `request.inputs` (artifact folders, read-only) and
`request.files` (files outside the store, whose digests are in the key), writes files into `request.output` (an empty folder that becomes
the artifact) and nothing else. It runs in a worker process whose stdout and stderr are its log. It raises MlpipeError for what the user can mend.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Json = Any
"""JSON-able data: None, bool, int, float, str, lists and dicts with str keys. NaN and infinities are the strings "nan", "inf", "-inf"."""


def no_progress(done: float, total: float, what: str) -> None:
    """Ignore progress."""


@dataclass(frozen=True)
class StepRequest:
    """What a step is given."""

    task: str
    parameters: Mapping[str, Json]
    inputs: Mapping[str, Path]
    """Artifact folders of the tasks that this one depends on, by role (e.g. `model`, `reference`)."""
    values: Mapping[str, Json]
    """The same tasks' `StepResult.values`, by role."""
    files: Mapping[str, tuple[Path, ...]]
    """Files outside the store by role (e.g. `samples`, `ground_truth`), absolute, sorted."""
    folder: Path
    """The recipe's folder: user code is looked up here."""
    output: Path
    progress: Callable[[float, float, str], None] = field(default=no_progress)
    """progress(done, total, what): may be called as often as the step likes."""


def step_request(task: str, data: Mapping[str, Json], progress: Callable[[float, float, str], None] = no_progress) -> StepRequest:
    """Return the request that the engine wrote as JSON-able data, paths as text."""
    return StepRequest(
        task=task,
        parameters=data["parameters"],
        inputs={role: Path(path) for role, path in data["inputs"].items()},
        values=data["values"],
        files={role: tuple(Path(path) for path in paths) for role, paths in data["files"].items()},
        folder=Path(data["folder"]),
        output=Path(data["output"]),
        progress=progress,
    )


@dataclass(frozen=True)
class StepResult:
    """What a step returns; the files that it wrote are the rest."""

    values: Json = None
    """Small results, kept in the record and handed to later steps."""
    log_notes: tuple[str, ...] = ()
    """Sentences the user should see after the run (e.g. a layer that was skipped)."""


Step = Callable[[StepRequest], StepResult]
