"""A workspace with a small graph of real steps, run as a program of its own."""

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

DEMO = Path(__file__).parent / "demo"


@dataclass
class Demo:
    """One checkout: sources, the code of the steps, and the cache that it uses."""

    root: Path
    code: Path
    cache: Path
    recipe: dict[str, Any] = field(default_factory=dict)

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "MLPIPE_CACHE": str(self.cache), "PYTHONPATH": str(self.code), "PYTHONDONTWRITEBYTECODE": "1"}

    @property
    def build(self) -> Path:
        return self.root / "build" / "demo"

    def command(self, *flags: str) -> list[str]:
        return [sys.executable, str(Path(__file__).with_name("demo_driver.py")), str(self.root), *flags]

    def edit(self, **recipe: Any) -> None:
        self.recipe |= recipe
        (self.root / "recipe.json").write_text(json.dumps(self.recipe))

    def start(self, *flags: str) -> subprocess.Popen[str]:
        return subprocess.Popen(self.command(*flags), env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def run(self, *flags: str, status: int = 0) -> dict[str, Any]:
        """Run to the end; return what the driver printed."""
        answer = subprocess.run(self.command(*flags), env=self.environment, capture_output=True, text=True, check=False, timeout=120)
        assert answer.returncode == status, answer.stdout + answer.stderr
        return json.loads(answer.stdout) | {"stderr": answer.stderr}

    def outcomes(self, *flags: str, status: int = 0) -> dict[str, list[str]]:
        """Run to the end; return outcome -> tasks without the recipe's name, but for those that are up to date (by a snapshot: all)."""
        found: dict[str, list[str]] = {}
        answer = self.run(*flags, status=status)
        if answer["snapshot"]:
            return {}
        for task, outcome in answer["outcomes"].items():
            if outcome != "up_to_date":
                found.setdefault(outcome, []).append(task.removeprefix("demo:"))
        return found


@pytest.fixture
def make_demo(tmp_path: Path) -> Callable[[str], Demo]:
    """Return a function that makes a checkout; all share one cache."""

    def make(name: str) -> Demo:
        root = tmp_path / name
        (root / "data").mkdir(parents=True)
        (root / "model.txt").write_text("0.1\n0.7\n-0.3\n")
        for index in range(3):
            (root / "data" / f"{index}.txt").write_text(str(index))
        shutil.copytree(DEMO / "demo_steps", tmp_path / f"{name}-code" / "demo_steps", ignore=shutil.ignore_patterns("__pycache__"))
        demo = Demo(root, tmp_path / f"{name}-code", tmp_path / "cache")
        demo.edit()
        return demo

    return make


@pytest.fixture
def demo(make_demo: Callable[[str], Demo]) -> Demo:
    return make_demo("checkout")
