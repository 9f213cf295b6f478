from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest

from mlpipe.errors import QuantizationFailed
from mlpipe.model_files.read import read_model
from mlpipe.model_files.size import size_bytes
from mlpipe.model_files.write import write_canonical
from mlpipe.quantization.mlprogram import quantize_program
from mlpipe.quantization.neuralnetwork import quantize_networks
from mlpipe.quantization.program_writer import ProgramWriter
from mlpipe.quantization.selfcheck import bound_db, check_written
from mlpipe.recipe.schema.quantize import QuantizeStep
from mlpipe.weights.blob_file import read_blob
from mlpipe.weights.inventory import float32_size_bytes, stored_weights
from mlpipe.weights.mil_types import BY_NAME

# The sum of what the format stores: levels, and for each of 16 + 16 + 8 + 24 + 20 + 1 + 5 channels (the table has one) a scale and a bias.
MATRIX_ELEMENTS = 16 * 27 + 16 * 9 + 16 * 8 * 4 + 24 * 2048 + 24 * 20 + 20 * 9 + 5 * 9


def by_name(records):
    return {record.name: record for record in records}


@pytest.mark.parametrize("bits", range(1, 9))
def test_linear_levels_of_a_network_take_the_bits_that_were_asked_for(network, run_steps, bits):
    records, written = run_steps(network, {"method": "linear", "bits": bits})
    compressed = [record for record in records if record.skipped is None]
    assert sum(math.prod(record.shape) for record in compressed) == MATRIX_ELEMENTS
    assert {record.stored_bits for record in compressed} == {bits}
    dense = by_name(records)["dense.weights"]
    assert dense.bytes == 24 * 2048 * bits // 8 + 24 * 2 * 4
    assert size_bytes(written.path) < size_bytes(network.path) * (bits / 32 + 0.05)


def test_every_weight_of_the_file_has_a_record_and_skipped_ones_a_reason(network, run_steps):
    records, written = run_steps(network, {"method": "kmeans", "bits": 8})
    assert [record.name for record in records] == [weight.name for weight in stored_weights(written)]
    found = by_name(records)
    assert "one value a channel" in found["conv.bias"].skipped
    assert "one value a channel" in found["bn.variance"].skipped
    assert "whole numbers" in found["indices.data"].skipped
    assert "would not get smaller" in found["depthwise.weights"].skipped
    assert found["dense.weights"].skipped is None
    assert found["conv.bias"].snr_db == math.inf
    assert found["conv.bias"].stored_bits == 32
    json.dumps([record.as_dict() for record in records], allow_nan=False)


def test_skip_names_layers_or_weights_and_minimum_elements_counts(network, program, run_steps):
    records, _ = run_steps(network, {"method": "linear", "bits": 8, "skip": ["dense", "conv.w*"], "minimum_elements": 200})
    found = by_name(records)
    assert found["dense.weights"].skipped == found["conv.weights"].skipped == "is listed under skip"
    assert found["depthwise.weights"].skipped == "has 144 elements, and minimum_elements is 200"
    assert found["matmul.weights"].skipped is None
    records, _ = run_steps(program, {"method": "linear", "bits": 8, "skip": ["dense_cast*", "conv_weight_*"]})
    skipped = {record.name for record in records if record.skipped == "is listed under skip"}
    assert {name.partition("_")[0] for name in skipped} == {"conv", "dense"}


def test_float16_also_takes_vectors_and_keeps_constants_that_are_indices(network, run_steps):
    records, written = run_steps(network, {"method": "float16"})
    assert {record.name for record in records if record.skipped} == {"indices.data"}
    assert size_bytes(written.path) < 0.55 * size_bytes(network.path)
    assert float32_size_bytes(written) == pytest.approx(size_bytes(network.path), rel=0.002)


def test_float16_of_a_float16_program_is_the_same_file_and_says_so(program, run_steps, tmp_path):
    canonical = write_canonical(program.spec, tmp_path / "canonical.mlpackage", program.weights_folder)
    records, written = run_steps(program, {"method": "float16"})
    assert {record.skipped for record in records} >= {"is float16 already"}
    for file in sorted(path.relative_to(canonical) for path in canonical.rglob("*") if path.is_file()):
        assert (canonical / file).read_bytes() == (written.path / file).read_bytes()


def test_values_beyond_float16_stay_in_float32(network, run_steps):
    network.spec.neuralNetwork.layers[0].convolution.weights.floatValue[3] = 70000
    records, _ = run_steps(network, {"method": "float16"})
    assert by_name(records)["conv.weights"].skipped == "reaches 70000, and float16 ends at 65504"


def test_weights_that_are_not_finite_are_left_alone(network, run_steps):
    network.spec.neuralNetwork.layers[0].convolution.weights.floatValue[3] = math.nan
    records, _ = run_steps(network, {"method": "linear", "bits": 8})
    assert by_name(records)["conv.weights"].skipped == "holds infinities or NaN"


def test_tiny_and_zero_channels_of_a_network_survive(network, run_steps):
    values = np.random.default_rng(0).normal(size=(16, 27)).astype(np.float32) * 1e-9
    values[3] = 0
    values[5] = 0.25
    weights = network.spec.neuralNetwork.layers[0].convolution.weights
    del weights.floatValue[:]
    weights.floatValue.extend(values.reshape(-1))
    for step in ({"method": "linear", "bits": 8}, {"method": "linear", "bits": 8, "symmetric": True}):
        _, written = run_steps(network, step)
        decoded = next(weight for weight in stored_weights(written) if weight.name == "conv.weights").values().reshape(16, 27)
        assert np.all(decoded[3] == 0)
        np.testing.assert_allclose(decoded[5], 0.25, rtol=1e-6)
        assert np.corrcoef(decoded[0], values[0])[0, 1] > 0.999


def test_an_old_file_gets_the_version_that_its_weights_need(network, run_steps):
    network.spec.specificationVersion = 1
    assert run_steps(network, {"method": "float16"})[1].spec.specificationVersion == 2
    assert run_steps(network, {"method": "linear", "bits": 8})[1].spec.specificationVersion == 3


NOT_HELD = [
    ("program_ios16", {"method": "linear", "bits": 4}, "need iOS18", "minimum_deployment_target: iOS18"),
    ("program_ios16", {"method": "kmeans", "bits": 3}, "need iOS18", "minimum_deployment_target: iOS18"),
    ("program_ios16", {"method": "kmeans", "bits": 4, "granularity": "per_grouped_channel", "group_size": 4}, "need iOS18", "iOS18"),
    ("program_ios15", {"method": "linear", "bits": 8}, "need iOS16", "minimum_deployment_target: iOS16"),
    ("program_ios15", {"method": "float16"}, "need iOS16", "minimum_deployment_target: iOS16"),
    ("program_ios18", {"method": "kmeans", "bits": 5}, "cannot hold kmeans weights of 5 bits", "8, 6, 4, 3, 2, 1"),
    ("program_ios18", {"method": "linear", "bits": 2}, "cannot hold linear weights of 2 bits", "8, 4"),
    ("network", {"method": "linear", "bits": 4, "granularity": "per_block", "block_size": 8}, "per_block", "per_channel"),
    ("network", {"method": "linear", "bits": 4, "symmetric": True}, "symmetric", "symmetric: false"),
    ("network", {"method": "linear", "bits": 9}, "9 bits", "8, 7"),
]


@pytest.mark.parametrize(("name", "step", "what", "fix"), NOT_HELD)
def test_what_the_format_cannot_hold_is_refused_with_what_can(models, run_steps, name, step, what, fix):
    path = next(models.glob(f"{name}.ml*"))
    with pytest.raises(QuantizationFailed) as caught:
        run_steps(read_model(path), step)
    assert what in caught.value.what
    assert fix in caught.value.fix


def test_a_step_that_changes_nothing_fails(network, program, run_steps):
    for model in (network, program):
        with pytest.raises(QuantizationFailed, match="changed no weight") as caught:
            run_steps(model, {"method": "linear", "bits": 8, "skip": ["*"]})
        assert "listed under skip" in caught.value.why


def test_blocks_that_do_not_divide_a_weight_leave_it_with_the_reason(program, run_steps):
    records, _ = run_steps(program, {"method": "linear", "bits": 4, "granularity": "per_block", "block_size": 8})
    reasons = {record.name: record.skipped for record in records}
    assert reasons["conv_weight_0_to_fp16"] == "has 3 inputs, which do not divide into blocks of 8"
    with pytest.raises(QuantizationFailed, match="changed no weight"):
        run_steps(program, {"method": "kmeans", "bits": 4, "granularity": "per_grouped_channel", "group_size": 7})


def test_a_chain_compresses_from_float16_and_refuses_levels_of_levels(network, run_steps):
    records, written = run_steps(network, {"method": "float16"}, {"method": "linear", "bits": 8})
    assert by_name(records)["dense.weights"].stored_bits == 8
    assert by_name(records)["dense.bias"].stored_bits == 16
    assert by_name(records)["dense.bias"].snr_db > 60  # against the original, not against the step before
    assert math.isfinite(by_name(records)["dense.bias"].snr_db)
    with pytest.raises(QuantizationFailed, match="compressed already"):
        run_steps(written, {"method": "kmeans", "bits": 4})


def test_a_chain_mixes_bits_where_its_steps_name_different_weights(network, run_steps):
    first, second = {"method": "linear", "bits": 8, "skip": ["dense"]}, {"method": "kmeans", "bits": 4}
    others = [layer.name for layer in network.spec.neuralNetwork.layers if layer.name != "dense"]
    records, _ = run_steps(network, first, {**second, "skip": others})
    bits = {record.name: record.stored_bits for record in records}
    assert bits["dense.weights"] == 4
    assert bits["conv.weights"] == bits["out.weights"] == 8


def test_a_bound_of_the_recipe_fails_the_step_by_name(network, program, run_steps):
    for model, name in ((network, "dense.weights"), (program, "dense_weight_0_to_fp16")):
        with pytest.raises(QuantizationFailed, match="worse than their bound") as caught:
            run_steps(model, {"method": "kmeans", "bits": 4, "minimum_snr_db": 40})
        assert f"{name} " in caught.value.why


def corrupt_network(written):
    weights = next(layer for layer in written.spec.neuralNetwork.layers if layer.name == "out").innerProduct.weights
    raw = bytearray(weights.rawValue)
    raw[7] ^= 0x80
    weights.rawValue = bytes(raw)


def test_one_wrong_bit_in_the_written_network_fails_the_check(network, tmp_path):
    step = QuantizeStep(method="linear", bits=8)
    spec = type(network.spec)()
    spec.CopyFrom(network.spec)
    outcomes = quantize_networks(spec, step, tmp_path, "here")
    written = dataclasses.replace(network, spec=spec)
    records = check_written(written, outcomes)
    assert all(record.snr_db >= record.bound_db for record in records)
    corrupt_network(written)
    with pytest.raises(QuantizationFailed) as caught:
        check_written(written, outcomes)
    assert caught.value.why.startswith("out.weights ")


def test_one_wrong_byte_in_the_written_weight_file_fails_the_check(program, tmp_path):
    spec = type(program.spec)()
    spec.CopyFrom(program.spec)
    file = tmp_path / "weights" / "weight.bin"
    outcomes = quantize_program(spec, program.weights_folder, QuantizeStep(method="linear", bits=8), tmp_path, file, "here")
    written = dataclasses.replace(program, spec=spec, weights_folder=file.parent)
    check_written(written, outcomes)
    levels = next(weight for weight in stored_weights(written) if weight.name.startswith("conv_weight")).values().size
    content = bytearray(file.read_bytes())
    start = content.index(outcomes_levels(written, levels))
    content[start + 11] ^= 0x40
    file.write_bytes(bytes(content))
    with pytest.raises(QuantizationFailed, match="conv_weight"):
        check_written(written, outcomes)


def outcomes_levels(written, count):
    """The first bytes of the levels of the convolution, as they stand in the file."""
    from mlpipe.weights.program import constants_of

    constant = next(item for item in constants_of(written.spec.mlProgram, written.weights_folder) if item.name.startswith("conv_weight"))
    data = constant.op.inputs["data"].arguments[0].value
    with (written.weights_folder / "weight.bin").open("rb") as file:
        file.seek(data.blobFileValue.offset + 64)
        return file.read(count)


def test_the_bound_of_every_scheme_is_close_below_what_it_reaches(network, program, run_steps):
    """A bound that nothing could miss would be no check: within 20 dB of the result, and never above."""
    for model in (network, program):
        for step in ({"method": "linear", "bits": 8}, {"method": "kmeans", "bits": 4}, {"method": "kmeans", "bits": 1}):
            for record in run_steps(model, step)[0]:
                if record.skipped is None and math.isfinite(record.snr_db):
                    assert record.bound_db <= record.snr_db <= record.bound_db + 20, record.name


def test_the_bound_counts_the_weights_alone(network, tmp_path):
    spec = type(network.spec)()
    spec.CopyFrom(network.spec)
    outcomes = quantize_networks(spec, QuantizeStep(method="linear", bits=8), tmp_path, "here")
    outcome = next(outcome for outcome in outcomes if outcome.weight.name == "dense.weights")
    values = outcome.weight.values.astype(np.float64)
    half_steps = (values.max(axis=1) - values.min(axis=1)) / 255 / 2
    expected = 10 * np.log10((values**2).sum() / (half_steps**2).sum() / values.shape[1])
    assert bound_db(outcome) == pytest.approx(expected, abs=0.01)


def test_scales_run_along_the_output_channels_of_each_operation(program, run_steps):
    records, _ = run_steps(program, {"method": "linear", "bits": 8})
    found = {record.name: (record.bytes, math.prod(record.shape)) for record in records if record.skipped is None}
    channels = {name: (size - elements) // 2 for name, (size, elements) in found.items()}  # one float16 scale each
    assert channels["matmul_y_0_to_fp16"] == 64  # (128, 64), multiplied from the right
    assert channels["matmul_transposed_y_0_to_fp16"] == 32  # (32, 64), transposed
    assert channels["deconv_weight_0_to_fp16"] == 8  # (16, 8, 2, 2), input channels first
    assert channels["dense_weight_0_to_fp16"] == 48


def test_weights_that_are_trained_on_the_device_stay(network, run_steps):
    network.spec.neuralNetwork.layers[0].convolution.weights.isUpdatable = True
    for step in ({"method": "linear", "bits": 8}, {"method": "float16"}):
        records, written = run_steps(network, step)
        assert "trained on the device" in by_name(records)["conv.weights"].skipped
        assert written.spec.neuralNetwork.layers[0].convolution.weights.isUpdatable


def test_constants_are_written_once_but_never_under_another_type(tmp_path):
    writer = ProgramWriter(tmp_path / "weight.bin")
    values = [(np.zeros(16), "fp32"), (np.zeros(32), "fp16"), (np.zeros(64), "uint8"), (np.zeros(64), "int8"), (np.zeros(64), "uint4")]
    offsets = [writer.value(array, name).blobFileValue.offset for array, name in values]
    assert len(set(offsets)) == len(values)
    assert [writer.value(array, name).blobFileValue.offset for array, name in values] == offsets
    del writer
    for (array, name), offset in zip(values, offsets, strict=True):
        np.testing.assert_array_equal(read_blob(tmp_path / "weight.bin", offset, BY_NAME[name], array.size), array)
