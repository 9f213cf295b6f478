from __future__ import annotations

from typing import Any

from mlpipe.model_files.protobuf import model_pb2
from mlpipe.sources.conversion.interface import identifier
from mlpipe.sources.conversion.names import rename_features


def network(*layers: tuple[str, list[str], list[str]]) -> Any:
    """Return a NeuralNetwork from x to y."""
    spec = model_pb2().Model(specificationVersion=4)
    spec.description.input.add(name="x")
    spec.description.output.add(name="y")
    for kind, inputs, outputs in layers:
        getattr(spec.neuralNetwork.layers.add(input=inputs, output=outputs), kind).SetInParent()
    return spec


def wiring(layers: Any) -> list[tuple[list[str], list[str]]]:
    return [(list(layer.input), list(layer.output)) for layer in layers]


def test_names_are_swapped() -> None:
    spec = network(("softmax", ["x"], ["h"]), ("copy", ["h"], ["y"]))
    spec.neuralNetwork.preprocessing.add(featureName="x")
    rename_features(spec, {"x": "y", "y": "x"})
    assert wiring(spec.neuralNetwork.layers) == [(["y"], ["h"]), (["h"], ["x"])]
    assert (spec.description.input[0].name, spec.description.output[0].name) == ("y", "x")
    assert spec.neuralNetwork.preprocessing[0].featureName == "y"


def test_an_inner_value_gives_way() -> None:
    spec = network(("softmax", ["x"], ["scores"]), ("copy", ["scores"], ["scores_inner"]), ("copy", ["scores_inner"], ["y"]))
    rename_features(spec, {"y": "scores"})
    assert wiring(spec.neuralNetwork.layers) == [(["x"], ["scores_inner_"]), (["scores_inner_"], ["scores_inner"]), (["scores_inner"], ["scores"])]


def test_names_inside_branches_and_loops() -> None:
    spec = network(("branch", ["x"], []), ("loop", [], []))
    branch, loop = (layer for layer in spec.neuralNetwork.layers)
    for inner in (branch.branch.ifBranch, branch.branch.elseBranch, loop.loop.conditionNetwork, loop.loop.bodyNetwork):
        inner.layers.add(input=["x"], output=["y"]).copy.SetInParent()
    loop.loop.conditionVar = "y"
    rename_features(spec, {"x": "image", "y": "result"})
    for inner in (branch.branch.ifBranch, branch.branch.elseBranch, loop.loop.conditionNetwork, loop.loop.bodyNetwork):
        assert wiring(inner.layers) == [(["image"], ["result"])]
    assert loop.loop.conditionVar == "result"
    assert list(branch.input) == ["image"]


def test_names_inside_the_blocks_of_a_program() -> None:
    spec = model_pb2().Model(specificationVersion=7)
    spec.description.input.add(name="x")
    spec.description.output.add(name="y")
    function = spec.mlProgram.functions["main"]
    function.inputs.add(name="x")
    block = function.block_specializations["CoreML5"]
    block.outputs.append("y")
    operation = block.operations.add(type="cond")
    operation.inputs["pred"].arguments.add(name="x")
    operation.outputs.add(name="y")
    inner = operation.blocks.add(outputs=["image"])
    inner.inputs.add(name="x")
    used = inner.operations.add(type="relu")
    used.inputs["x"].arguments.add(name="x")
    used.outputs.add(name="image")
    rename_features(spec, {"x": "image", "y": "result"})
    assert function.inputs[0].name == "image"
    assert operation.inputs["pred"].arguments[0].name == "image"
    assert (operation.outputs[0].name, list(block.outputs)) == ("result", ["result"])
    assert (inner.inputs[0].name, used.inputs["x"].arguments[0].name) == ("image", "image")
    assert (used.outputs[0].name, list(inner.outputs)) == ("image_inner", ["image_inner"])


def test_identifiers() -> None:
    names = {"dense": "dense", "block/out:1": "block_out_1", "2nd": "_2nd", "größe": "gr__e"}
    assert {name: identifier(name) for name in names} == names
