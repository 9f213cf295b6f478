"""Real trained models, to both formats: the float32 conversion reaches 100 dB against the source, and predicts what its publisher says."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

RECIPES = Path(__file__).parent / "real_models"
MODELS = Path(os.environ.get("MLPIPE_MODELS") or Path(__file__).parents[2].parent / "shared" / "models").resolve()
EXPECTED = {
    "keras_mnist_cnn": 0.974,
    "keras_emotion_mini_xception": 1.0,
    "keras_cifar10_resnet8": None,
    "keras_mobilenet_v1_05_160": None,
    "tf_frozen_mobilenet_v1_025_128": None,
    "tf_savedmodel_kws_dscnn": 1.0,
    "tf_frozen_kws_dscnn_s": 1.0,
    "coreml_nn_simplemnist": 0.916,
}
"""The share of the shipped samples that MODELS.yaml says the source gets right; None where it speaks of samples that are not shipped."""
SHIPPED = {"keras_mobilenet_v1_05_160": 11, "tf_frozen_mobilenet_v1_025_128": 11, "keras_mnist_cnn": 1000, "coreml_nn_simplemnist": 1000}
"""How many samples a comparison has to be over: none is left out."""

pytestmark = [
    pytest.mark.needs_models,
    pytest.mark.skipif(not (MODELS / "MODELS.yaml").exists(), reason="NOT RUN: the real models are absent; MLPIPE_MODELS names their folder"),
]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prepared")
    subprocess.run([sys.executable, str(RECIPES / "prepare.py"), str(MODELS), str(folder)], check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module", params=["mlprogram", "neuralnetwork"])
def run(request: pytest.FixtureRequest, prepared: Path, tmp_path_factory: pytest.TempPathFactory, cache: Path) -> Any:
    """Return the reports of one run over all recipes, by name."""
    from mlpipe import api

    folder = tmp_path_factory.mktemp(request.param)
    for recipe in RECIPES.glob("*.yaml"):
        shutil.copy(recipe, folder)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (("MLPIPE_MODELS", MODELS), ("MLPIPE_PREPARED", prepared), ("MLPIPE_TARGET", request.param), ("MLPIPE_CACHE", cache)):
            patch.setenv(name, str(value))
        return api.run(workspace=folder)


@pytest.mark.parametrize("name", EXPECTED)
@pytest.mark.timeout(900)
def test_converts_exactly_and_predicts_what_the_source_does(name: str, run: Any) -> None:
    failed = {task: entry["error"]["what"] for task, entry in run.tasks.items() if entry["error"] and task.startswith(f"{name}:")}
    assert not failed
    report = run[name].report
    assert report["passed"], [gate for variant in report["variants"].values() for gate in variant["gates"] if gate["verdict"] != "PASS"]
    metrics = report["variants"]["converted"]["metrics"]
    if name != "coreml_nn_simplemnist":
        assert float(metrics["source.snr_db"]["value"]) >= 100
        assert metrics["source.top1_agreement"]["value"] == 1
        if "accuracy" in metrics:
            assert metrics["accuracy"]["value"] == metrics["accuracy"]["models"]["source"]
    assert {entry["n"] for entry in metrics.values()} == {SHIPPED.get(name, next(iter(metrics.values()))["n"])}
    if EXPECTED[name] is not None:
        assert metrics["accuracy"]["value"] == pytest.approx(EXPECTED[name], abs=1e-9)
