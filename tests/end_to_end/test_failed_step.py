"""A step that fails: the rest is reported, an old pass and an old release do not stand, and mending it completes the build."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree as ET

import jsonschema

RECIPE = """
mlpipe: 1
name: broken
source: {keras: digits.keras}
convert: {to: neuralnetwork, inputs: {image: {image: {color: grayscale, scale: 0.0625}}}, classifier: {class_labels: labels.txt}}
quantize:
  fp16: {weights: float16}
  mine: {method: lut, bits: 4, function: tables.py:table}
compare: {samples: {images: data/00*.png, ground_truth: data/labels.csv}, metrics: [accuracy]}
gate: {"*": {accuracy: ">= 90%"}}
release: {variant: mine, name: Mine}
"""
GOOD = "import numpy as np\n\n\ndef table(weights, bits, name):\n    return np.quantile(weights, (np.arange(2**bits) + 0.5) / 2**bits)\n"
BAD = "def table(weights, bits, name):\n    raise ValueError('a mistake of the user')\n"


def test_what_was_finished_is_reported_and_nothing_old_passes(make_workspace: Callable[..., Any]) -> None:
    from mlpipe.reports.schema import report_schema

    workspace = make_workspace()
    folder = workspace.folder / "recipes" / "digits"
    (folder / "broken.yaml").write_text(RECIPE)
    (folder / "tables.py").write_text(GOOD)
    workspace.run("run", "recipes/digits/broken.yaml")
    release = workspace.folder / "build" / "broken" / "release" / "Mine.mlmodel"
    released = release.read_bytes()
    assert workspace.report("broken")["passed"] is True

    (folder / "tables.py").write_text(BAD)
    for _ in range(2):  # a failure is never served from the cache
        found = workspace.run("run", "recipes/digits/broken.yaml", code=3)
        assert "a mistake of the user" in found.stderr
        report = workspace.report("broken")
        jsonschema.validate(report, report_schema())
        assert report["passed"] is False
        assert report["variants"]["fp16"]["verdict"] == "PASS"
        assert report["variants"]["mine"]["verdict"] == "ERROR"
        assert report["variants"]["mine"]["gates"][0]["why"].startswith("broken:quantize:mine failed: ")
        assert ET.parse(release.parents[1] / "junit.xml").getroot().get("errors") == "1"
        assert not release.exists()

    (folder / "tables.py").write_text(GOOD)
    again = json.loads(workspace.run("run", "recipes/digits/broken.yaml", "--json").stdout)
    assert release.read_bytes() == released
    assert not [name for name, task in again["tasks"].items() if task["outcome"] == "ran"], "what was made before is restored"
