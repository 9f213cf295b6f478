"""kill -9 in every kind of step: nothing half-written, and the next run completes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HARNESS = Path(__file__).with_name("kill_harness.py")
KINDS = {"source", "convert", "quantize", "predict", "gate", "release"}


@pytest.mark.parametrize("kills", [12, pytest.param(50, marks=pytest.mark.full)])
def test_kills_in_every_kind_of_step(demo, kills):
    demo.edit(seconds=dict.fromkeys(KINDS, 0.05))
    harness = [sys.executable, str(HARNESS), "--workspace", str(demo.root), "--cache", str(demo.cache), "--kills", str(kills), "--"]
    answer = subprocess.run([*harness, *demo.command()], env=demo.environment, capture_output=True, text=True, check=False, timeout=280)
    print(answer.stdout)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    hit = {line.split(":")[0].removesuffix(" (just done)") for line in answer.stdout.splitlines()}
    assert hit == KINDS
