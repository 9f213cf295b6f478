"""The figures in the README: a cold run, a run with nothing to do, `--help`, and what a further variant costs.

Usage: python benchmarks/figures.py. Copies the repository's recipes into a temporary workspace with an empty cache.
Seconds of CPU are of the whole process tree; wall seconds depend on what else the machine does.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MLPIPE = (sys.executable, "-m", "mlpipe.cli.main") if not (Path(sys.executable).parent / "mlpipe").exists() else (str(Path(sys.executable).parent / "mlpipe"),)
WIDE = "bits: [8, 7, 6, 5, 4, 3, 2]"
NARROW = "bits: [8]"


@dataclass(frozen=True)
class Timing:
    """What one command took."""

    wall: float
    cpu: float
    output: str


def timed(folder: Path, *words: str) -> Timing:
    """Run mlpipe in a folder and return what it took. Units: seconds."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    environment = os.environ | {"MLPIPE_CACHE": str(folder / "cache")}
    done = subprocess.run([*MLPIPE, *words], cwd=folder, env=environment, capture_output=True, text=True, check=False)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode != 0:
        sys.exit(f"mlpipe {' '.join(words)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return Timing(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, done.stdout)


def median_cpu(folder: Path, *words: str) -> Timing:
    """Return the run with the median CPU time of nine."""
    return sorted((timed(folder, *words) for _ in range(9)), key=lambda timing: timing.cpu)[4]


def workspace(folder: Path) -> Path:
    """Copy the example recipes."""
    shutil.copy(ROOT / "pipeline.yaml", folder)
    shutil.copytree(ROOT / "recipes", folder / "recipes")
    return folder


def further_variant(folder: Path) -> tuple[float, int]:
    """Return the CPU seconds that a variant of the digits recipe costs beyond its own steps, and over how many variants it was measured.

    The recipe runs with two compressed widths, then with all: what the second run takes, less what the steps themselves took, is overhead.
    """
    recipe = folder / "recipes" / "digits" / "recipe.yaml"
    text = recipe.read_text()
    narrow = text.replace(WIDE, NARROW).replace("variant: lut-4", "variant: lut-8")
    recipe.write_text("".join(line for line in narrow.splitlines(keepends=True) if not line.lstrip().startswith(("linear-2:", "lut-2:"))))
    timed(folder, "run", str(recipe))
    recipe.write_text(text)
    wide = timed(folder, "run", str(recipe), "--json")
    tasks = json.loads(wide.output)["tasks"]
    added = sum(name.startswith("digits:quantize:") and task["outcome"] == "ran" for name, task in tasks.items())
    return (wide.cpu - sum(task["cpu_seconds"] for task in tasks.values())) / added, added


def main() -> None:
    """Print the table."""
    rows: list[tuple[str, str, str]] = []
    with tempfile.TemporaryDirectory() as name:
        folder = workspace(Path(name))
        cold = timed(folder, "run")
        rows.append(("`mlpipe run`, cold: three recipes, 28 models", "120 s", f"{cold.wall:.0f} s ({cold.cpu:.0f} s CPU)"))
        again = [timed(folder, "run") for _ in range(5)]
        wall, cpu = (statistics.median(getattr(run, key) for run in again) for key in ("wall", "cpu"))
        rows.append(("`mlpipe run` again", "1 s", f"{wall:.2f} s ({cpu:.2f} s CPU)"))
        rows.append(("`mlpipe --help`, CPU", "0.15 s", f"{median_cpu(folder, '--help').cpu:.2f} s"))
    with tempfile.TemporaryDirectory() as name:
        cost, added = further_variant(workspace(Path(name)))
        rows.append((f"a further variant of digits, CPU beyond its own steps (over {added})", "1.0 s", f"{cost:.2f} s"))
    print("| what | goal, at most | measured |\n|---|---|---|")
    for row in rows:
        print(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    main()
