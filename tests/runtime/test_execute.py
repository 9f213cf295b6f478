"""Graphs run as they were built: large constants, outputs that show anything, subgraphs, types known in advance."""

from __future__ import annotations

import numpy as np
import pytest

from mlpipe.runtime.execute import Executable
from mlpipe.runtime.onnx_graph import Graph
from mlpipe.runtime.to_onnx import INLINE_BYTES, to_onnx

RANDOM = np.random.default_rng(0)


def test_large_constants_stay_out_of_the_protobuf_and_still_count():
    weights = RANDOM.standard_normal((300, 200)).astype(np.float32)
    graph = Graph()
    x = graph.add_input("x", np.float32, [None, 300])
    graph.outputs["y"] = graph.add("MatMul", x, graph.constant(weights))
    model, external = to_onnx(graph)
    assert [value.nbytes for value in external.values()] == [weights.nbytes]
    assert weights.nbytes > 100 * INLINE_BYTES
    assert model.ByteSize() < 1000
    fed = RANDOM.standard_normal((2, 300)).astype(np.float32)
    np.testing.assert_allclose(Executable(graph).run({"x": fed})["y"], fed @ weights, rtol=1e-4, atol=1e-4)


def test_outputs_may_show_inputs_constants_and_one_value_twice():
    graph = Graph()
    x = graph.add_input("x", np.float32, [2])
    doubled = graph.add("Add", x, x)
    graph.outputs = {"same": x, "constant": graph.constant([7.0], np.float32), "first": doubled, "second": doubled}
    values = Executable(graph).run({"x": np.asarray([1, 2], np.float32)})
    assert {name: value.tolist() for name, value in values.items()} == {"same": [1, 2], "constant": [7], "first": [2, 4], "second": [2, 4]}


@pytest.mark.parametrize(("flag", "expected"), [(True, [11.0, 12.0]), (False, [-1.0, -2.0])])
def test_subgraphs_see_the_values_around_them(flag, expected):
    graph = Graph()
    x = graph.add_input("x", np.float32, [2])
    condition = graph.add_input("flag", np.bool_, [])
    then, otherwise = graph.subgraph(), graph.subgraph()
    then.outputs["then"] = then.add("Add", x, then.constant(10.0, np.float32))
    otherwise.outputs["otherwise"] = otherwise.add("Neg", x)
    chosen = graph.add("If", condition, then_branch=then, else_branch=otherwise)
    graph.set_type(chosen, np.float32, [2])
    graph.outputs["y"] = graph.add("Identity", chosen)
    values = Executable(graph).run({"x": np.asarray([1, 2], np.float32), "flag": np.asarray(flag)})
    assert values["y"].tolist() == expected


def test_fresh_names_are_not_those_of_inputs():
    graph = Graph()
    taken = [graph.add_input(f"relu__{number}", np.float32, [1]) for number in range(3)]
    inner = graph.subgraph()
    assert {graph.name("relu"), inner.name("relu")}.isdisjoint(taken)


def test_equal_nodes_have_equal_types_and_others_their_own():
    graph = Graph()
    x = graph.add_input("x", np.float32, [2, 3, 4])
    for order in ([2, 0, 1], [0, 2, 1], [2, 0, 1]):
        assert graph.shape(graph.add("Transpose", x, perm=order)) == tuple((2, 3, 4)[axis] for axis in order)
    for sizes in ((4, 6), (-1, 3), (4, 6)):
        assert graph.shape(graph.add("Reshape", x, graph.int64(*sizes))) == {(4, 6): (4, 6), (-1, 3): (8, 3)}[sizes]


def test_types_are_known_while_the_graph_is_built():
    graph = Graph()
    x = graph.add_input("x", np.float32, ["batch", 3, 8, None])
    y = graph.add("Conv", x, graph.constant(np.zeros((4, 3, 3, 3), np.float32)))
    assert graph.shape(y) == ("batch", 4, 6, None)
    assert graph.dtype(graph.cast(y, np.int32)) == np.int32
    assert graph.cast(y, np.float32) == y
    flat = graph.add("Reshape", graph.constant(np.zeros((2, 3, 4), np.float32)), graph.int64(2, -1))
    assert graph.static_shape(flat) == (2, 12)
    assert graph.static_shape(y) is None
    assert graph.value_of(graph.shape_value(flat)).tolist() == [2, 12]
