"""Describing a model file outside any recipe: the source step, run once in a worker, with nothing kept."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlpipe.engine.graph import profile_of
from mlpipe.engine.inputs import model_files
from mlpipe.engine.workers import Job, WorkerPool
from mlpipe.errors import MlpipeError, SourceUnreadable
from mlpipe.exit_codes import ExitCode
from mlpipe.recipe.schema.source import Source


def describe_source(source: Source) -> dict[str, Any]:
    """Return a source's description (inputs, outputs, tools). Errors: whatever the source step says."""
    files = {"model": [str(path) for path in model_files(source)], "modules": source.modules}
    with tempfile.TemporaryDirectory(prefix="mlpipe-") as folder:
        output = Path(folder, "output")
        output.mkdir()
        section = source.model_dump(mode="json") | {source.kind: Path(source.location).name}
        request = {"parameters": {"source": section}, "inputs": {}, "values": {}, "files": files, "folder": folder, "output": str(output)}
        job = Job("describe", "mlpipe.steps.source", request, profile_of(source).preload, Path(folder, "log"), None, 0)
        with WorkerPool(1, None, lambda *_: None) as pool:
            pool.submit(job)
            (outcome,) = pool.wait(None)
        if outcome.error is not None:
            raise as_exception(outcome.error)
        description: dict[str, Any] = json.loads((output / "description.json").read_text(encoding="utf-8"))
    return description


def as_exception(error: Mapping[str, Any]) -> MlpipeError:
    """Return a worker's error as an exception of this process, with its code and exit code."""
    raised = SourceUnreadable(str(error["what"]), where=error.get("where"), why=error.get("why"), fix=error.get("fix"))
    raised.code = str(error.get("code", raised.code))
    raised.exit_code = ExitCode(error.get("exit_code", raised.exit_code))
    return raised
