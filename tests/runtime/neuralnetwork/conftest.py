"""Single layers and small networks, built from the specification's messages and executed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from google.protobuf.json_format import ParseDict

from mlpipe.model_files.protobuf import model_pb2
from mlpipe.model_files.read import ModelFile, kind_of
from mlpipe.runtime.model import RuntimeModel
from mlpipe.runtime.precision import Precision

FLOAT32, DOUBLE = 65568, 65600
Layer = tuple[str, Sequence[str], Sequence[str], dict[str, Any]]
"""Type, inputs, outputs, parameters in the form of protobuf's JSON."""


def weights(values: Any) -> dict[str, Any]:
    """Return float32 weights as parameters of a layer."""
    return {"floatValue": np.asarray(values, np.float32).reshape(-1).tolist()}


def specification(layers: Sequence[Layer], inputs: dict[str, Sequence[int]], outputs: Sequence[str], *, legacy: bool = False) -> Any:
    """Return a network; legacy ones have specification 1 and map every input to rank 5."""
    spec = model_pb2().Model(specificationVersion=1 if legacy else 5)
    for name, shape in inputs.items():
        array = spec.description.input.add(name=name).type.multiArrayType
        array.shape.extend(shape)
        array.dataType = FLOAT32
    for name in outputs:
        spec.description.output.add(name=name).type.multiArrayType.dataType = FLOAT32
    network = spec.neuralNetwork
    network.arrayInputShapeMapping = network.imageInputShapeMapping = 0 if legacy else 1
    for number, (kind, reads, makes, params) in enumerate(layers):
        layer = network.layers.add(name=f"layer {number}", input=reads, output=makes)
        getattr(layer, kind).SetInParent()
        ParseDict(params, getattr(layer, kind))
    return spec


def runtime_model(spec: Any, precision: str = "float32") -> RuntimeModel:
    """Return a model that lies in memory."""
    return RuntimeModel(ModelFile(Path("memory.mlmodel"), spec, None, kind_of(spec)), Precision(precision))


def run_layer(kind: str, params: dict[str, Any], *arrays: Any, outputs: int = 1, legacy: bool = False, precision: str = "float32") -> Any:
    """Return what a network of one layer gives for the arrays: one array, or a list where it has several outputs."""
    feed = {f"x{number}": np.asarray(array, np.float32) for number, array in enumerate(arrays)}
    names = [f"y{number}" for number in range(outputs)]
    spec = specification([(kind, list(feed), names, params)], {name: array.shape for name, array in feed.items()}, names, legacy=legacy)
    if not feed:
        # A model needs an input, even where its one layer takes none.
        spec.description.input.add(name="unused").type.multiArrayType.dataType = FLOAT32
        spec.description.input[0].type.multiArrayType.shape.append(1)
        feed = {"unused": np.zeros(1, np.float32)}
    result = runtime_model(spec, precision).predict(feed)
    return result["y0"] if outputs == 1 else [result[name] for name in names]


def refusal(kind: str, params: dict[str, Any], *shapes: Sequence[int], outputs: int = 1, legacy: bool = False) -> str:
    """Return why the one layer of a network cannot be executed; empty where it can."""
    inputs = {f"x{number}": shape for number, shape in enumerate(shapes)}
    names = [f"y{number}" for number in range(outputs)]
    spec = specification([(kind, list(inputs), names, params)], inputs, names, legacy=legacy)
    return "; ".join(layer.why for layer in runtime_model(spec).unsupported())


def close(actual: np.ndarray, expected: np.ndarray, tolerance: float = 2e-6) -> None:
    """Assert equal shapes, and values within a tolerance relative to the largest."""
    expected = np.atleast_1d(np.asarray(expected))
    assert actual.shape == expected.shape
    scale = max(1.0, float(np.abs(expected).max(initial=0)))
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * scale)


@pytest.fixture(scope="session")
def nn() -> SimpleNamespace:
    """What the tests of layers need: see the functions."""
    return SimpleNamespace(weights=weights, specification=specification, model=runtime_model, run=run_layer, refusal=refusal, close=close, random=_random)


def _random(*shape: int, seed: int = 0) -> np.ndarray:
    """Return reproducible float32 numbers around 0."""
    return np.random.default_rng([seed, *shape]).normal(size=shape).astype(np.float32)
