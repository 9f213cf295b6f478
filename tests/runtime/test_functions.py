"""Programs with several functions: one is chosen by name, each has an interface of its own, weights are shared."""

from __future__ import annotations

import gc
import warnings

import numpy as np
import pytest

from mlpipe.errors import InvalidInput, ModelFileInvalid
from mlpipe.runtime import load_model, open_model

RANDOM = np.random.default_rng(5)
WEIGHT = RANDOM.standard_normal((40, 30)).astype(np.float32)


@pytest.fixture(scope="module")
def several(mil, tmp_path_factory):
    """Return a package with the functions `encode` and `decode`, which share a weight; `decode` is the default."""
    folder = tmp_path_factory.mktemp("functions")

    def encode(mb, x):
        return mb.linear(x=x, weight=WEIGHT)

    def decode(mb, kept, y):
        return mb.matmul(x=y, y=WEIGHT), mb.coreml_update_state(state=kept, value=mb.reduce_sum(x=mb.cast(x=y, dtype="fp16"), axes=[0]))

    x, y = np.zeros((2, 30), np.float32), np.zeros((3, 40), np.float32)
    mil.save(encode, {"x": x}, folder / "encode.mlpackage", opset="iOS18")
    mil.save(decode, {"y": y}, folder / "decode.mlpackage", opset="iOS18", states={"kept": (40,)})
    functions = mil.ct.utils.MultiFunctionDescriptor()
    for name in ("encode", "decode"):
        functions.add_function(str(folder / f"{name}.mlpackage"), "main", name)
    functions.default_function_name = "decode"
    with warnings.catch_warnings():
        # coremltools leaves a temporary folder to the garbage collector.
        warnings.simplefilter("ignore", ResourceWarning)
        mil.ct.utils.save_multifunction(functions, str(folder / "both.mlpackage"))
        gc.collect()
    return folder / "both.mlpackage"


def test_each_function_has_an_interface_and_results_of_its_own(several) -> None:
    x = RANDOM.standard_normal((2, 30)).astype(np.float32)
    encode = load_model(several, function_name="encode")
    assert ([each.name for each in encode.inputs], [each.name for each in encode.states], encode.function_name) == (["x"], [], "encode")
    np.testing.assert_allclose(encode.predict({"x": x})["out0"], x @ WEIGHT.T, rtol=1e-4, atol=1e-4)
    y = np.round(RANDOM.standard_normal((3, 40)), 1).astype(np.float32)
    for decode in (load_model(several, function_name="decode"), load_model(several)):
        assert ([each.name for each in decode.inputs], [each.name for each in decode.states], decode.function_name) == (["y"], ["kept"], "decode")
        state = decode.make_state()
        np.testing.assert_allclose(decode.predict({"y": y}, state=state)["out0"], y @ WEIGHT, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(state.read_state("kept"), y.sum(axis=0), atol=2e-2)


def test_functions_with_the_same_states_share_one(mil, tmp_path) -> None:
    def step(factor):
        return lambda mb, kept, x: mb.coreml_update_state(state=kept, value=mb.add(x=mb.read_state(input=kept), y=mb.mul(x=x, y=np.float16(factor))))

    x = np.asarray([1, 2], np.float16)
    functions = mil.ct.utils.MultiFunctionDescriptor()
    for name, factor in (("prefill", 1), ("extend", 10)):
        mil.save(step(factor), {"x": x}, tmp_path / f"{name}.mlpackage", opset="iOS18", states={"kept": (2,)})
        functions.add_function(str(tmp_path / f"{name}.mlpackage"), "main", name)
    functions.default_function_name = "prefill"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        mil.ct.utils.save_multifunction(functions, str(tmp_path / "both.mlpackage"))
        gc.collect()
    prefill, extend = (load_model(tmp_path / "both.mlpackage", function_name=name) for name in ("prefill", "extend"))
    state = prefill.make_state()
    prefill.predict({"x": x}, state=state)
    np.testing.assert_array_equal(extend.predict({"x": x}, state=state)["out0"], 11 * x)
    np.testing.assert_array_equal(prefill.predict({"x": x}, state=state)["out0"], 12 * x)


def test_the_file_holds_the_shared_weight_once(several) -> None:
    size = sum(file.stat().st_size for file in several.rglob("weight.bin"))
    assert WEIGHT.nbytes < size < 1.5 * WEIGHT.nbytes


def test_a_function_that_is_not_there_is_refused_with_those_that_are(several, mil, tmp_path) -> None:
    for load in (load_model, open_model):
        with pytest.raises(InvalidInput, match="no function 'main'; its functions are 'encode', 'decode'"):
            load(several, function_name="main")
    path = mil.save(lambda mb, x: mb.relu(x=x), {"x": np.zeros(2, np.float32)}, tmp_path / "model.mlpackage")
    assert load_model(path, function_name="main").function_name == "main"
    with pytest.raises(InvalidInput, match="no function 'encode'; its only function is 'main'"):
        load_model(path, function_name="encode")


def test_a_default_function_that_is_missing_is_a_damaged_file(mil, tmp_path) -> None:
    def edit(spec):
        described = spec.description.functions.add(name="encode")
        described.input.extend(spec.description.input)
        described.output.extend(spec.description.output)
        spec.description.defaultFunctionName = "decode"

    path = mil.save(lambda mb, x: mb.relu(x=x), {"x": np.zeros(2, np.float32)}, tmp_path / "model.mlpackage", edit=edit)
    with pytest.raises(ModelFileInvalid, match="no function 'decode'; its functions are 'encode'"):
        load_model(path)
