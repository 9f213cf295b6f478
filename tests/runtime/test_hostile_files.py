"""Damaged packages and models are refused with an error of mlpipe's own, or run: no crash, no hang, no other exception, no more than 2 GB.

Workers run the cases in processes with a memory limit; what a case did is on their standard output, what killed one on its standard error.
"""

from __future__ import annotations

import importlib.util
import json
import os
import pickle
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from mlpipe.errors import InvalidInput, MlpipeError, ModelFileInvalid, NotExecutable
from mlpipe.model_files.protobuf import model_pb2
from mlpipe.runtime import load_model
from mlpipe.runtime.rounds import LARGEST_ROUNDS

HOSTILE = Path(__file__).parent / "hostile"
MEGABYTES = 2000
SECONDS_A_CASE = 30
CASES_A_WORKER = 250


def load(name: str) -> ModuleType:
    specification = importlib.util.spec_from_file_location(f"hostile_{name}", HOSTILE / f"{name}.py")
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def packages(mil: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("packages")
    load("programs").save_all(mil, folder)
    return folder


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    subprocess.run([sys.executable, str(HOSTILE / "models.py"), str(folder)], check=True)
    return folder


@dataclass
class Tally:
    """What came of many cases."""

    outcomes: Counter[str]
    parsed: int
    peak_megabytes: int
    broken: list[str]


def run_cases(packages: Path, first: int, count: int) -> Tally:
    """Run cases in fresh processes; one that a case kills is replaced, and the case counted as broken."""
    tally, end = Tally(Counter(), 0, 0, []), first + count
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    while first < end:
        batch = min(CASES_A_WORKER, end - first)
        command = [sys.executable, str(HOSTILE / "worker.py"), str(packages), str(first), str(batch), str(MEGABYTES), str(SECONDS_A_CASE)]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        assert lines, done.stderr
        for before, after in zip(lines[::2], lines[1::2], strict=False):
            tally.outcomes[after["outcome"]] += 1
            tally.parsed += after["parses"]
            tally.peak_megabytes = max(tally.peak_megabytes, after["peak_megabytes"])
            if after["outcome"] == "broken":
                tally.broken.append(f"{before} {after['why']}")
        first += batch
        if done.returncode != 0:
            tally.broken.append(f"{lines[-1]} ended the process with {done.returncode}: {done.stderr[-3000:]}")
            first = lines[-1]["seed"] + 1
    return tally


def check(tally: Tally, count: int) -> None:
    assert not tally.broken, "\n\n".join(tally.broken[:5])
    assert tally.outcomes.total() == count
    assert tally.parsed >= count / 2
    assert tally.outcomes["predicted"] >= count / 20  # not everything is refused for one reason
    assert tally.outcomes["refused"] >= count / 2
    assert tally.peak_megabytes < MEGABYTES


def test_500_damaged_packages(packages: Path) -> None:
    check(run_cases(packages, 0, 500), 500)


@pytest.mark.full
@pytest.mark.timeout(3600)
def test_10_000_damaged_packages(packages: Path) -> None:
    tally = run_cases(packages, 10_000, 10_000)
    print(tally.outcomes, f"{tally.parsed} parse, peak {tally.peak_megabytes} MB")
    check(tally, 10_000)


def test_500_damaged_models(models: Path) -> None:
    check(run_cases(models, 0, 500), 500)


@pytest.mark.full
@pytest.mark.timeout(3600)
def test_10_000_damaged_models(models: Path) -> None:
    tally = run_cases(models, 10_000, 10_000)
    print(tally.outcomes, f"{tally.parsed} parse, peak {tally.peak_megabytes} MB")
    check(tally, 10_000)


def edited(packages: Path, name: str, folder: Path, edit: Any) -> Path:
    """Return a copy of a package whose protobuf, as a structure, was edited."""
    model = load("mutations").MODEL
    path = folder / "edited.mlpackage"
    shutil.copytree(packages / f"{name}.mlpackage", path)
    spec = model_pb2().Model.FromString((path / model).read_bytes())
    (block,) = spec.mlProgram.functions["main"].block_specializations.values()
    edit(spec, block.operations)
    (path / model).write_bytes(spec.SerializeToString())
    return path


def constant(operations: Any, name: str) -> Any:
    (found,) = [each for each in operations if each.type == "const" and each.outputs[0].name == name]
    return found.attributes["val"]


def operation(operations: Any, kind: str) -> Any:
    return next(each for each in operations if each.type == kind)


def tile_much(_spec: Any, operations: Any) -> None:
    constant(operations, "tile_0_reps_0").immediateValue.tensor.ints.values[:] = [10**6, 10**6, 2]


def declare_much(_spec: Any, operations: Any) -> None:
    for dimension in operation(operations, "fill").outputs[0].type.tensorType.dimensions:
        dimension.constant.size = 10**5
    constant(operations, "fill_0_shape_0").immediateValue.tensor.ints.values[:] = [10**5] * 3


def declare_more_than_counts(_spec: Any, operations: Any) -> None:
    operation(operations, "tile").outputs[0].type.tensorType.dimensions[0].constant.size = 2**64 - 1


def read_itself(_spec: Any, operations: Any) -> None:
    tile = operation(operations, "tile")
    tile.inputs["x"].arguments[0].name = tile.outputs[0].name


def read_each_other(_spec: Any, operations: Any) -> None:
    tile, pad = operation(operations, "tile"), operation(operations, "pad")
    tile.inputs["x"].arguments[0].name = pad.outputs[0].name


def read_nothing(_spec: Any, operations: Any) -> None:
    operation(operations, "pad").inputs["x"].arguments[0].name = "nothing"


def make_nothing(_spec: Any, operations: Any) -> None:
    operation(operations, "tile").outputs[0].name = "elsewhere"


def count_in_words(_spec: Any, operations: Any) -> None:
    constant(operations, "tile_0_reps_0").immediateValue.tensor.strings.values[:] = ["two"]


def drop_block(_spec: Any, operations: Any) -> None:
    del operation(operations, "while_loop").blocks[1]


def other_rank(_spec: Any, operations: Any) -> None:
    constant(operations, "reshape_0_shape_0").immediateValue.tensor.ints.values[:] = [24]
    del constant(operations, "reshape_0_shape_0").type.tensorType.dimensions[:]
    constant(operations, "reshape_0_shape_0").type.tensorType.dimensions.add().constant.size = 1


def unknown_output(spec: Any, _operations: Any) -> None:
    spec.description.output[0].name = "unheard"


def undescribed_input(spec: Any, _operations: Any) -> None:
    spec.description.input[0].name = "unheard"


def remember_much(spec: Any, _operations: Any) -> None:
    sizes = [10**5, 10**6]
    spec.description.state[0].type.stateType.arrayType.shape[:] = sizes
    (state,) = [given for given in spec.mlProgram.functions["main"].inputs if given.type.WhichOneof("type") == "stateType"]
    for dimension, size in zip(state.type.stateType.wrappedType.tensorType.dimensions, sizes, strict=True):
        dimension.constant.size = size


def default_much(spec: Any, _operations: Any) -> None:
    given = spec.description.input[0].type
    given.isOptional = True
    given.multiArrayType.shape[:] = [10**5, 10**6]
    given.multiArrayType.floatDefaultValue = 1.0
    for dimension, size in zip(spec.mlProgram.functions["main"].inputs[0].type.tensorType.dimensions, [10**5, 10**6], strict=True):
        dimension.constant.size = size


def other_kind(spec: Any, _operations: Any) -> None:
    spec.description.output[0].type.stringType.SetInParent()


def many_batches(_spec: Any, operations: Any) -> None:
    """Onnx's inference of shapes would end the process."""
    constant(operations, "gather_nd_0_batch_dims_0").immediateValue.tensor.ints.values[:] = [100]


def no_function(spec: Any, _operations: Any) -> None:
    del spec.mlProgram.functions["main"]


def no_block(spec: Any, _operations: Any) -> None:
    spec.mlProgram.functions["main"].block_specializations.clear()


@pytest.mark.parametrize(
    ("name", "edit", "error", "message"),
    [
        ("shapes", tile_much, NotExecutable, r"tile 'tile_0'.* would take [\d.]+ GB"),
        ("shapes", declare_much, NotExecutable, r"fill 'fill_0': a value of the shape .* would take 4000000.0 GB"),
        ("shapes", declare_more_than_counts, NotExecutable, r"tile 'tile_0'"),
        ("shapes", read_itself, NotExecutable, r"tile 'tile_0': it reads 'tile_0', which the runtime has no value of"),
        ("shapes", read_each_other, NotExecutable, r"tile 'tile_0': it reads 'pad_0', which the runtime has no value of"),
        ("shapes", read_nothing, NotExecutable, r"pad 'pad_0': it reads 'nothing'"),
        ("shapes", make_nothing, NotExecutable, r"pad 'pad_0': it reads 'tile_0'"),
        ("shapes", count_in_words, ModelFileInvalid, r"a int32 constant of shape \[3\] cannot be read"),
        ("shapes", other_rank, NotExecutable, r"reshape 'reshape_0'"),
        ("loops", drop_block, NotExecutable, r"while_loop '.*': its parameters cannot be what they are"),
        ("shapes", unknown_output, ModelFileInvalid, r"nothing in the program makes the output 'unheard'"),
        ("shapes", undescribed_input, NotExecutable, r"input 'x': the model does not describe it"),
        ("remembering", remember_much, NotExecutable, r"input 'held': a value of the shape \[100000, 1000000\] would take"),
        ("shapes", default_much, NotExecutable, r"input 'x': a value of the shape \[100000, 1000000\] would take"),
        ("shapes", other_kind, ModelFileInvalid, r"no classifier makes the output 'out0', a string"),
        ("shapes", many_batches, NotExecutable, r"gather_nd 'gather_nd_0': tuples of 2 indices behind 100 batch dimensions"),
        ("shapes", no_function, NotExecutable, r"has no function 'main'"),
        ("shapes", no_block, ModelFileInvalid, r"has no block for its operator set"),
    ],
)
def test_the_error_says_what_is_wrong(packages: Path, tmp_path: Path, name: str, edit: Any, error: type[MlpipeError], message: str) -> None:
    with pytest.raises(error, match=message):
        load_model(edited(packages, name, tmp_path, edit))


def endless(_spec: Any, operations: Any) -> None:
    """Count down by nothing, so that the second loop never ends."""
    loop = [each for each in operations if each.type == "while_loop"][1]
    step = next(each for each in loop.blocks[1].operations if each.type == "const" and each.attributes["val"].immediateValue.tensor.ints.values == [1])
    step.attributes["val"].immediateValue.tensor.ints.values[:] = [0]


def test_a_loop_that_never_ends_is_ended(packages: Path, tmp_path: Path) -> None:
    model = load_model(edited(packages, "loops", tmp_path, endless))
    with pytest.raises(InvalidInput, match=f"a loop goes on for more than {LARGEST_ROUNDS:,} rounds"):
        model.predict(pickle.loads((packages / "loops.pickle").read_bytes()))


def loops_in_loops(spec: Any) -> None:
    layers = spec.neuralNetwork.layers
    for _ in range(4):
        loop = type(layers[0])(name="again")
        loop.loop.maxLoopIterations = 999
        loop.loop.bodyNetwork.layers.extend(layers)
        del layers[:]
        layers.append(loop)


def declare_a_large_input(spec: Any) -> None:
    spec.description.input[0].type.multiArrayType.shape[2] = 10**9


def declare_less_than_nothing(spec: Any) -> None:
    spec.description.input[0].type.multiArrayType.shape[0] = -1


def keep_many_boxes(spec: Any) -> None:
    next(layer for layer in spec.neuralNetwork.layers if layer.HasField("NonMaximumSuppression")).NonMaximumSuppression.maxBoxes = 10**9


def enlarge_much(spec: Any) -> None:
    next(layer for layer in spec.neuralNetworkRegressor.layers if layer.HasField("upsample")).upsample.scalingFactor[0] = 10**9


def cut_out_much(spec: Any) -> None:
    next(layer for layer in spec.neuralNetwork.layers if layer.HasField("cropResize")).cropResize.targetSize[0] = 2**64 - 2


def split_much(spec: Any) -> None:
    next(layer for layer in spec.neuralNetwork.layers if layer.HasField("splitND")).splitND.numSplits = 2**31 - 1


def two_of_one_name(spec: Any) -> None:
    spec.neuralNetwork.layers.insert(2, spec.neuralNetwork.layers[1])


def add_to_many_dimensions(spec: Any) -> None:
    spec.treeEnsembleRegressor.treeEnsemble.numPredictionDimensions = 10**12
    del spec.treeEnsembleRegressor.treeEnsemble.basePredictionValue[:]


def ask_for_a_far_feature(spec: Any) -> None:
    spec.treeEnsembleRegressor.treeEnsemble.nodes[0].branchFeatureIndex = 2**63


def a_tree_in_a_circle(spec: Any) -> None:
    spec.treeEnsembleRegressor.treeEnsemble.nodes[1].trueChildNodeId = 0


def one_key_twice(spec: Any) -> None:
    spec.dictVectorizer.stringToIndex.vector.append("a")


def a_wide_column(spec: Any) -> None:
    spec.featureVectorizer.inputList[0].inputDimensions = 2**63


def unheard_boxes(spec: Any) -> None:
    spec.nonMaximumSuppression.confidenceInputFeatureName = "unheard"


@pytest.mark.parametrize(
    ("name", "edit", "message"),
    [
        ("loops", loops_in_loops, "with its loops written out, the network has more than 5,000 layers"),
        ("convolutions", declare_a_large_input, r"input 'x' would take 96\.0 GB"),
        ("legacy", declare_less_than_nothing, "the inputs of the network cannot be lowered"),
        ("detection", keep_many_boxes, r"NonMaximumSuppression .* would take 16\.0 GB"),
        ("flexible", enlarge_much, r"upsample 'upsample_1'.* would take"),
        ("detection", cut_out_much, r"cropResize 'cropResize cut': its parameters cannot be what they are"),
        ("shapes", split_much, "splitND 'splitND left right': .* elements along its axis cannot be split so"),
        ("custom", two_of_one_name, "custom 'custom_1': its output 'custom_1' is there already"),
        ("boosted", add_to_many_dimensions, "what the trees add up would be 1,000,000,000,000 numbers"),
        ("boosted", ask_for_a_far_feature, f"the trees ask for feature {2**63}"),
        ("boosted", a_tree_in_a_circle, "is no tree"),
        ("dictionary", one_key_twice, "the model lists a key twice"),
        ("columns", a_wide_column, "what it makes of 'x' would be"),
        ("boxes", unheard_boxes, "KeyError: 'unheard'"),
    ],
)
def test_the_error_says_what_is_wrong_with_a_model(models: Path, tmp_path: Path, name: str, edit: Any, message: str) -> None:
    spec = model_pb2().Model.FromString((models / f"{name}.mlmodel").read_bytes())
    edit(spec)
    path = tmp_path / "edited.mlmodel"
    path.write_bytes(spec.SerializeToString())
    with pytest.raises(NotExecutable, match=message):
        load_model(path, custom_layers={"Double": lambda x, **_: 2 * x}).predict(pickle.loads((models / f"{name}.pickle").read_bytes()))


def test_what_nothing_asks_for_behind_a_custom_layer_is_not_run(models: Path, tmp_path: Path) -> None:
    spec = model_pb2().Model.FromString((models / "custom.mlmodel").read_bytes())
    spec.neuralNetwork.layers.insert(2, spec.neuralNetwork.layers[2])
    spec.neuralNetwork.layers[2].output[0] = "unread"
    spec.neuralNetwork.layers.insert(3, spec.neuralNetwork.layers[1])
    spec.neuralNetwork.layers[3].output[0] = "again"
    spec.neuralNetwork.layers[4].input[0] = "again"
    path = tmp_path / "edited.mlmodel"
    path.write_bytes(spec.SerializeToString())
    fed = pickle.loads((models / "custom.pickle").read_bytes())
    found = load_model(path, custom_layers={"Double": lambda x, **_: 2 * x}).predict(fed)["softmaxND_2"]
    powers = np.exp(2 * np.exp(fed["x"].astype(np.float64)))
    np.testing.assert_allclose(found, powers / powers.sum(axis=-1, keepdims=True), rtol=1e-4)
