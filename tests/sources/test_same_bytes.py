from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

SCRIPT = Path(__file__).with_name("convert_in_fresh_process.py")
RECIPES = Path(__file__).parents[2] / "recipes"


def test_two_fresh_processes_with_different_hash_seeds_write_the_same_bytes() -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, SCRIPT, RECIPES], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env={**os.environ, "PYTHONHASHSEED": seed}
        )
        for seed in ("1", "4711")
    ]
    first, second = (json.loads(process.communicate()[0]) for process in processes)
    assert first == second
    assert sum(path.endswith(("model.mlmodel", "weight.bin")) for path in first) == 2 * (1 + 2 + 2)
