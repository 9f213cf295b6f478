"""Whole networks: refusals, rounding, weights of every kind, constants that are folded, the table of layers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mlpipe.errors import ModelFileInvalid, NotExecutable
from mlpipe.model_files.protobuf import neural_network_pb2
from mlpipe.runtime.neuralnetwork.layers import LAYERS
from mlpipe.runtime.neuralnetwork.registry import layer


def test_everything_that_cannot_be_executed_is_listed_at_once(nn: Any) -> None:
    layers = [
        ("gru", ["x"], ["a"], {}),
        ("sin", ["a"], ["b"], {}),
        ("padding", ["x"], ["c"], {}),
        ("custom", ["b"], ["y"], {"className": "Mine"}),
    ]
    model = nn.model(nn.specification(layers, {"x": (1, 1, 3, 1, 1)}, ["y"]))
    assert [(missing.type, missing.name) for missing in model.unsupported()] == [("gru", "layer 0"), ("padding", "layer 2"), ("custom", "layer 3")]
    with pytest.raises(NotExecutable, match=r"3 layers: gru 'layer 0': .*; padding 'layer 2': .*; custom 'layer 3': "):
        model.predict({"x": np.zeros((1, 1, 3, 1, 1))})


def test_inputs_that_are_not_there_and_surplus_outputs_are_refused(nn: Any) -> None:
    missing = nn.specification([("sin", ["z"], ["y"], {})], {"x": (2,)}, ["y"])
    assert "'z' is not there" in nn.model(missing).unsupported()[0].why
    surplus = nn.specification([("sin", ["x"], ["y", "z"], {})], {"x": (2,)}, ["y"])
    assert "2 outputs" in nn.model(surplus).unsupported()[0].why


def test_shapes_that_do_not_fit_are_refused(nn: Any) -> None:
    assert "do not fit" in nn.refusal("addBroadcastable", {}, (2, 3), (2, 4))


def test_every_layer_of_the_table_is_one_of_the_specification() -> None:
    fields = neural_network_pb2().NeuralNetworkLayer.DESCRIPTOR.oneofs_by_name["layer"].fields
    assert set(LAYERS) <= {field.name for field in fields}
    assert len(fields) == 158


def test_a_second_registration_raises() -> None:
    before = LAYERS["softmax"]
    with pytest.raises(ValueError, match="softmax is registered twice"):
        layer("softmax")(str)
    assert LAYERS["softmax"] is before


def half(values: Any) -> np.ndarray:
    return np.asarray(values, np.float32).astype(np.float16).astype(np.float32)


def test_float16_rounds_weights_inputs_and_every_layer(nn: Any) -> None:
    x, w, b = nn.random(4, 8), nn.random(5, 8), nn.random(5)
    layers = [
        ("innerProduct", ["x"], ["a"], {"inputChannels": 8, "outputChannels": 5, "weights": nn.weights(w), "hasBias": True, "bias": nn.weights(b)}),
        ("tanh", ["a"], ["t"], {}),
        ("multiply", ["t"], ["y"], {"alpha": 1 / 3}),
    ]
    spec = nn.specification(layers, {"x": (4, 8)}, ["a", "t", "y"])
    result = nn.model(spec, "float16").predict({"x": x})
    a = half(half(x) @ half(w).T + half(b))
    np.testing.assert_array_equal(result["a"], a)
    np.testing.assert_array_equal(result["t"], half(np.tanh(result["a"])))
    np.testing.assert_array_equal(result["y"], half(result["t"] * np.float32(1 / 3)))
    assert np.abs(nn.model(spec).predict({"x": x})["y"] - result["y"]).max() > 0


def test_float16_overflows_to_infinity(nn: Any) -> None:
    assert nn.run("multiply", {"alpha": 300}, [300], precision="float16").tolist() == [np.inf]
    assert nn.run("multiply", {"alpha": 300}, [300]).tolist() == [90000]


def test_indices_and_sizes_are_not_rounded(nn: Any) -> None:
    x = np.zeros(4099)
    x[4097] = 1
    assert nn.run("argMax", {"axis": 0}, x, precision="float16").tolist() == [4097]
    assert nn.run("getShape", {}, x, precision="float16").tolist() == [4099]


def test_sizes_made_of_constants_are_not_rounded(nn: Any) -> None:
    layers = [
        ("loadConstantND", [], ["n"], {"shape": [1], "data": nn.weights([4099])}),
        ("loadConstantND", [], ["third"], {"shape": [1], "data": nn.weights([1 / 3])}),
        ("add", ["n"], ["m"], {"alpha": 2}),
        ("reshapeDynamic", ["x", "m"], ["r"], {}),
        ("addBroadcastable", ["r", "third"], ["y"], {}),
    ]
    result = nn.model(nn.specification(layers, {"x": (1, 4101)}, ["y"]), "float16").predict({"x": np.zeros((1, 4101))})
    np.testing.assert_array_equal(result["y"], np.full(4101, half(1 / 3)))


def test_a_mask_of_large_negative_constants_overflows(nn: Any) -> None:
    layers = [("loadConstantND", [], ["mask"], {"shape": [2], "data": nn.weights([0, -1e9])}), ("addBroadcastable", ["x", "mask"], ["y"], {})]
    spec = nn.specification(layers, {"x": (2,)}, ["y"])
    assert nn.model(spec, "float16").predict({"x": np.ones(2)})["y"].tolist() == [1, -np.inf]


def test_inputs_of_whole_numbers_are_not_rounded(nn: Any) -> None:
    table = np.arange(4100, dtype=np.float32) % 7
    params = {"vocabSize": 4100, "embeddingSize": 1, "weights": nn.weights(table)}
    spec = nn.specification([("embeddingND", ["x"], ["y"], params)], {"x": (3, 1)}, ["y"])
    spec.description.input[0].type.multiArrayType.dataType = 131104
    ids = np.asarray([[2049], [4099], [4097]])
    np.testing.assert_array_equal(nn.model(spec, "float16").predict({"x": ids})["y"], ids % 7)


def packed(levels: np.ndarray, bits: int) -> bytes:
    """Pack levels with the most significant bit first, as NeuralNetwork files have them."""
    text = "".join(format(int(level), f"0{bits}b") for level in levels.reshape(-1))
    text = text.ljust(-(-len(text) // 8) * 8, "0")
    return bytes(int(text[start : start + 8], 2) for start in range(0, len(text), 8))


def raw(levels: np.ndarray, bits: int, **quantization: Any) -> dict[str, Any]:
    from base64 import b64encode

    return {"rawValue": b64encode(packed(levels, bits)).decode(), "quantization": {"numberOfBits": bits, **quantization}}


@pytest.mark.parametrize("bits", range(1, 9))
@pytest.mark.parametrize("deconvolution", [False, True])
def test_linear_weights_have_a_scale_for_each_output_channel(nn: Any, bits: int, deconvolution: bool) -> None:
    channels, axis = 3, 1 if deconvolution else 0
    shape = (2, 3, 2, 2) if deconvolution else (3, 2, 2, 2)
    generator = np.random.default_rng(bits)
    levels = generator.integers(0, 2**bits, shape)
    scale, bias = generator.normal(size=channels).astype(np.float32), generator.normal(size=channels).astype(np.float32)
    along = [channels if number == axis else 1 for number in range(4)]
    params = {"isDeconvolution": deconvolution, "outputChannels": 3, "kernelChannels": 2, "kernelSize": [2, 2], "valid": {}}
    quantized = raw(levels, bits, linearQuantization={"scale": scale.tolist(), "bias": bias.tolist()})
    plain = nn.weights(levels * scale.reshape(along) + bias.reshape(along))
    x = nn.random(1, 2, 4, 4)
    nn.close(nn.run("convolution", params | {"weights": quantized}, x), nn.run("convolution", params | {"weights": plain}, x))


@pytest.mark.parametrize("bits", [1, 3, 4, 8])
def test_weights_from_a_table(nn: Any, bits: int) -> None:
    levels = np.random.default_rng(bits).integers(0, 2**bits, (4, 6))
    table = nn.random(2**bits)
    matmul = {"weightMatrixFirstDimension": 6, "weightMatrixSecondDimension": 4}
    matmul["weights"] = raw(levels, bits, lookupTableQuantization={"floatValue": table.tolist()})
    x = nn.random(5, 6)
    nn.close(nn.run("batchedMatmul", matmul, x), x @ table[levels].T)


def test_float16_weights(nn: Any) -> None:
    from base64 import b64encode

    w = nn.random(4, 6).astype(np.float16)
    params = {"inputChannels": 6, "outputChannels": 4, "weights": {"float16Value": b64encode(w.tobytes()).decode()}}
    x = nn.random(5, 6)
    nn.close(nn.run("innerProduct", params, x), x @ w.astype(np.float32).T)


def test_weights_that_do_not_fit_name_their_layer(nn: Any) -> None:
    params = {"inputChannels": 6, "outputChannels": 4, "weights": nn.weights(np.ones(23))}
    with pytest.raises(ModelFileInvalid, match="innerProduct 'layer 0' is damaged"):
        nn.run("innerProduct", params, nn.random(5, 6))


def test_shapes_made_of_shapes_are_numbers(nn: Any) -> None:
    layers = [
        ("getShape", ["x"], ["s"], {}),
        ("loadConstantND", [], ["one"], {"shape": [1], "data": nn.weights([1])}),
        ("sliceStatic", ["s"], ["n"], {"beginIds": [1], "endIds": [3], "strides": [1]}),
        ("reduceProd", ["n"], ["p"], {"axes": [0], "keepDims": True}),
        ("concatND", ["p", "one", "one"], ["t"], {"axis": 0}),
        ("reshapeDynamic", ["x", "t"], ["r"], {}),
        ("squeeze", ["r"], ["y"], {"squeezeAll": True}),
    ]
    x = nn.random(1, 3, 4)
    nn.close(nn.model(nn.specification(layers, {"x": (1, 3, 4)}, ["y"])).predict({"x": x})["y"], x.reshape(12))


def test_a_value_is_read_by_several_layers_and_made_by_one(nn: Any) -> None:
    layers = [("sin", ["x"], ["a"], {}), ("addBroadcastable", ["a", "x"], ["b"], {}), ("multiplyBroadcastable", ["a", "b"], ["c"], {})]
    x = nn.random(3)
    result = nn.model(nn.specification(layers, {"x": (3,)}, ["c", "a"])).predict({"x": x})
    nn.close(result["a"], np.sin(x))
    nn.close(result["c"], np.sin(x) * (np.sin(x) + x))
    twice = nn.specification([("sin", ["x"], ["y"], {}), ("cos", ["x"], ["y"], {})], {"x": (3,)}, ["y"])
    assert "'y' is there already" in nn.model(twice).unsupported()[0].why
