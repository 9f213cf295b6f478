"""Workspaces made of the repository's recipes, and the command line as a user starts it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@dataclass
class Workspace:
    """A copy of the repository's recipes with a cache of its own."""

    folder: Path
    cache: Path
    environment: dict[str, str] = field(default_factory=dict)

    def start(self, *words: str, **options: Any) -> subprocess.Popen[str]:
        environment = os.environ | {"MLPIPE_CACHE": str(self.cache), **self.environment}
        command = [sys.executable, "-c", "from mlpipe.cli.main import main; main()", *words]
        return subprocess.Popen(command, cwd=self.folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)

    def run(self, *words: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        process = self.start(*words)
        out, err = process.communicate(timeout=900)
        assert process.returncode == code, f"exit code {process.returncode} instead of {code}\n{out}\n{err}"
        return subprocess.CompletedProcess(list(words), process.returncode, out, err)

    def run_json(self, *words: str, code: int = 0) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.run(*words, "--json", code=code).stdout)
        return found

    def report(self, recipe: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "build" / recipe / "report.json").read_text())
        return found

    def edit(self, path: str, old: str, new: str) -> None:
        file = self.folder / path
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def make_workspace(tmp_path: Path, cache: Path) -> Callable[..., Workspace]:
    """Return a function that makes a workspace with the example recipes; they share one cache unless it is told otherwise."""

    def make(name: str = "workspace", *, own_cache: bool = False) -> Workspace:
        folder = tmp_path / name
        folder.mkdir()
        shutil.copy(ROOT / "pipeline.yaml", folder)
        shutil.copytree(ROOT / "recipes", folder / "recipes", ignore=shutil.ignore_patterns("__pycache__"))
        return Workspace(folder, tmp_path / "cache" if own_cache else cache)

    return make
