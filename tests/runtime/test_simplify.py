"""Rewrites leave every number as it is, and happen only where nobody could tell."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest

from mlpipe.runtime.execute import Executable
from mlpipe.runtime.onnx_graph import Graph
from mlpipe.runtime.precision import Precision, half_grid, round_to_half
from mlpipe.runtime.simplify import simplified

X = np.asarray([-7.3, -0.25, 0.1, 2.0004883, 2.0014648, 5.9999, 6.0001, 65519.0, 65520.0, -1e6, 1e-8, np.inf, -np.inf, np.nan], np.float32)


@pytest.fixture
def graph() -> Graph:
    built = Graph()
    built.add_input("x", np.float32, [len(X)])
    return built


def number(graph: Graph, value: float) -> str:
    return graph.constant(value, np.float32)


def negative(graph: Graph, value: str) -> str:
    return graph.add("Mul", number(graph, -1), value)


def rounded(graph: Graph, value: str) -> str:
    return round_to_half(graph, value, Precision.FLOAT16)


def ops(graph: Graph) -> Counter[str]:
    return Counter(node.op for node in graph.nodes)


def check(graph: Graph, expected: np.ndarray) -> Counter[str]:
    """Hold the graph's output against numbers; return the operations that are left of it."""
    np.testing.assert_array_equal(Executable(graph).run({"x": X})["y"], expected)
    return ops(simplified(graph))


def test_a_limit_that_is_written_with_two_negations_is_a_clip(graph):
    limited = graph.add("Max", negative(graph, "x"), number(graph, -6))
    graph.outputs["y"] = negative(graph, limited)
    assert check(graph, np.minimum(X, 6)) == {"Clip": 1}


@pytest.mark.parametrize("scale", [1.0, -2.0])
def test_other_factors_are_none(graph, scale):
    limited = graph.add("Max", graph.add("Mul", "x", number(graph, scale)), number(graph, -6))
    graph.outputs["y"] = negative(graph, limited)
    assert check(graph, -np.maximum(np.float32(scale) * X, -6)) == {"Mul": 2, "Max": 1}


def test_a_limit_whose_inside_is_shown_stays(graph):
    limited = graph.add("Max", negative(graph, "x"), number(graph, -6))
    graph.outputs = {"y": negative(graph, limited), "inside": limited}
    assert check(graph, np.minimum(X, 6)) == {"Mul": 2, "Max": 1}


def test_what_is_on_the_grid_is_not_rounded_again(graph):
    value = rounded(graph, "x")
    value = rounded(graph, graph.add("Transpose", graph.add("Reshape", value, graph.int64(2, -1)), perm=[1, 0]))
    graph.outputs["y"] = graph.add("Sqrt", rounded(graph, graph.add("Abs", value)))
    with np.errstate(all="ignore"):
        expected = np.sqrt(np.abs(half_grid(X))).reshape(2, -1).T
    assert check(graph, expected)["Cast"] == 2


def test_what_may_have_left_the_grid_is(graph):
    tripled = rounded(graph, graph.add("Mul", rounded(graph, "x"), number(graph, 3)))
    limited = rounded(graph, graph.add("Clip", tripled, number(graph, -np.inf), number(graph, 0.1)))
    graph.outputs["y"] = limited
    with np.errstate(all="ignore"):
        expected = half_grid(np.minimum(half_grid(half_grid(X) * 3), np.float32(0.1)))
    assert check(graph, expected)["Cast"] == 6


def test_rounding_goes_behind_clamps(graph):
    value = rounded(graph, graph.add("Mul", "x", number(graph, 1.1)))
    graph.outputs["y"] = graph.add("Clip", graph.add("Relu", value), number(graph, 0), number(graph, 6))
    with np.errstate(all="ignore"):
        expected = np.minimum(np.maximum(half_grid(X * np.float32(1.1)), 0), 6)
    check(graph, expected)
    assert [node.op for node in simplified(graph).nodes] == ["Mul", "Relu", "Clip", "Cast", "Cast"]


@pytest.mark.parametrize("limit", [0.1, 6.0])
def test_rounding_stays_before_a_clamp_off_the_grid_and_before_one_of_two_readers(graph, limit):
    value = rounded(graph, "x")
    clamped = graph.add("Clip", value, number(graph, -np.inf), number(graph, limit))
    graph.outputs["y"] = clamped if limit == 0.1 else graph.add("Add", clamped, value)
    with np.errstate(all="ignore"):
        half = half_grid(X)
        expected = np.minimum(half, np.float32(limit)) + (0 if limit == 0.1 else half)
    check(graph, expected)
    assert [node.op for node in simplified(graph).nodes][:3] == ["Cast", "Cast", "Clip"]


def test_names_that_subgraphs_read_stay(graph):
    value = rounded(graph, graph.add("Abs", rounded(graph, "x")))
    branches = [graph.subgraph(), graph.subgraph()]
    for sign, branch in zip((1, 2), branches, strict=True):
        branch.outputs[f"result {sign}"] = branch.add("Mul", value, branch.constant(sign, np.float32))
    chosen = graph.add("If", graph.constant(value=True), then_branch=branches[0], else_branch=branches[1])
    graph.set_type(chosen, np.float32, [len(X)])
    graph.outputs["y"] = graph.add("Identity", chosen)
    with np.errstate(all="ignore"):
        check(graph, np.abs(half_grid(X)))


def test_what_nothing_needs_goes_and_inputs_stay(graph):
    graph.add("Exp", "x")
    graph.outputs["y"] = graph.add("Abs", "x")
    graph.add_input("unused", np.float32, [1])
    small = simplified(graph)
    assert ops(small) == {"Abs": 1}
    assert small.inputs == ["x", "unused"]


PICTURE = np.random.default_rng(0).standard_normal((2, 3, 5, 4)).astype(np.float32)
NHWC = (0, 2, 3, 1)


@pytest.mark.parametrize(
    ("perm", "axes", "keepdims", "left"),
    [
        (None, (2, 3), 0, ["GlobalAveragePool", "Flatten"]),
        (None, (-1, -2), 0, ["GlobalAveragePool", "Flatten"]),
        (NHWC, (1, 2), 0, ["GlobalAveragePool", "Flatten"]),
        (NHWC, (2, 3), 0, ["Transpose", "ReduceMean"]),
        ((1, 0, 2, 3), (2, 3), 0, ["Transpose", "ReduceMean"]),
        (NHWC, (1, 2), 1, ["Transpose", "ReduceMean"]),
        (None, (1, 2, 3), 0, ["ReduceMean"]),
    ],
)
def test_a_mean_over_pictures_is_a_pooling(perm, axes, keepdims, left):
    graph = Graph()
    value = graph.add_input("x", np.float32, [None, 3, 5, 4])
    if perm:
        value = graph.add("Transpose", value, perm=perm)
    graph.outputs["y"] = graph.add("ReduceMean", value, graph.int64(*axes), keepdims=keepdims)
    expected = PICTURE.transpose(perm or (0, 1, 2, 3)).astype(np.float64).mean(axes, keepdims=bool(keepdims))
    np.testing.assert_allclose(Executable(graph).run({"x": PICTURE})["y"], expected, rtol=1e-5, atol=1e-6)
    assert [node.op for node in simplified(graph).nodes] == left


@pytest.mark.parametrize("shape", [(1, 1, 64, 64), (None, None, None, None)])
def test_a_mean_over_many_or_unknown_elements_stays(shape):
    graph = Graph()
    graph.outputs["y"] = graph.add("ReduceMean", graph.add_input("x", np.float32, shape), graph.int64(2, 3), keepdims=0)
    assert ops(simplified(graph)) == {"ReduceMean": 1}


def test_clamps_go_before_transpositions_and_rounding_behind_both():
    graph = Graph()
    value = rounded(graph, graph.add_input("x", np.float32, PICTURE.shape))
    value = graph.add("Relu", graph.add("Transpose", value, perm=NHWC))
    graph.outputs["y"] = graph.add("ReduceMean", value, graph.int64(1, 2), keepdims=0)
    expected = np.maximum(half_grid(PICTURE), 0).mean((2, 3))
    np.testing.assert_allclose(Executable(graph).run({"x": PICTURE})["y"], expected, rtol=1e-6)
    assert [node.op for node in simplified(graph).nodes] == ["Relu", "Cast", "Cast", "GlobalAveragePool", "Flatten"]


def gelu(graph: Graph, *, complement: bool, inner: float = 0.5**0.5, half: float = 0.5, one: float = 1.0, precision: Precision = Precision.FLOAT32) -> str:
    """Return x times half the error function, as Keras or others write it."""
    scaled = graph.add("Mul", negative(graph, "x") if complement else "x", number(graph, inner))
    erf = graph.add("Erf", round_to_half(graph, scaled, precision))
    curve = graph.add("Sub", number(graph, one), erf) if complement else graph.add("Add", erf, number(graph, one))
    return graph.add("Mul", graph.add("Mul", number(graph, half), "x"), curve)


GELU_X = np.linspace(-6, 6, len(X), dtype=np.float32)


@pytest.mark.parametrize("complement", [True, False])
@pytest.mark.parametrize(
    ("options", "left"),
    [({}, 1), ({"inner": 0.7}, 0), ({"half": 0.25}, 0), ({"one": 0.5}, 0), ({"inner": -(0.5**0.5)}, 0), ({"precision": Precision.FLOAT16}, 0)],
)
def test_a_gelu_is_one_operation(graph, complement, options, left):
    graph.outputs["y"] = gelu(graph, complement=complement, **options)
    inner, half, one = (options.get(name, usual) for name, usual in (("inner", 0.5**0.5), ("half", 0.5), ("one", 1.0)))
    argument = GELU_X.astype(np.float64) * inner
    if "precision" in options:
        argument = half_grid(GELU_X * np.float32(inner))
    curve = np.asarray([math.erf(value) for value in argument])
    np.testing.assert_allclose(Executable(graph).run({"x": GELU_X})["y"], GELU_X * half * (one + curve), rtol=1e-5, atol=1e-6)
    assert ops(simplified(graph))["Gelu"] == left


def test_a_gelu_whose_inside_is_shown_stays(graph):
    graph.outputs["y"] = gelu(graph, complement=False)
    graph.outputs["inside"] = next(node.outputs[0] for node in graph.nodes if node.op == "Erf")
    assert ops(simplified(graph))["Gelu"] == 0
