"""The example recipes through the command line: they release, they are cached, and their gates mean something."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

MakeWorkspace = Callable[..., Any]


def test_the_whole_pipeline_releases_and_then_has_nothing_to_do(make_workspace: MakeWorkspace) -> None:
    workspace = make_workspace()
    first = workspace.run("run")
    assert "Traceback" not in first.stderr
    build = workspace.folder / "build"
    for released in ("digits/release/Digits.mlmodel", "digits-mlprogram/release/Digits.mlpackage", "saved-model/release/Digits.mlmodel"):
        assert (build / released).exists(), released
    for recipe in ("digits", "digits-mlprogram", "saved-model"):
        report = workspace.report(recipe)
        assert report["passed"], report["variants"]
        assert {"report.json", "report.md", "junit.xml"} <= {path.name for path in (build / recipe).iterdir()}
        for name, variant in report["variants"].items():
            assert variant["metrics"]["accuracy"]["n"] == 360, name
    again = workspace.run_json("run")
    assert {task["outcome"] for task in again["tasks"].values()} == {"up_to_date"}
    assert again["passed"] is True


def test_two_bits_without_a_table_are_the_cliff(make_workspace: MakeWorkspace) -> None:
    workspace = make_workspace()
    workspace.run("run", "recipes/digits/recipe.yaml")
    variants = workspace.report("digits")["variants"]
    assert variants["linear-2"]["verdict"] == "REPORT_ONLY"
    assert variants["linear-2"]["metrics"]["top1_agreement"]["value"] < variants["lut-2"]["metrics"]["top1_agreement"]["value"]
    sizes = [variants[f"linear-{bits}"]["size_bytes"] for bits in (8, 7, 6, 5, 4, 3, 2)]
    assert sizes == sorted(sizes, reverse=True)


def test_swapped_labels_fail_the_gate(make_workspace: MakeWorkspace) -> None:
    workspace = make_workspace()
    labels = workspace.folder / "recipes" / "digits" / "data" / "labels.csv"
    header, *rows = labels.read_text().splitlines()
    pairs = [row.split(",") for row in rows]
    moved = [f"{name},{label}" for (name, _), (_, label) in zip(pairs, [*pairs[1:], pairs[0]], strict=True)]
    labels.write_text("\n".join([header, *moved]) + "\n")
    found = workspace.run("run", "recipes/digits/recipe.yaml", code=1)
    assert "accuracy" in found.stdout
    report = workspace.report("digits")
    assert report["passed"] is False
    assert report["variants"]["converted"]["verdict"] == "FAIL"
    assert not (workspace.folder / "build" / "digits" / "release").exists() or not list((workspace.folder / "build" / "digits" / "release").iterdir())


CORRUPT = """
import sys
import keras
import numpy as np
model = keras.models.load_model(sys.argv[1])
layer = model.get_layer("conv2")
(kernel,) = layer.get_weights()
layer.set_weights([np.random.default_rng(0).permutation(kernel.ravel()).reshape(kernel.shape)])
model.save(sys.argv[1])
"""


def test_a_corrupted_layer_fails_the_gate(make_workspace: MakeWorkspace) -> None:
    workspace = make_workspace()
    subprocess.run([sys.executable, "-c", CORRUPT, str(workspace.folder / "recipes" / "digits" / "digits.keras")], check=True, capture_output=True)
    workspace.run("run", "recipes/digits/recipe.yaml", code=1)
    converted = workspace.report("digits")["variants"]["converted"]
    failed = {gate["metric"] for gate in converted["gates"] if gate["verdict"] == "FAIL"}
    assert "accuracy" in failed


@pytest.mark.parametrize("command", ["run", "plan", "show", "schema", "doctor", "clean", "log", "explain", "inspect"])
def test_every_command_speaks_json(command: str, make_workspace: MakeWorkspace) -> None:
    workspace = make_workspace()
    only = ("--only", "digits:convert")
    workspace.run("run", *only)
    words = {
        "run": only,
        "plan": only,
        "show": ("recipes/digits/recipe.yaml",),
        "log": ("digits:convert",),
        "explain": ("digits:convert",),
        "inspect": ("recipes/digits/digits.keras",),
    }
    if command == "log" and not (workspace.folder / "build" / ".mlpipe" / "logs" / "digits" / "convert.log").exists():
        shutil.rmtree(workspace.cache)
        workspace.run("clean", "--all")
        workspace.run("run", *only)
    assert workspace.run_json(command, *words.get(command, ()))
