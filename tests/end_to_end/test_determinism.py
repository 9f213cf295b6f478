"""The same build, in fresh processes with another hash seed, another number of jobs and an empty cache, gives the same bytes, artifact by artifact."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

NETWORK = {"to": "neuralnetwork", "minimum_deployment_target": "iOS14"}
PROGRAM = {"to": "mlprogram", "minimum_deployment_target": "iOS18"}
QUANTIZERS = {
    "neuralnetwork": """
  fp16:   {weights: float16}
  linear: {method: linear, bits: [8, 5, 4, 1]}
  kmeans: {method: kmeans, bits: [8, 5, 4, 1]}
  table:  {method: lut, bits: [8, 3], function: tables.py:table}""",
    "mlprogram": """
  fp16:    {weights: float16}
  linear:  {method: linear, bits: [8, 4]}
  blocks:  {method: linear, bits: 4, granularity: per_block, block_size: 8}
  kmeans:  {method: kmeans, bits: [8, 6, 4, 3, 2, 1]}
  groups:  {method: kmeans, bits: 4, granularity: per_grouped_channel, group_size: 8}
  table:   {method: lut, bits: [4, 2], function: tables.py:table}""",
    "mlprogram of iOS16": """
  fp16:    {weights: float16}
  linear:  {method: linear, bits: 8}
  kmeans:  {method: kmeans, bits: [8, 6, 4, 2, 1]}
  table:   {method: lut, bits: [4, 2], function: tables.py:table}""",
}
SOURCES = {
    "keras": "{keras: digits.keras}",
    "h5": "{keras: digits.h5}",
    "savedmodel": "{tensorflow: digits_saved_model}",
    "frozen": "{tensorflow: frozen.pb, inputs: {image: {shape: [1, 8, 8, 1]}}, outputs: {Identity: {rename: probabilities}}}",
}
EXISTING = {"mlmodel": ("existing.mlmodel", "neuralnetwork"), "mlpackage": ("existing.mlpackage", "mlprogram of iOS16")}
RECIPE = """
mlpipe: 1
name: {name}
source: {source}
{convert}
quantize: {quantize}
compare:
  samples: {{images: data/00*.png, fit: exact}}
  metrics: [top1_agreement, snr_db, cosine]
"""
CONVERT = """
convert:
  to: {to}
  minimum_deployment_target: {minimum_deployment_target}
  inputs: {{image: {{image: {{color: grayscale, scale: 0.0625}}}}}}
  classifier: {{class_labels: labels.txt}}
  metadata: {{author: nobody, user_defined: {{b: "1", a: "2", c: "3"}}}}
"""
TABLES = """
import numpy as np


def table(weights, bits, name):
    return np.quantile(weights, np.linspace(0, 1, 2**bits))
"""
OTHER_FILES = """
import sys
from pathlib import Path
import keras
import tensorflow as tf
from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

folder = Path(sys.argv[1])
model = keras.models.load_model(folder / "digits.keras")
model.save(folder / "digits.h5")
function = tf.function(lambda image: model(image)).get_concrete_function(tf.TensorSpec([1, 8, 8, 1], name="image"))
(folder / "frozen.pb").write_bytes(convert_variables_to_constants_v2(function).graph.as_graph_def().SerializeToString())
"""


def artifacts(cache):
    """Return the digests of everything that steps made, whatever it is."""
    return {folder.name for folder in cache.glob("artifacts/*/*")}


def test_both_formats_are_the_same_in_every_byte(built, make_checkout):
    other = make_checkout("other", cold=True)
    assert built.workspace.environment["PYTHONHASHSEED"] != "4242"
    other.environment["PYTHONHASHSEED"] = "4242"
    assert other.run_json("run", "-j", "1")["tasks"]["digits:convert"]["outcome"] == "ran"
    assert other.outputs() == built.workspace.outputs()
    assert artifacts(other.cache) == artifacts(built.workspace.cache)
    assert len(artifacts(other.cache)) >= 35


@pytest.fixture
def every_source(built, make_checkout):
    """Return a checkout with a recipe for every kind of source and both formats, each with every quantizer."""
    first = make_checkout("first", cold=True)
    folder = first.folder / "recipes/digits"
    for recipe in folder.glob("*.yaml"):
        recipe.unlink()
    shutil.copytree(Path(__file__).parents[2] / "recipes/saved_model/digits_saved_model", folder / "digits_saved_model")
    subprocess.run([sys.executable, "-c", OTHER_FILES, str(folder)], check=True, capture_output=True)
    build = built.workspace.folder / "build"
    shutil.copyfile(build / "digits/converted.mlmodel", folder / "existing.mlmodel")
    shutil.copytree(build / "digits-mlprogram/converted.mlpackage", folder / "existing.mlpackage")
    (folder / "tables.py").write_text(TABLES)
    for kind, source in SOURCES.items():
        for convert in (NETWORK, PROGRAM):
            name = f"{kind}-{convert['to']}"
            text = RECIPE.format(name=name, source=source, convert=CONVERT.format(**convert), quantize=QUANTIZERS[convert["to"]])
            (folder / f"{name}.yaml").write_text(text)
    for name, (file, format_) in EXISTING.items():
        (folder / f"{name}.yaml").write_text(RECIPE.format(name=name, source=f"{{coreml: {file}}}", convert="", quantize=QUANTIZERS[format_]))
    return first


@pytest.mark.full
@pytest.mark.timeout(3000)
def test_every_source_and_every_quantizer_are_the_same_in_every_byte(every_source, tmp_path):
    first, second = every_source, type(every_source)(tmp_path / "second", tmp_path / "second-cache", {})
    shutil.copytree(first.folder, second.folder)
    for workspace, seed, jobs in ((first, "1", "2"), (second, "4242", "1")):
        workspace.environment["PYTHONHASHSEED"] = seed
        assert {task["outcome"] for task in workspace.run_json("run", "-j", jobs)["tasks"].values()} == {"ran", "restored"}  # recipes share steps
    outputs, others = first.outputs(), second.outputs()
    assert outputs.keys() == others.keys()
    models = sorted({"/".join(path.split("/")[:2]) for path in outputs if ".ml" in path})
    same = [model for model in models if all(digest == others[path] for path, digest in outputs.items() if path.startswith(model))]
    recipes = sorted({model.split("/")[0] for model in models})
    for recipe in recipes:
        print(f"{recipe}: {sum(model.startswith(recipe + '/') for model in same)} of {sum(model.startswith(recipe + '/') for model in models)} models")
    shared = artifacts(first.cache) & artifacts(second.cache)
    print(f"all: {len(same)} of {len(models)} models, {len(shared)} of {len(artifacts(first.cache) | artifacts(second.cache))} artifacts")
    assert len(recipes) == 2 * len(SOURCES) + len(EXISTING)
    assert same == models
    assert artifacts(first.cache) == artifacts(second.cache)
    assert outputs == others
