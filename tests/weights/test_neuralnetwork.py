from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlpipe.errors import ModelFileInvalid
from mlpipe.model_files.protobuf import neural_network_pb2
from mlpipe.weights.neuralnetwork import decode, stored_as, stored_bits
from mlpipe.weights.neuralnetwork_layers import _LAYERS, weights_of_network

NN = neural_network_pb2()


def params(**fields):
    made = NN.WeightParams()
    quantization = fields.pop("quantization", {})
    for name, value in fields.items():
        if name == "floatValue":
            made.floatValue.extend(value)
        else:
            setattr(made, name, value)
    if quantization:
        made.quantization.numberOfBits = quantization["bits"]
        made.quantization.linearQuantization.scale.extend(quantization.get("scale", ()))
        made.quantization.linearQuantization.bias.extend(quantization.get("bias", ()))
        if "table" in quantization:
            made.quantization.lookupTableQuantization.floatValue.extend(quantization["table"])
    return made


DECODED = [
    (params(floatValue=[1, 2, 3, 4]), [[1, 2], [3, 4]], "float32", 32),
    (params(float16Value=np.array([1, 0.5, -2, 65504], "<f2").tobytes()), [[1, 0.5], [-2, 65504]], "float16", 16),
    (params(rawValue=bytes([0, 255, 10, 20]), quantization={"bits": 8, "scale": [0.5], "bias": [-1]}), [[-1, 126.5], [4, 9]], "linear", 8),
    (params(rawValue=bytes([0x12, 0x3F]), quantization={"bits": 4, "scale": [1, 2], "bias": [0, 100]}), [[1, 2], [106, 130]], "linear", 4),
    (params(rawValue=bytes([0b10110000]), quantization={"bits": 1, "scale": [3], "bias": [-1]}), [[2, -1], [2, 2]], "linear", 1),
    (params(rawValue=bytes([0b00011011]), quantization={"bits": 2, "table": [9, 8, 7, 6]}), [[9, 8], [7, 6]], "table", 2),
    (params(int8RawValue=np.array([-127, 0, 1, 127], np.int8).tobytes(), quantization={"bits": 8, "scale": [2]}), [[-254, 0], [2, 254]], "int8", 8),
]


@pytest.mark.parametrize(("stored", "expected", "kind", "bits"), DECODED, ids=[f"{row[2]}-{row[3]}" for row in DECODED])
def test_every_form_decodes_as_the_specification_says(stored, expected, kind, bits):
    values = decode(stored, (2, 2))
    assert values.dtype == np.float32
    np.testing.assert_array_equal(values, np.array(expected, np.float32))
    assert stored_as(stored) == kind
    assert stored_bits(stored) == bits


def test_scales_run_along_the_channel_axis():
    stored = params(rawValue=bytes([1] * 6), quantization={"bits": 8, "scale": [1, 10, 100], "bias": [0, 0, 0]})
    np.testing.assert_array_equal(decode(stored, (2, 3), channel_axis=1), [[1, 10, 100], [1, 10, 100]])
    with pytest.raises(ModelFileInvalid, match="3 scales"):
        decode(stored, (2, 3), channel_axis=0)


WRONG = [
    (params(), "no values"),
    (params(floatValue=[1, 2, 3]), "reshape"),
    (params(float16Value=bytes(5)), "buffer size"),
    (params(rawValue=bytes(3), quantization={"bits": 8, "scale": [1]}), "4 bytes"),
    (params(rawValue=bytes(4), quantization={"bits": 9, "scale": [1]}), "9 bits"),
    (params(rawValue=bytes(4), quantization={"bits": 8, "scale": []}), "0 scales"),
    (params(rawValue=bytes(1), quantization={"bits": 2, "table": [1, 2, 3]}), "table has 3 entries"),
]


@pytest.mark.parametrize(("stored", "why"), WRONG, ids=[row[1] for row in WRONG])
def test_what_does_not_fit_is_refused(stored, why):
    with pytest.raises(ModelFileInvalid) as caught:
        decode(stored, (2, 2))
    assert why in caught.value.why


@given(st.integers(1, 8), st.integers(0, 2**32 - 1))
def test_a_table_of_any_width_is_looked_up(bits, seed):
    generator = np.random.default_rng(seed)
    table, indices = generator.normal(size=2**bits).astype(np.float32), generator.integers(0, 2**bits, 15)
    text = "".join(f"{index:0{bits}b}" for index in indices)
    text += "0" * (-len(text) % 8)
    raw = bytes(int(text[start : start + 8], 2) for start in range(0, len(text), 8))
    np.testing.assert_array_equal(decode(params(rawValue=raw, quantization={"bits": bits, "table": table}), (3, 5)), table[indices].reshape(3, 5))


def fields_with_weights(message):
    """The paths of all WeightParams fields of a message, through the messages that only group them."""
    for field in message.fields:
        inner = field.message_type
        if inner is None:
            continue
        if inner.name == "WeightParams":
            yield field.name
        elif inner.name in ("LSTMWeightParams", "ActivationPReLU", "ActivationParametricSoftplus"):
            yield from fields_with_weights(inner)


LAYERS = {
    field.name: sorted(fields_with_weights(field.message_type))
    for field in NN.NeuralNetworkLayer.DESCRIPTOR.oneofs_by_name["layer"].fields
    if list(fields_with_weights(field.message_type))
}


def filled(kind):
    """A layer of that kind with a value in each of its WeightParams, of the size that its shape fields of 2 ask for."""
    layer = NN.NeuralNetworkLayer(name="it")
    holder = getattr(layer, kind)
    holder.SetInParent()
    for field in holder.DESCRIPTOR.fields:
        if field.message_type is None and not field.is_repeated and field.name != "isDeconvolution" and field.cpp_type != field.CPPTYPE_BOOL:
            if field.cpp_type in (field.CPPTYPE_INT32, field.CPPTYPE_INT64, field.CPPTYPE_UINT64):
                setattr(holder, field.name, 1 if field.name == "nGroups" else 2)
        elif field.message_type is None and field.name.lower().startswith(("shape", "kernelsize", "normalizedshape")):
            getattr(holder, field.name).extend([2, 2])
    return layer, holder


def all_weights(message):
    """Every WeightParams in the message, those of both directions and of both parametric activations made."""
    if message.DESCRIPTOR.name == "ActivationParams":
        return [message.PReLU.alpha]
    found = []
    for field in message.DESCRIPTOR.fields:
        inner = field.message_type.name if field.message_type else ""
        value = getattr(message, field.name)
        if inner == "WeightParams":
            found += [value.add()] if field.is_repeated else [value]
        elif inner == "LSTMWeightParams":
            for part in [value.add(), value.add()] if field.is_repeated else [value]:
                found += all_weights(part)
    return found


@pytest.mark.parametrize("kind", sorted(LAYERS))
def test_no_weight_of_any_layer_is_overlooked(kind):
    assert kind in _LAYERS
    layer, holder = filled(kind)
    stored = all_weights(holder)
    for weight in stored:
        weight.floatValue.append(0)
    network = NN.NeuralNetwork(layers=[layer])
    found = list(weights_of_network(network))
    assert len(found) == len(stored)
    assert len({weight.name for weight in found}) == len(found)
    assert all(weight.layer == "it" and weight.shape for weight in found)


def test_the_table_lists_only_layers_with_weights():
    assert set(_LAYERS) == set(LAYERS)


def test_a_deconvolution_has_its_channels_on_the_second_axis():
    layer = NN.NeuralNetworkLayer(name="up")
    convolution = layer.convolution
    convolution.isDeconvolution, convolution.outputChannels, convolution.kernelChannels, convolution.nGroups = True, 6, 4, 2
    convolution.weights.floatValue.extend(range(4 * 3 * 9))  # the kernel size is left at its default, 3 by 3
    (weight,) = weights_of_network(NN.NeuralNetwork(layers=[layer]))
    assert (weight.shape, weight.channel_axis, weight.per_channel) == ((4, 3, 3, 3), 1, False)
    convolution.nGroups = 1
    (weight,) = weights_of_network(NN.NeuralNetwork(layers=[layer]))
    assert (weight.shape, weight.per_channel) == ((4, 6, 3, 3), True)


def test_weights_inside_branches_and_loops_are_found():
    inner = NN.NeuralNetwork(layers=[NN.NeuralNetworkLayer(name="inner")])
    inner.layers[0].bias.bias.floatValue.append(1)
    inner.layers[0].bias.shape.append(1)
    branch, loop = NN.NeuralNetworkLayer(name="branch"), NN.NeuralNetworkLayer(name="loop")
    branch.branch.ifBranch.CopyFrom(inner)
    branch.branch.elseBranch.CopyFrom(inner)
    loop.loop.bodyNetwork.layers.add().CopyFrom(branch)
    assert [weight.name for weight in weights_of_network(NN.NeuralNetwork(layers=[loop]), "0/")] == ["0/inner.bias", "0/inner.bias"]
