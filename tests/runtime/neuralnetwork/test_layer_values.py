"""Values inside NeuralNetworks, by the names of layers' outputs: what `copy` and loops overwrite, and what only exists inside them."""

from __future__ import annotations

import numpy as np
import pytest

from mlpipe.errors import InvalidInput

X = np.asarray([[1.0, -2.0, 3.0], [0.5, 0.25, -1.0]], np.float32)


def test_layers_are_the_outputs_of_layers_in_their_order(nn) -> None:
    layers = [("add", ["x"], ["shifted"], {"alpha": 1.5}), ("splitND", ["shifted"], ["left", "right"], {"axis": 1, "splitSizes": [1, 2]})]
    model = nn.model(nn.specification([*layers, ("unary", ["right"], ["y"], {"type": "ABS"})], {"x": X.shape}, ["y"]))
    listed = [(layer.name, layer.type, layer.dtype, layer.shape) for layer in model.layers]
    assert listed == [
        ("x", "input", "float32", (2, 3)),
        ("shifted", "add", "float32", (2, 3)),
        ("left", "splitND", "float32", (2, 1)),
        ("right", "splitND", "float32", (2, 2)),
        ("y", "unary", "float32", (2, 2)),
    ]
    values = model.taps(["left", "y"]).predict_arrays({"x": X})
    np.testing.assert_array_equal(values["left"], X[:, :1] + 1.5)
    np.testing.assert_array_equal(values["y"], np.abs(X[:, 1:] + 1.5))


def test_values_are_rounded_where_the_precision_is_float16(nn) -> None:
    spec = nn.specification([("multiply", ["x"], ["scaled"], {"alpha": 1.1}), ("add", ["scaled"], ["y"], {"alpha": 1})], {"x": X.shape}, ["y"])
    model = nn.model(spec, "float16")
    assert {layer.dtype for layer in model.layers} == {"float16"}
    scaled = model.taps(["scaled"]).predict_arrays({"x": X})["scaled"]
    np.testing.assert_array_equal(scaled, (X * np.float32(1.1)).astype(np.float16))


def looping(most):
    body = [
        {"name": "inner 0", "input": ["state"], "output": ["doubled"], "multiply": {"alpha": 2}},
        {"name": "inner 1", "input": ["doubled"], "output": ["state"], "copy": {}},
    ]
    return [
        ("copy", ["x"], ["state"], {}),
        ("add", ["state"], ["before"], {"alpha": 0.5}),
        ("loop", most, [], {"bodyNetwork": {"layers": body}, "maxLoopIterations": 3}),
        ("add", ["state"], ["y"], {"alpha": 1}),
    ]


@pytest.mark.parametrize("inputs", [{"x": X}, {"x": X, "most": np.asarray([3], np.float32)}], ids=["written out", "a Loop"])
def test_a_name_stands_for_what_it_holds_in_the_end(nn, inputs) -> None:
    spec = nn.specification(looping(["most"] if "most" in inputs else []), {name: value.shape for name, value in inputs.items()}, ["y"])
    model = nn.model(spec)
    assert [(layer.name, layer.type) for layer in model.layers if layer.type != "input"] == [("before", "add"), ("state", "loop"), ("y", "add")]
    values = model.taps().predict_arrays(inputs)
    np.testing.assert_array_equal(values["before"], X + 0.5)
    np.testing.assert_array_equal(values["state"], X * 8)
    np.testing.assert_array_equal(values["y"], X * 8 + 1)
    with pytest.raises(InvalidInput, match=r"'doubled' cannot be tapped.*inside a block of 'layer 2'"):
        model.taps(["doubled"])


def test_values_of_networks_deep_inside_are_known_and_refused(nn) -> None:
    deepest = {"name": "inner 2", "input": ["x"], "output": ["deep"], "add": {"alpha": 1}}
    branch = {"ifBranch": {"layers": [deepest]}, "elseBranch": {"layers": []}}
    body = {"layers": [{"name": "inner 1", "input": ["x"], "output": [], "branch": branch}]}
    layers = [("loop", [], [], {"bodyNetwork": body, "maxLoopIterations": 1}), ("add", ["x"], ["y"], {"alpha": 1})]
    with pytest.raises(InvalidInput, match="'deep' cannot be tapped"):
        nn.model(nn.specification(layers, {"x": (1,)}, ["y"])).taps(["deep"])


def test_the_first_layer_that_overflows_is_named(nn) -> None:
    layers = [
        ("multiply", ["x"], ["large"], {"alpha": 20000}),
        ("multiply", ["large"], ["larger"], {"alpha": 2}),
        ("activation", ["larger"], ["kept"], {"ReLU": {}}),
        ("add", ["x"], ["y"], {"alpha": 1}),
    ]
    (near, beyond) = nn.model(nn.specification(layers, {"x": X.shape}, ["kept", "y"])).overflows({"x": X})
    assert (near.name, near.extent.name, near.count, near.largest) == ("large", "NEAR", 2, 60000)
    assert (beyond.name, beyond.extent.name, beyond.count, beyond.float32) == ("larger", "INFINITE", 2, 120000)
