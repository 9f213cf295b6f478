"""Float16 results are bit-equal to numpy rounding after every op, through every optimisation of ONNX Runtime."""

from __future__ import annotations

import numpy as np
import pytest

from mlpipe.runtime.execute import Executable
from mlpipe.runtime.onnx_graph import Graph
from mlpipe.runtime.precision import Precision, half_grid, round_to_half

OPS = {
    "Add": np.add,
    "Mul": np.multiply,
    "Sub": np.subtract,
    "Div": np.divide,
}
"""Ops that IEEE 754 defines to the last bit: both sides must agree exactly."""

CHAIN = ["Add", "Mul", "Sub", "Div", "Mul", "Add"]


def build(precision, weights):
    graph = Graph()
    value = round_to_half(graph, graph.add_input("x", np.float32, [None, 64]), precision)
    for op, weight in zip(CHAIN, weights, strict=True):
        value = round_to_half(graph, graph.add(op, value, round_to_half(graph, graph.constant(weight), precision)), precision)
    graph.outputs["y"] = value
    return graph


def cast_count(graph, tmp_path):
    import onnx

    path = tmp_path / "optimized.onnx"
    Executable(graph, optimized_model=path)
    return sum(node.op_type == "Cast" for node in onnx.load(path).graph.node)


def test_every_cast_survives_optimisation(tmp_path):
    weights = [np.full(64, 1.1, np.float32)] * len(CHAIN)
    assert cast_count(build(Precision.FLOAT16, weights), tmp_path) == 2 * (1 + len(CHAIN))
    assert cast_count(build(Precision.FLOAT32, weights), tmp_path) == 0


@pytest.mark.parametrize("scale", [1.0, 1e-4, 100.0], ids=["normal", "subnormal", "overflowing"])
def test_rounding_is_bit_equal_to_numpy(scale):
    random = np.random.default_rng(1)
    weights = [(random.standard_normal(64) * scale + 1e-3).astype(np.float32) for _ in CHAIN]
    x = (random.standard_normal((50, 64)) * scale).astype(np.float32)
    expected = half_grid(x)
    with np.errstate(all="ignore"):
        for op, weight in zip(CHAIN, weights, strict=True):
            expected = half_grid(OPS[op](expected, half_grid(weight)))
    result = Executable(build(Precision.FLOAT16, weights)).run({"x": x})["y"]
    np.testing.assert_array_equal(result, expected)
    unrounded = Executable(build(Precision.FLOAT32, weights)).run({"x": x})["y"]
    assert not np.array_equal(result, unrounded)


def test_every_float16_neighbourhood_rounds_as_numpy_does():
    bits = np.arange(0x7C00, dtype=np.uint16)
    grid = np.concatenate([bits.view(np.float16), -bits.view(np.float16)]).astype(np.float32)
    between = np.concatenate([grid, np.nextafter(grid, np.inf), (grid[:-1] + grid[1:]) / 2, [65519.99, 65520.0, 1e9, -1e9, np.inf, np.nan, 5.9e-8, 2.9e-8]])
    between = between.astype(np.float32)
    graph = Graph()
    graph.outputs["y"] = round_to_half(graph, graph.add_input("x", np.float32, [None]), Precision.FLOAT16)
    result = Executable(graph).run({"x": between})["y"]
    np.testing.assert_array_equal(result, half_grid(between))
    assert np.isinf(result[-7:-5]).all()
    assert result[-8] == 65504 or np.isclose(result[-8], 65504)
