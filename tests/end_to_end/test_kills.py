"""kill -9 in the steps of the digits recipe: nothing half-written stays, and the next run completes with the same bytes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HARNESS = Path(__file__).parents[1] / "engine" / "kill_harness.py"
KINDS = {"source", "convert", "quantize", "package", "predict", "compare", "gate", "release", "report"}
MAIN = "from mlpipe.cli.main import main; main()"


def survive(workspace, kills):
    """Return how many kills hit each kind of step; fail where one was not survived."""
    command = [sys.executable, "-c", MAIN, "run", "recipes/digits/recipe.yaml", "--workspace", str(workspace.folder)]
    harness = [sys.executable, str(HARNESS), "--workspace", str(workspace.folder), "--cache", str(workspace.cache), "--kills", str(kills), "--"]
    answer = subprocess.run([*harness, *command], cwd=workspace.folder, env=os.environ | workspace.environment, capture_output=True, text=True, check=False)
    print(answer.stdout)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    return dict(line.removesuffix(" kills").split(": ") for line in answer.stdout.splitlines())


def test_a_few_kills(make_checkout):
    hits = survive(make_checkout(), 4)
    assert sum(int(count) for count in hits.values()) >= 4


@pytest.mark.full
@pytest.mark.timeout(3600)
def test_fifty_kills_in_every_kind_of_step(make_checkout):
    hits = survive(make_checkout(), 50)
    assert {kind.removesuffix(" (just done)") for kind in hits} == KINDS
