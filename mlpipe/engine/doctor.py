"""What a run needs of the machine, checked without importing any of it."""

from __future__ import annotations

import os
import platform
import shutil
import sys
import tempfile
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

_REQUIRED = ("coremltools", "onnx", "onnxruntime", "numpy", "protobuf", "pydantic", "pyyaml", "doit", "pillow")
_OPTIONAL = {"tensorflow": "Keras and TensorFlow sources"}
_LITTLE_DISK_BYTES = 5_000_000_000


@dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    name: str
    state: Literal["ok", "missing", "absent", "warning"]
    """missing: every recipe needs it; absent: only some do."""
    detail: str
    fix: str | None = None


def examine() -> list[Check]:
    """Return every check, in the order in which they are printed."""
    return [_python(), *(_package(name) for name in _REQUIRED), *(_optional(name, use) for name, use in _OPTIONAL.items()), _machine(), _cache()]


def _python() -> Check:
    version = platform.python_version()
    supported = (3, 11) <= sys.version_info < (3, 14)
    return Check("python", "ok" if supported else "warning", version, None if supported else "mlpipe is tested with Python 3.11 to 3.13")


def _package(name: str) -> Check:
    try:
        return Check(name, "ok", metadata.version(name))
    except metadata.PackageNotFoundError:
        return Check(name, "missing", "not installed", f"pip install {name}")


def _optional(name: str, use: str) -> Check:
    found = _package(name)
    return found if found.state == "ok" else Check(name, "absent", f"not installed; needed for {use}", f'pip install "mlpipe[{name}]"')


def _machine() -> Check:
    return Check("machine", "ok", f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores")


def _cache() -> Check:
    from mlpipe.engine.store import default_root

    path = default_root()
    existing = next(folder for folder in (path, *path.parents) if folder.exists())
    free = shutil.disk_usage(existing).free
    detail = f"{path}, {free / 1e9:.0f} GB free"
    if not _writable(existing):
        return Check("cache", "missing", f"{detail}, not writable", "set MLPIPE_CACHE to a folder that you can write to")
    if free < _LITTLE_DISK_BYTES:
        return Check("cache", "warning", detail, "free some disk, or set MLPIPE_CACHE to a folder on another one")
    return Check("cache", "ok", detail)


def _writable(folder: Path) -> bool:
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False
