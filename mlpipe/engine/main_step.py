"""A light step (gate, report) that runs in the main process, and the end of a log of a step that failed."""

from __future__ import annotations

import contextlib
import importlib
import time
import traceback
from pathlib import Path
from typing import Any

from mlpipe.engine.task_spec import TaskSpec
from mlpipe.engine.workers import JobOutcome
from mlpipe.engine.workers.failures import from_exception
from mlpipe.steps.step import step_request


def run_in_main(spec: TaskSpec, request: dict[str, Any], log: Path) -> JobOutcome:
    """Run a step here and now; whatever it raises is in the outcome."""
    log.parent.mkdir(parents=True, exist_ok=True)
    started, cpu = time.perf_counter(), time.process_time()
    error: dict[str, Any] | None = None
    values, notes = None, ()
    # Nothing but results may reach stdout. stderr stays: a live display on it may be drawn by a thread.
    with log.open("w", encoding="utf-8") as stream, contextlib.redirect_stdout(stream):
        try:
            result = importlib.import_module(spec.step).run(step_request(spec.name, request))
            values, notes = result.values, tuple(result.log_notes)
        except Exception as failure:  # noqa: BLE001 - one step must not stop the others
            error = from_exception(failure, spec.folder)
            traceback.print_exc(file=stream)
    return JobOutcome(spec.name, values, notes, (), error, time.perf_counter() - started, time.process_time() - cpu, 0)


def end_log(log: Path, error: dict[str, Any]) -> None:
    """Write the error at the end of a log, so that the log alone tells the story."""
    log.parent.mkdir(parents=True, exist_ok=True)
    parts = [f"{label}: {error[key]}" for key, label in (("what", "error"), ("where", "where"), ("why", "why"), ("fix", "fix")) if error.get(key)]
    with log.open("a", encoding="utf-8") as stream:
        stream.write("\n".join(["", *parts, ""]))
