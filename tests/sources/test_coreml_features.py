"""The labels of classifiers, in the order of their scores."""

from __future__ import annotations

from typing import Any

import pytest

from mlpipe.model_files.protobuf import model_pb2
from mlpipe.sources.coreml_features import labels_of


def classifier(*labels: str | int) -> Any:
    spec = model_pb2().Model(specificationVersion=1)
    kind = "stringClassLabels" if isinstance(labels[0], str) else "int64ClassLabels"
    getattr(spec.glmClassifier, kind).vector.extend(labels)
    return spec


def pipeline(*stages: Any) -> Any:
    spec = model_pb2().Model(specificationVersion=1)
    spec.pipelineClassifier.pipeline.models.extend(stages)
    return spec


def identity() -> Any:
    spec = model_pb2().Model(specificationVersion=1)
    spec.identity.SetInParent()
    return spec


ROWS = [
    (classifier("b", "a"), ["b", "a"]),
    (classifier(7, 3), [7, 3]),
    (pipeline(identity(), classifier("no", "yes")), ["no", "yes"]),
    (pipeline(classifier("no", "yes"), identity()), ["no", "yes"]),
    (pipeline(pipeline(classifier(2, 1))), [2, 1]),
    (identity(), []),
]


@pytest.mark.parametrize(("spec", "labels"), ROWS)
def test_labels(spec: Any, labels: list[str] | list[int]) -> None:
    assert labels_of(spec) == labels
