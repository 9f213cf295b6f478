"""Classic Core ML models, written field by field."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from mlpipe.model_files.protobuf import model_pb2
from mlpipe.runtime.classic.rows import run_rows
from mlpipe.runtime.classic.table import transform_of
from mlpipe.runtime.features import interface

ELEMENT_TYPES = {"float32": 65568, "float64": 65600, "int32": 131104}

Spec = Callable[..., Any]


def _declare(feature: Any, name: str, declared: str, *, optional: bool) -> None:
    """`float64[3]` is an array, `int64{}` a dictionary with such keys, `double`, `int64` and `string` are single values."""
    feature.name = name
    feature.type.isOptional = optional
    if declared.endswith("]"):
        kind, _, sizes = declared[:-1].partition("[")
        feature.type.multiArrayType.dataType = ELEMENT_TYPES[kind]
        feature.type.multiArrayType.shape.extend(int(size) for size in sizes.split(",") if size)
    elif declared.endswith("{}"):
        getattr(feature.type.dictionaryType, f"{declared[:-2]}KeyType").SetInParent()
    else:
        getattr(feature.type, f"{declared}Type").SetInParent()


@pytest.fixture
def specification() -> Spec:
    """A model's specification of this kind, with declared inputs and outputs; a name ending in `?` is optional."""

    def make(kind: str, inputs: Mapping[str, str], outputs: Mapping[str, str], predicted: str = "", probabilities: str = "") -> Any:
        spec = model_pb2().Model(specificationVersion=1)
        getattr(spec, kind).SetInParent()
        for name, declared in inputs.items():
            _declare(spec.description.input.add(), name.rstrip("?"), declared, optional=name.endswith("?"))
        for name, declared in outputs.items():
            _declare(spec.description.output.add(), name, declared, optional=False)
        spec.description.predictedFeatureName = predicted
        spec.description.predictedProbabilitiesName = probabilities
        return spec

    return make


@pytest.fixture
def run() -> Callable[..., list[dict[str, Any]]]:
    """What a model gives for several feeds at once."""

    def predict(spec: Any, feeds: list[Mapping[str, Any]], references: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        return run_rows(transform_of(spec, interface(spec), references or {}), interface(spec), feeds)

    return predict
