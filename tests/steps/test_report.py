from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import jsonschema
import numpy as np
import pytest

from mlpipe.recipe.bounds import parse_bound
from mlpipe.reports.markdown import markdown
from mlpipe.reports.schema import report_schema
from mlpipe.steps import compare, gate, predict, release, report
from mlpipe.steps.step import StepRequest

Request = Callable[..., StepRequest]
WEIGHTS = np.asarray([[1.0, -1.0, 0.5], [0.25, 2.0, -1.5]], np.float32)


@pytest.fixture
def build(tmp_path: Path, step_request: Request, dense_model: Callable[..., None]) -> Callable[..., tuple[Any, Path]]:
    """The last steps of a recipe, from two Core ML files and an .npz of the source's outputs to the reports."""

    def run(name: str, candidate: np.ndarray, *, labels: list[int] | None = None, samples: np.ndarray | None = None) -> tuple[Any, Path]:
        folder = tmp_path / name
        values = np.random.default_rng(3).normal(size=(200, 3)).astype(np.float32) if samples is None else samples
        scores = values @ WEIGHTS.T
        for part, weights in (("convert", WEIGHTS), ("quantize", candidate)):
            dense_model(folder / part / "model.mlmodel", weights)
        described = {"inputs": [{"name": "x", "shape": [None, 3], "dtype": "float32"}]}
        conversion = {"inputs": {"x": "x"}, "outputs": {"y": "y"}, "classifier": None, "images": {}, "image_outputs": {}, "described": described}
        (folder / "convert" / "conversion.json").write_text(json.dumps(conversion))
        truth = scores.argmax(axis=1) if labels is None else np.asarray(labels)
        np.savez(folder / "samples.npz", x=values, label=truth)
        np.savez(folder / "source.npz", y=scores)
        files = {"samples": (folder / "samples.npz",)}
        section = {"arrays": "samples.npz", "ground_truth": "key:label", "keys": {"x": "x"}}

        def step(module: Any, *parts: str, **fields: Any) -> tuple[Any, Path]:
            request = step_request("-".join((name, *parts)), **fields)
            return module.run(request).values, request.output

        asked = {"samples": section, "inputs": {}, "outputs": None}
        _, source = step(predict, "source", parameters={"side": "source", **asked}, files={**files, "reference_outputs": (folder / "source.npz",)})
        outputs, found = {}, {"source": {"description": {"kind": "keras", "inputs": [], "outputs": [], "tools": {}}}}
        for variant, part in (("converted", "convert"), ("lut-4", "quantize")):
            inputs = {"model": folder / part, "conversion": folder / "convert"}
            _, outputs[variant] = step(predict, variant, parameters={"side": "model", "precision": "float32", **asked}, inputs=inputs, files=files)
            metrics = [{"name": metric} for metric in ("top1_agreement", "accuracy", "snr_db")]
            inputs = {"candidate": outputs[variant], "source": source} | ({"converted": outputs["converted"]} if variant != "converted" else {})
            found[f"compare:{variant}"], _ = step(
                compare, "compare", variant, parameters={"samples": section, "metrics": metrics, "outputs": None}, inputs=inputs, files=files
            )
            wanted = {"source.snr_db": ">= 100 dB"} if variant == "converted" else {"top1_agreement": ">= 95%", "accuracy": ">= 95%", "size_ratio": "<= 30%"}
            rules = {"bounds": [parse_bound(key, text).model_dump(mode="json") for key, text in wanted.items()], "report_only": False}
            package = {"size_bytes": 1000 if variant == "converted" else 250, "float32_size_bytes": 1000}
            found[f"gate:{variant}"], _ = step(
                gate, "gate", variant, parameters={"variant": variant, "rules": rules}, values={"compare": found[f"compare:{variant}"], "package": package}
            )
        named = {"variant": "lut-4", "name": "Dense"}
        found["release"], _ = step(release, "release", parameters=named, inputs={"package": folder / "quantize"}, values={"gate": found["gate:lut-4"]})
        parameters = {"recipe": name, "variants": ["converted", "lut-4"], "artifacts": {"converted": "converted.mlmodel", "lut-4": "lut-4.mlmodel"}}
        return step(
            report, "report", parameters=parameters | {"release": named}, inputs={"source": source, "convert": folder / ("ab" * 32) / "files"}, values=found
        )

    return run


def test_a_good_variant_passes_and_ships(build: Callable[..., tuple[Any, Path]]) -> None:
    values, folder = build("good", WEIGHTS * 1.001)
    assert values == {"passed": True, "verdict": "PASS"}
    data = json.loads((folder / "report.json").read_text())
    jsonschema.Draft202012Validator(report_schema()).validate(data)
    assert data["variants"]["lut-4"]["metrics"]["snr_db"]["value"] == pytest.approx(60.0, abs=0.01)
    assert data["variants"]["lut-4"]["metrics"]["accuracy"]["models"] == {"converted": 1.0, "source": 1.0}
    assert data["release"]["released"] == "Dense.mlmodel"
    assert data["tasks"] == {"good:convert": {"artifact": "ab" * 32}, "good:source": {"artifact": "good-source"}}
    assert data["tools"].keys() >= {"numpy", "onnxruntime"}
    assert (folder / "report.md").read_text() == markdown(data)
    assert ET.parse(folder / "junit.xml").getroot().attrib["tests"] == "4"


@pytest.mark.parametrize(
    ("name", "candidate", "change", "verdict"),
    [
        ("corrupted", WEIGHTS[::-1].copy(), {}, "FAIL"),
        ("swapped", WEIGHTS, {"labels": [0] * 200}, "FAIL"),
        ("mislabelled", WEIGHTS, {"labels": [9] * 200}, "ERROR"),
        ("unlabelled", WEIGHTS, {"labels": [0] * 199}, "ERROR"),
        ("nan", np.full((2, 3), np.nan, np.float32), {}, "ERROR"),
        ("overflow", WEIGHTS * np.float32(1e38), {"samples": np.full((200, 3), 1e5, np.float32)}, "ERROR"),
        ("empty", WEIGHTS, {"samples": np.zeros((0, 3), np.float32)}, "ERROR"),
    ],
)
def test_what_is_wrong_never_passes(build: Callable[..., tuple[Any, Path]], name: str, candidate: np.ndarray, change: dict[str, Any], verdict: str) -> None:
    values, folder = build(name, candidate, **change)
    assert values == {"passed": False, "verdict": verdict}
    data = json.loads((folder / "report.json").read_text(), parse_constant=pytest.fail)
    jsonschema.Draft202012Validator(report_schema()).validate(data)
    assert data["release"]["released"] is None
    root = ET.parse(folder / "junit.xml").getroot()
    assert int(root.attrib["failures"]) + int(root.attrib["errors"]) > 0
    assert "## What to do" in (folder / "report.md").read_text()
