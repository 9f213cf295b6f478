"""Real trained models through `mlpipe run`, in both formats: SNR of the float32 conversion against the source, and accuracy on the shipped samples.

Usage: python benchmarks/real_models.py MODELS. Prints NOT RUN, and counts nothing, where the folder is absent.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

RECIPES = Path(__file__).resolve().parent.parent / "tests" / "end_to_end" / "real_models"


def reports(models: Path, prepared: Path, target: str, folder: Path) -> dict[str, Any]:
    """Return the variants of every recipe's report, by recipe."""
    from mlpipe import api

    for recipe in RECIPES.glob("*.yaml"):
        shutil.copy(recipe, folder)
    os.environ.update(MLPIPE_MODELS=str(models), MLPIPE_PREPARED=str(prepared), MLPIPE_TARGET=target, MLPIPE_CACHE=str(prepared / "cache"))
    run = api.run(workspace=folder)
    for task, entry in run.tasks.items():
        if entry["error"]:
            print(f"{task} failed: {entry['error']['what']}", file=sys.stderr)
    return {recipe.name: recipe.report["variants"] for recipe in run.recipes if recipe.report is not None}


def cell(variants: dict[str, Any] | None, metric: str, form: str) -> str:
    """Return one metric of `converted`, or a dash where it does not apply."""
    entry = (variants or {}).get("converted", {}).get("metrics", {}).get(metric)
    return "-" if entry is None else form.format(float(entry["value"])) + (f" of {entry['n']}" if metric == "accuracy" else "")


def main() -> None:
    """Print the table."""
    models = Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else RECIPES / "absent"
    if not (models / "MODELS.yaml").exists():
        print("NOT RUN: give the folder of the real models")
        return
    with tempfile.TemporaryDirectory() as name:
        prepared = Path(name, "prepared")
        subprocess.run([sys.executable, str(RECIPES / "prepare.py"), str(models), str(prepared)], check=True, capture_output=True)
        found = {}
        for target in ("mlprogram", "neuralnetwork"):
            folder = Path(name, target)
            folder.mkdir()
            found[target] = reports(models, prepared, target, folder)
    print("| model | SNR, ML Program | SNR, NeuralNetwork | accuracy on the shipped samples |\n|---|---|---|---|")
    for recipe, variants in found["mlprogram"].items():
        other = found["neuralnetwork"].get(recipe)
        cells = (cell(variants, "source.snr_db", "{:.1f} dB"), cell(other, "source.snr_db", "{:.1f} dB"), cell(variants, "accuracy", "{:.1%}"))
        print(f"| {recipe} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
