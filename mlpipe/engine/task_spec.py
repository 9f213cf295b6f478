"""A task before doit: what runs, on what, and where its files go. `engine/graph.py` makes these from a Plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Preload = Literal["main", "numpy", "onnxruntime", "coremltools", "tensorflow"]
"""What a worker has imported before it is forked; `main` runs inside the main process (gate, report: light, no framework)."""


@dataclass(frozen=True)
class TaskSpec:
    """One node of the build graph."""

    name: str
    """`recipe:step[:variant]`, e.g. `digits:quantize:linear-8`."""
    step: str
    """The module that holds `run`, e.g. `mlpipe.steps.quantize`."""
    parameters: Mapping[str, Any]
    """JSON-able; all of it is part of the key."""
    folder: Path
    """The recipe's folder."""
    inputs: Mapping[str, str] = field(default_factory=dict)
    """Role -> name of the task whose artifact (and values) is read. Only digests of these enter the key."""
    files: Mapping[str, tuple[Path, ...]] = field(default_factory=dict)
    """Role -> files (or folders, as trees) outside the store; their content and their names are part of the key. Names are
    relative to the recipe's folder, outside it to what the role's files share: where a checkout lies does not matter."""
    tools: tuple[str, ...] = ()
    """Distributions whose versions are part of the key, e.g. ("coremltools", "protobuf")."""
    preload: Preload = "main"
    memory_bytes: int = 0
    """A hint for the scheduler."""
    timeout_seconds: float | None = None
    export: Mapping[str, Path] = field(default_factory=dict)
    """Artifact-relative path -> place in the workspace that receives it (reflink or copy, restored if edited or deleted)."""
