"""What the main process hands to a worker, and what comes back. Both cross the border as JSON, so that no user class has to survive pickling."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any

from mlpipe.engine.task_spec import Preload
from mlpipe.steps.step import Json


@dataclass(frozen=True)
class Job:
    """One step to run in a process of its own."""

    task: str
    step: str
    """The module that holds `run`."""
    request: dict[str, Any]
    """StepRequest's parameters, inputs, values, files, folder and output; JSON-able, paths as str."""
    preload: Preload
    log: Path
    """Receives everything that the process writes to stdout and stderr."""
    timeout_seconds: float | None
    memory_bytes: int
    """A hint for the scheduler."""
    memory_limit_bytes: int | None = None
    """What the step itself may allocate at most (Linux); None for no limit."""


@dataclass(frozen=True)
class JobOutcome:
    """How a job ended."""

    task: str
    values: Json
    notes: tuple[str, ...]
    user_files: tuple[Path, ...]
    """Modules from the recipe's folder that the step loaded."""
    error: dict[str, Any] | None
    """MlpipeError.as_dict() + "exit_code" + "kind": "expected", "bug", "signal", "timeout" or "memory"; None for success."""
    seconds: float
    cpu_seconds: float
    peak_bytes: int


def write_job(job: Job, file: IO[bytes]) -> None:
    """Write a job to an empty file that its worker inherits.

    Errors: TypeError or ValueError where the request is not JSON-able, which is a bug of the caller.
    """
    file.write(json.dumps(asdict(job) | {"log": str(job.log)}, allow_nan=False).encode())
    file.flush()


def read_job(file: IO[bytes]) -> Job:
    """Return the job that `write_job` wrote."""
    file.seek(0)
    fields = json.load(file)
    return Job(**(fields | {"log": Path(fields["log"])}))


def write_answer(answer: dict[str, Any], file: IO[bytes]) -> None:
    """Replace the job in its file by the worker's answer: `values`, `notes`, `user_files`, `error`."""
    encoded = json.dumps(answer, allow_nan=False).encode()
    file.seek(0)
    file.truncate()
    file.write(encoded)
    file.flush()


def read_answer(file: IO[bytes]) -> dict[str, Any]:
    """Return the answer that `write_answer` wrote. Only a worker that ended with status 0 has written one."""
    file.seek(0)
    answer: dict[str, Any] = json.load(file)
    return answer
