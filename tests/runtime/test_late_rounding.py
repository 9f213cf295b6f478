"""Rounding that is put in after the optimisation: as many casts as before, the same bits, and no layouts taken apart for them."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from mlpipe.runtime import late_rounding
from mlpipe.runtime.execute import Executable
from mlpipe.runtime.onnx_graph import Graph
from mlpipe.runtime.precision import Precision, round_to_half

RANDOM = np.random.default_rng(5)
X = RANDOM.standard_normal((1, 16, 12, 12)).astype(np.float32)
LAYERS = 4


@pytest.fixture(scope="module")
def weights() -> list[np.ndarray]:
    return [(RANDOM.standard_normal((16, 16, 3, 3)) / 8).astype(np.float32) for _ in range(LAYERS)]


def network(weights: list[np.ndarray]) -> Graph:
    """Return convolutions with ReLU6 and additions, rounded after each, as lowering a float16 model gives them."""
    graph = Graph()
    value = round_to_half(graph, graph.add_input("x", np.float32, X.shape), Precision.FLOAT16)
    for weight in weights:
        made = round_to_half(graph, graph.add("Conv", value, graph.constant(weight), pads=[1] * 4), Precision.FLOAT16)
        made = graph.add("Clip", made, graph.constant(0, np.float32), graph.constant(6, np.float32))
        value = made if weight is weights[0] else round_to_half(graph, graph.add("Add", value, made), Precision.FLOAT16)
    graph.outputs["y"] = value
    return graph


def operations(path: Path) -> Counter[str]:
    import onnx

    return Counter(node.op_type for node in onnx.load(path).graph.node)


def test_the_bits_are_those_of_the_plain_way(weights, tmp_path, monkeypatch):
    late = Executable(network(weights), optimized_model=tmp_path / "late.onnx")
    monkeypatch.setattr(late_rounding, "LARGEST_BYTES", 0)
    plain = Executable(network(weights), optimized_model=tmp_path / "plain.onnx")
    np.testing.assert_array_equal(late.run({"x": X})["y"], plain.run({"x": X})["y"])
    found, before = operations(tmp_path / "late.onnx"), operations(tmp_path / "plain.onnx")
    assert found["Cast"] == before["Cast"] == 2 * 2 * LAYERS
    assert found["Sum"] == 0
    assert found["Conv"] == LAYERS
    if before["ReorderOutput"]:  # the machine has kernels on blocks of channels
        assert found["ReorderOutput"] + found["ReorderInput"] <= 2 < before["ReorderOutput"]


def test_each_step_is_what_numpy_rounds(weights):
    """A convolution of one tap has no sum whose order could differ: the last bit is defined."""
    graph = Graph()
    value = graph.add_input("x", np.float32, X.shape)
    scales = weights[0][:, 0, 0, 0]
    for _ in range(2):
        value = round_to_half(graph, graph.add("Conv", value, graph.constant(scales.reshape(16, 1, 1, 1)), group=16), Precision.FLOAT16)
    graph.outputs["y"] = value
    expected = X
    for _ in range(2):
        expected = (expected * scales[:, None, None]).astype(np.float16).astype(np.float32)
    np.testing.assert_array_equal(Executable(graph).run({"x": X})["y"], expected)


def test_what_the_optimisation_loses_is_not_run(weights):
    """One sum less in what comes out, and the graph is run as it is."""
    import onnx
    from onnx import helper

    def faithful(model: onnx.ModelProto, _external: object, path: Path) -> None:
        del model.graph.initializer[:]
        onnx.save(model, path)

    def forgetful(model: onnx.ModelProto, external: object, path: Path) -> None:
        node = next(node for node in model.graph.node if node.op_type == "Sum")
        node.CopyFrom(helper.make_node("Identity", node.input, node.output))
        faithful(model, external, path)

    assert late_rounding.optimised_before_rounding(network(weights), faithful) is not None
    assert late_rounding.optimised_before_rounding(network(weights), forgetful) is None


def test_graphs_without_convolutions_or_with_sums_are_run_as_they_are(weights):
    def unused(*_arguments: object) -> None:
        raise AssertionError

    graph = Graph()
    graph.outputs["y"] = round_to_half(graph, graph.add("Exp", graph.add_input("x", np.float32, [3])), Precision.FLOAT16)
    assert late_rounding.optimised_before_rounding(graph, unused) is None
    graph = network(weights)
    graph.outputs["sum"] = graph.add("Sum", "x")
    assert late_rounding.optimised_before_rounding(graph, unused) is None
