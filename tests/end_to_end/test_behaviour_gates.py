"""The recipes that ship hold what they promise, and their gates mean something: each fails on swapped labels and on one damaged layer."""

from __future__ import annotations

import subprocess
import sys

import pytest

BITS = range(8, 1, -1)
VARIANTS = {
    "recipes/digits/recipe.yaml": ["fp16", *(f"linear-{bits}" for bits in BITS), *(f"lut-{bits}" for bits in BITS)],
    "recipes/digits/mlprogram.yaml": ["int8", "lut-8", "lut-6", "lut-4", "lut-2"],
    "recipes/saved_model/recipe.yaml": ["fp16", "linear-8", "linear-4", "lut-8", "lut-4"],
}
CONVERTED = {"digits:gate:converted", "digits-mlprogram:gate:converted", "saved-model:gate:converted"}
ONLY = ("--only", "*:gate:converted")
DAMAGE = """
import sys
import keras
import numpy as np

keras_file, saved_model = sys.argv[1:]
model = keras.models.load_model(keras_file)
layer = model.get_layer("conv2")
(kernel,) = layer.get_weights()
layer.set_weights([np.random.default_rng(0).permutation(kernel.ravel()).reshape(kernel.shape)])
model.save(keras_file)
model.export(saved_model, verbose=False)
"""


@pytest.mark.parametrize("recipe", VARIANTS)
def test_the_recipes_have_the_variants_that_they_show(make_workspace, recipe):
    workspace = make_workspace()
    planned = workspace.run_json("plan", recipe)["tasks"]
    assert [name.split(":")[2] for name in planned if ":quantize:" in name] == VARIANTS[recipe]
    folder = workspace.folder / "recipes/digits"
    assert (folder / "train.py").exists()
    assert (folder / "digits.keras").stat().st_size < 300_000
    assert len(list((folder / "data").glob("*.png"))) == 360
    assert len((folder / "data/labels.csv").read_text().splitlines()) == 361


def failed_metrics(workspace):
    """Return per gate the metrics that failed, after a run that had to end with 1."""
    tasks = workspace.run_json("run", *ONLY, code=1)["tasks"]
    return {name: {gate["metric"] for gate in tasks[name]["judged"]["gates"] if gate["verdict"] == "FAIL"} for name in CONVERTED}


def test_each_recipe_fails_on_swapped_labels(make_workspace):
    workspace = make_workspace()
    labels = workspace.folder / "recipes/digits/data/labels.csv"
    header, *rows = labels.read_text().splitlines()
    names, classes = zip(*(row.split(",") for row in rows), strict=True)
    labels.write_text("\n".join([header, *map(",".join, zip(names, (*classes[1:], classes[0]), strict=True))]) + "\n")
    assert failed_metrics(workspace) == {gate: {"accuracy"} for gate in CONVERTED}


def test_each_recipe_fails_on_a_damaged_layer(make_workspace):
    workspace = make_workspace()
    recipes = workspace.folder / "recipes"
    damage = [sys.executable, "-c", DAMAGE, str(recipes / "digits/digits.keras"), str(recipes / "saved_model/digits_saved_model")]
    subprocess.run(damage, check=True, capture_output=True)
    # The conversion is right, so that only the ground truth can tell.
    assert failed_metrics(workspace) == {gate: {"accuracy"} for gate in CONVERTED}


REFERENCE = """
mlpipe: 1
name: damaged
source: {{coreml: {model}}}
reference: {{keras: digits.keras}}
compare:
  samples: {{images: data/*.png, fit: exact, scale: 0.0625}}
  metrics: [top1_agreement, snr_db]
gate:
  converted: {{source.snr_db: ">= 30 dB"}}
"""


@pytest.mark.parametrize(("model", "weights"), [("linear-8.mlmodel", ""), ("int8.mlpackage", "Data/com.apple.CoreML/weights/weight.bin")])
def test_weights_damaged_after_the_conversion_fail_against_the_source(make_workspace, model, weights):
    workspace = make_workspace()
    recipe = "digits" if model.endswith(".mlmodel") else "digits-mlprogram"
    workspace.run("run", "--only", f"{recipe}:package:{model.partition('.')[0]}")
    copy = workspace.folder / "recipes/digits" / model
    (workspace.folder / "build" / recipe / model).rename(copy)
    (workspace.folder / "recipes/digits/damaged.yaml").write_text(REFERENCE.format(model=model))
    workspace.run("run", "recipes/digits/damaged.yaml")
    path = copy / weights if weights else copy
    data = bytearray(path.read_bytes())
    middle = slice(len(data) // 2, len(data) // 2 + 4000)
    data[middle] = bytes(byte ^ 0x55 for byte in data[middle])
    path.write_bytes(data)
    assert "FAIL converted: source.snr_db >= 30 dB" in workspace.run("run", "recipes/digits/damaged.yaml", code=1).stdout
