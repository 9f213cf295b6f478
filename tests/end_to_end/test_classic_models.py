"""Recipes of classic models and pipelines: packaged byte for byte, judged by their scores, and refused where no number feeds them or can be compared."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlpipe.model_files.protobuf import model_pb2

POINTS = np.random.default_rng(4).normal(size=(40, 2))
RECIPE = """\
name: NAME
source: {coreml: NAME.mlmodel}
reference: {coreml: NAME.mlmodel}
compare:
  samples: {arrays: points.npz, ground_truth: truth.csv}
  metrics: [accuracy, top1_agreement, snr_db]
gate: {converted: {accuracy: ">= 95%", source.snr_db: ">= 100 dB"}}
release: {variant: converted, name: Released}
"""


def described(spec: Any, *, scores: bool) -> None:
    spec.description.output.add(name="greater").type.stringType.SetInParent()
    spec.description.predictedFeatureName = "greater"
    if scores:
        spec.description.output.add(name="shares").type.dictionaryType.stringKeyType.SetInParent()
        spec.description.predictedProbabilitiesName = "shares"


def pipeline(*, scores: bool = True) -> Any:
    """Return a pipeline that names the greater one of `a` and `b`."""
    columns, linear, spec = (model_pb2().Model(specificationVersion=1) for _ in range(3))
    for name in ("a", "b"):
        columns.description.input.add(name=name).type.doubleType.SetInParent()
        columns.featureVectorizer.inputList.add(inputColumn=name, inputDimensions=1)
    for feature in (columns.description.output.add(name="both"), linear.description.input.add(name="both")):
        feature.type.multiArrayType.shape.append(2)
        feature.type.multiArrayType.dataType = 65600
    linear.glmClassifier.weights.add().value.extend([-1.0, 1.0])
    linear.glmClassifier.offset.append(0.0)
    linear.glmClassifier.stringClassLabels.vector.extend(["a", "b"])
    spec.description.input.extend(columns.description.input)
    for each in (linear, spec):
        described(each, scores=scores)
    spec.pipelineClassifier.pipeline.models.extend([columns, linear])
    return spec


def words() -> Any:
    spec = model_pb2().Model(specificationVersion=1)
    spec.description.input.add(name="counts").type.dictionaryType.stringKeyType.SetInParent()
    array = spec.description.output.add(name="vector").type.multiArrayType
    array.shape.append(1)
    array.dataType = 65600
    spec.dictVectorizer.stringToIndex.vector.append("good")
    return spec


@pytest.fixture
def recipe(make_workspace: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that makes a workspace with the recipe of one model."""

    def make(spec: Any, text: str = RECIPE) -> Any:
        workspace = make_workspace()
        folder: Path = workspace.folder
        (folder / "classic.mlmodel").write_bytes(spec.SerializeToString(deterministic=True))
        (folder / "classic.yaml").write_text(text.replace("NAME", "classic"))
        np.savez(folder / "points.npz", a=POINTS[:, 0], b=POINTS[:, 1])
        rows = [f"{index},{'a' if first > second else 'b'}" for index, (first, second) in enumerate(POINTS)]
        (folder / "truth.csv").write_text("\n".join(["index,label", *rows]) + "\n")
        return workspace

    return make


def test_a_pipeline_is_judged_by_its_scores_and_keeps_its_bytes(recipe: Callable[..., Any]) -> None:
    workspace = recipe(pipeline())
    workspace.run("run", "classic.yaml")
    variant = workspace.report("classic")["variants"]["converted"]
    assert variant["verdict"] == "PASS"
    assert (variant["metrics"]["accuracy"]["value"], variant["metrics"]["source.snr_db"]["value"]) == (1.0, "inf")
    released = workspace.folder / "build" / "classic" / "release" / "Released.mlmodel"
    assert released.read_bytes() == (workspace.folder / "classic.mlmodel").read_bytes()


def test_a_classifier_without_scores_is_not_judged(recipe: Callable[..., Any]) -> None:
    text = RECIPE.replace(", ground_truth: truth.csv", "").replace("accuracy, ", "").replace('accuracy: ">= 95%", ', "")
    said = recipe(pipeline(scores=False), text).run("run", "classic.yaml", code=1)
    assert "source.snr_db was not computed: no output of the model is a number" in said.stdout + said.stderr


def test_dictionaries_have_no_samples_in_recipes(recipe: Callable[..., Any]) -> None:
    said = recipe(words()).run("run", "classic.yaml", code=3)
    assert "input 'counts' takes a dictionary" in said.stdout + said.stderr
    assert "mlpipe predict --samples feeds such inputs" in said.stdout + said.stderr


def test_a_classic_model_has_no_weights_to_compress(recipe: Callable[..., Any]) -> None:
    said = recipe(words(), "name: NAME\nsource: {coreml: NAME.mlmodel}\nquantize: {small: {weights: float16}}\n").run("run", "classic.yaml", code=3)
    assert "a model of the type dictVectorizer has no weights that mlpipe compresses" in said.stdout + said.stderr
