"""Custom layers: Python between the stretches of a network."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlpipe.errors import NotExecutable, UserCodeFailed
from mlpipe.model_files.read import ModelFile, kind_of
from mlpipe.runtime import load_model
from mlpipe.runtime.model import RuntimeModel
from mlpipe.runtime.precision import Precision

MODELS = Path(os.environ.get("MLPIPE_MODELS", Path(__file__).parents[4] / "shared" / "models"))


def model(spec: Any, references: Any, precision: str = "float32") -> RuntimeModel:
    return RuntimeModel(ModelFile(Path("memory.mlmodel"), spec, None, kind_of(spec)), Precision(precision), custom_layers=references)


def relu(given: str, output: str) -> Any:
    return ("activation", [given], [output], {"ReLU": {}})


def custom(given: list[str], outputs: list[str], name: str = "Mine", **fields: Any) -> Any:
    return ("custom", given, outputs, {"className": name, **fields})


def test_python_stands_between_layers(nn: Any) -> None:
    """What is computed before it is used behind it, as are inputs and constants."""
    layers = [
        relu("x", "a"),
        custom(["a", "x"], ["b"]),
        ("loadConstantND", [], ["one"], {"shape": [1], "data": nn.weights([1.0])}),
        ("addBroadcastable", ["b", "one"], ["c"], {}),
        custom(["c"], ["d", "e"], "Two"),
        ("addBroadcastable", ["d", "a"], ["y"], {}),
    ]
    references = {"Mine": lambda a, x: a * 2 + x, "Two": lambda c: [c**2, c[0]]}
    x = nn.random(2, 3)
    found = model(nn.specification(layers, {"x": (2, 3)}, ["y", "e", "d", "one"]), references).predict({"x": x})
    a = np.maximum(x, 0)
    c = a * 2 + x + 1
    nn.close(found["y"], c**2 + a)
    nn.close(found["d"], c**2)
    nn.close(found["e"], c[0])
    assert found["one"].tolist() == [1.0]


def test_a_network_of_custom_layers_alone(nn: Any) -> None:
    x = nn.random(2, 3)
    found = model(nn.specification([custom(["x"], ["y"])], {"x": (2, 3)}, ["y"]), {"Mine": lambda x: x.T}).predict({"x": x})
    np.testing.assert_array_equal(found["y"], x.T)


def test_parameters_and_weights_are_handed_over(nn: Any) -> None:
    parameters = {"a": {"intValue": 3}, "b": {"doubleValue": 0.5}, "c": {"stringValue": "s"}, "d": {"boolValue": True}, "e": {"longValue": "4"}}
    layer = custom(["x"], ["y"], parameters=parameters, weights=[nn.weights([1.0, 2.0, 3.0]), nn.weights([4.0])])
    seen: dict[str, Any] = {}

    def mine(x: np.ndarray, weights: list[np.ndarray], **given: Any) -> np.ndarray:
        seen.update(given)
        return x * weights[0] + weights[1]

    found = model(nn.specification([layer], {"x": (2, 3)}, ["y"]), {"Mine": mine}).predict({"x": np.ones((2, 3))})
    assert seen == {"a": 3, "b": 0.5, "c": "s", "d": True, "e": 4}
    assert found["y"].tolist() == [[5, 6, 7]] * 2


def test_legacy_networks_hand_over_five_dimensions(nn: Any) -> None:
    shapes = []

    def mine(x: np.ndarray) -> np.ndarray:
        shapes.append(x.shape)
        return x

    model(nn.specification([custom(["x"], ["y"])], {"x": (3, 4, 5)}, ["y"], legacy=True), {"Mine": mine}).predict({"x": np.ones((3, 4, 5))})
    assert set(shapes) == {(1, 1, 3, 4, 5)}


def test_sizes_that_vary(nn: Any) -> None:
    spec = nn.specification([custom(["x"], ["a"]), relu("a", "y")], {"x": (2, 5)}, ["y"])
    ranges = spec.description.input[0].type.multiArrayType.shapeRange.sizeRanges
    ranges.add(lowerBound=2, upperBound=2)
    ranges.add(lowerBound=1, upperBound=-1)
    flexible = model(spec, {"Mine": lambda x: np.concatenate([x, -x], axis=1)})
    for size in (5, 9):
        x = nn.random(2, size)
        np.testing.assert_array_equal(flexible.predict({"x": x})["y"], np.maximum(np.concatenate([x, -x], axis=1), 0))


def test_results_are_rounded_to_float16_and_can_be_tapped(nn: Any) -> None:
    spec = nn.specification([custom(["x"], ["a"]), relu("a", "y")], {"x": (3,)}, ["y"])
    half = model(spec, {"Mine": lambda x: x / 3}, "float16")
    expected = (np.ones(3, np.float32) / 3).astype(np.float16).astype(np.float32)
    np.testing.assert_array_equal(half.predict({"x": np.ones(3)})["y"], expected)
    np.testing.assert_array_equal(half.taps(["a"]).predict_arrays({"x": np.ones(3)})["a"], expected)
    assert [layer.name for layer in half.layers] == ["x", "a", "y"]


def test_every_class_without_reference_is_named(nn: Any) -> None:
    layers = [custom(["x"], ["a"], "One", parameters={"size": {"intValue": 7}}), custom(["x"], ["b"], "Other")]
    missing = model(nn.specification(layers, {"x": (2, 3)}, ["a", "b"]), {}).unsupported()
    assert [layer.name for layer in missing] == ["layer 0", "layer 1"]
    assert "class 'One' has no reference (inputs of shape 2x3; parameters {'size': 7})" in missing[0].why
    assert "class 'Other' has no reference (inputs of shape 2x3)" in missing[1].why


def wrong(x: np.ndarray) -> np.ndarray:
    """Right for zeros alone."""
    if x.any():
        raise ZeroDivisionError("not today")
    return x


REFERENCES = [
    (lambda x: [x, x], "returned 2 arrays; the layer has 1 outputs"),
    (lambda _: "text", "returned <U4"),
    (lambda x, y: x + y, "missing 1 required positional argument"),
]


@pytest.mark.parametrize(("reference", "why"), REFERENCES)
def test_a_reference_that_does_not_fit_is_named_when_the_model_is_loaded(nn: Any, reference: Any, why: str) -> None:
    (layer,) = model(nn.specification([custom(["x"], ["y"])], {"x": (2,)}, ["y"]), {"Mine": reference}).unsupported()
    assert layer.name == "layer 0"
    for part in why.split("; "):
        assert part in layer.why


@pytest.mark.parametrize(
    ("reference", "why"), [(wrong, "ZeroDivisionError: not today"), (lambda x: x if not x.any() else x[None], "1 dimensions for other inputs")]
)
def test_a_reference_that_fails_in_a_prediction_is_named(nn: Any, reference: Any, why: str) -> None:
    ready = model(nn.specification([custom(["x"], ["y"])], {"x": (2,)}, ["y"]), {"Mine": reference})
    with pytest.raises(UserCodeFailed, match=r"custom layer 'layer 0' \(class Mine\)") as raised:
        ready.predict({"x": [1.0, 2.0]})
    assert why in f"{raised.value.what} {raised.value.why}"


def test_inside_a_branch_it_is_refused(nn: Any) -> None:
    spec = nn.specification([("branch", ["x"], [], {})], {"x": (1,)}, ["x"])
    branch = spec.neuralNetwork.layers[0].branch
    branch.ifBranch.layers.add(name="inner", input=["x"], output=["z"]).custom.className = "Mine"
    assert "inside a branch or a loop" in str(model(spec, {"Mine": lambda x: x}).unsupported()[0])


@pytest.mark.needs_models
@pytest.mark.skipif(not MODELS.is_dir(), reason="NOT RUN: the folder of real models is not there")
def test_a_swish_that_somebody_else_wrote() -> None:
    path = MODELS / "coreml_custom_layer_swish" / "NeuralMcNeuralNet.mlmodel"
    with pytest.raises(NotExecutable, match="class 'Swish' has no reference"):
        load_model(path)
    seen = []

    def swish(x: np.ndarray, beta: float) -> np.ndarray:
        seen.append((x, x / (1 + np.exp(-beta * x))))
        return seen[-1][1]

    ready = load_model(path, custom_layers={"Swish": swish})
    image = np.random.default_rng(0).integers(0, 256, (256, 256, 3), np.uint8)
    taps = ready.taps()
    values = taps.predict_arrays({ready.inputs[0].name: image})
    (custom_layer,) = [layer for layer in ready.layers if layer.type == "custom"]
    np.testing.assert_array_equal(values[custom_layer.name], seen[-1][1])
    assert ready.predict({ready.inputs[0].name: image})["output"].shape == (10,)
