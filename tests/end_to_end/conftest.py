"""Workspaces made of the repository's recipes, and the command line as a user starts it."""

from __future__ import annotations

import hashlib
import json
import os
import re
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

    def outcomes(self, *words: str, code: int = 0) -> dict[str, set[str]]:
        """Run, and return outcome -> tasks, but for those that are up to date."""
        found: dict[str, set[str]] = {}
        for name, task in self.run_json("run", *words, code=code)["tasks"].items():
            if task["outcome"] != "up_to_date":
                found.setdefault(task["outcome"], set()).add(name)
        return found

    def outputs(self) -> dict[str, str]:
        """Return the digest of every file that runs placed in build/, by path."""
        build = self.folder / "build"
        paths = (path.relative_to(build) for path in sorted(build.rglob("*")) if path.is_file())
        return {str(path): hashlib.sha256((build / path).read_bytes()).hexdigest() for path in paths if path.parts[0] != ".mlpipe"}


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


SMALLER = [
    (r"linear: \{method: linear, bits: \[8, .*\]", "linear: {method: linear, bits: [8]"),
    (r"bits: \[8, .*, 2\]", "bits: [4]"),
    (r" +(lut|linear)-2: .*\n", ""),
]
"""Fewer variants of the same recipes: pattern, replacement."""


def small_workspace(folder: Path, cache: Path) -> Workspace:
    folder.mkdir()
    (folder / "pipeline.yaml").write_text("mlpipe: 1\nrecipes: [recipes/digits/*.yaml]\n")
    shutil.copytree(ROOT / "recipes" / "digits", folder / "recipes" / "digits", ignore=shutil.ignore_patterns("__pycache__"))
    for recipe in (folder / "recipes" / "digits").glob("*.yaml"):
        text = recipe.read_text()
        for pattern, replacement in SMALLER:
            text = re.sub(pattern, replacement, text)
        recipe.write_text(text)
    return Workspace(folder, cache)


@dataclass(frozen=True)
class Built:
    """The small recipes, built once in an empty cache."""

    workspace: Workspace
    stdout: str
    stderr: str


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp("built")
    workspace = small_workspace(folder / "workspace", folder / "cache")
    workspace.environment["PYTHONHASHSEED"] = "1"
    answer = workspace.run("run")
    return Built(workspace, answer.stdout, answer.stderr)


@pytest.fixture
def make_checkout(tmp_path: Path, built: Built) -> Callable[..., Workspace]:
    """Return a function that makes a checkout of the small recipes, with a copy of the cache in which they are built, or an empty one."""

    def make(name: str = "checkout", *, cold: bool = False) -> Workspace:
        cache = tmp_path / f"{name}-cache"
        if not cold:
            shutil.copytree(built.workspace.cache, cache)
        return small_workspace(tmp_path / name, cache)

    return make


@pytest.fixture
def checkout(make_checkout: Callable[..., Workspace]) -> Workspace:
    """Return a checkout of the small recipes in which `digits` is up to date."""
    workspace = make_checkout()
    workspace.run("run", "recipes/digits/recipe.yaml")
    return workspace
