"""How operations are executed, as `inspect` says of a model and the reference page of all of them."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from mlpipe.model_files.read import read_model
from mlpipe.runtime.emulation import Emulated, How, computes, emulated, walk
from mlpipe.runtime.mlprogram.lower import lower_program
from mlpipe.runtime.mlprogram.op import OPS
from mlpipe.runtime.onnx_graph import Graph, Layer
from mlpipe.runtime.precision import Precision

X = np.zeros((2, 4, 3), np.float32)
WEIGHT = np.ones((4 * 5, 3), np.float32)


def recurrent(mb, x):
    return mb.lstm(
        x=x, initial_h=np.zeros((4, 5), np.float32), initial_c=np.zeros((4, 5), np.float32), weight_ih=WEIGHT, weight_hh=np.ones((20, 5), np.float32)
    )[0]


BODIES = {
    # body -> how its one operation is executed, and by which nodes where it is not direct
    "relu": (lambda mb, x: mb.relu(x=x), How.DIRECT, ()),
    "softmax": (lambda mb, x: mb.softmax(x=x), How.DIRECT, ()),
    "transpose": (lambda mb, x: mb.transpose(x=x, perm=[2, 0, 1]), How.DIRECT, ()),
    "stack": (lambda mb, x: mb.stack(values=[x, x], axis=1), How.DIRECT, ()),
    "log": (lambda mb, x: mb.log(x=x), How.COMPOSED, ("Add", "Log")),
    "silu": (lambda mb, x: mb.silu(x=x), How.COMPOSED, ("Sigmoid", "Mul")),
    "lstm": (recurrent, How.DIRECT, ()),
    "random_normal": (lambda mb, x: mb.random_normal(shape=mb.shape(x=x), mean=0.0, stddev=1.0, seed=3), How.RANDOM, None),
}


@pytest.fixture
def found(mil, tmp_path):
    """Return a function that builds a program and says what of it is emulated."""

    def build(body, precision=Precision.FLOAT32, feed=None):
        path = mil.save(body, feed or {"x": X}, tmp_path / "model.mlpackage", opset="iOS17")
        model = read_model(path)
        lowered, missing = lower_program(model, precision)
        assert not missing
        function = model.spec.mlProgram.functions["main"]
        operations = function.block_specializations[function.opset].operations
        return emulated(lowered, [Layer(op.type, op.outputs[0].name) for op in operations])

    return build


@pytest.mark.parametrize("precision", Precision)
@pytest.mark.parametrize("name", BODIES)
def test_an_operation_is_what_its_nodes_are(name, precision, found) -> None:
    body, how, nodes = BODIES[name]
    entries = [entry for entry in found(body, precision) if entry.type == name]
    if how is How.DIRECT:
        assert entries == []
        return
    (entry,) = entries
    assert (entry.how, entry.count) == (how, 1)
    if nodes is not None:
        assert entry.nodes == nodes, "casts to float16 and back are not counted"


def test_operations_are_counted_and_the_longest_composition_is_shown(found) -> None:
    """The exact gelu is one kernel, its approximations are several."""
    (entry,) = found(lambda mb, x: mb.gelu(x=mb.gelu(x=mb.gelu(x=x, mode="SIGMOID_APPROXIMATION"), mode="EXACT"), mode="TANH_APPROXIMATION"))
    assert (entry.type, entry.how, entry.count) == ("gelu", How.COMPOSED, 2)
    assert "Tanh" in entry.nodes
    assert str(Emulated("silu", How.COMPOSED, 2, ("Sigmoid", "Mul"))) == "silu x2: composed of Sigmoid, Mul"


def test_operations_in_blocks_are_found(found) -> None:
    def body(mb, x):
        return mb.cond(pred=mb.greater(x=mb.reduce_sum(x=x, axes=[0, 1, 2], keep_dims=False), y=0.0), _true_fn=lambda: mb.silu(x=x), _false_fn=lambda: x)

    assert {(entry.type, entry.how) for entry in found(body)} >= {("cond", How.LOOP)}


def test_every_node_of_a_graph_is_walked_and_sizes_do_not_count() -> None:
    graph = Graph()
    x = graph.add_input("x", np.float32, [None, 3])
    with graph.made_for("outer", "a"):
        inner = graph.subgraph()
        with inner.made_for("inner", "b"):
            inner.outputs["y"] = inner.add("Sin", x)
        size = graph.add("Mul", graph.add("Shape", x), graph.int64(2))
        graph.add_many("If", 1, "flag", then_branch=inner, else_branch=inner)
    assert [(node.op, node.layer) for _, node in walk(graph)] == [
        ("Shape", ("outer", "a")),
        ("Mul", ("outer", "a")),
        ("If", ("outer", "a")),
        ("Sin", ("inner", "b")),
        ("Sin", ("inner", "b")),
    ]
    assert size == graph.nodes[1].outputs[0]
    assert [computes(owner, node) for owner, node in walk(graph)] == [False, False, True, True, True]


def operations_page():
    spec = importlib.util.spec_from_file_location("docs_operations_for_tests", Path(__file__).parents[2] / "docs" / "operations.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("name", BODIES)
def test_the_reference_page_agrees_with_the_graph(name) -> None:
    """What is read from the source is what an operation needs at most: never less than what the graph shows."""
    page = operations_page()
    page.ops.load()
    rising = [How.DIRECT, How.COMPOSED, How.LOOP, How.RANDOM]
    said = page.how(name, OPS.find(name, "iOS17"))
    assert rising.index(said) >= rising.index(BODIES[name][1])
    assert said is (How.LOOP if name == "lstm" else BODIES[name][1])
