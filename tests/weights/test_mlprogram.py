from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from mlpipe.errors import ModelFileInvalid, NotExecutable
from mlpipe.model_files.protobuf import blob_storage, mil_pb2
from mlpipe.weights.blob_file import BlobWriter, read_blob
from mlpipe.weights.mil_types import BY_CODE, BY_NAME, from_bytes
from mlpipe.weights.mlprogram import decode_constexpr, read_value

MIL = mil_pb2()


def half(*values):
    return np.array(values, np.float16)


def bytes_of(*values):
    return np.array(values, np.uint8)


# Expected values are worked out by hand from the descriptions of the operations in coremltools' reference.
DECODED = [
    (
        "constexpr_affine_dequantize",
        {"quantized_data": np.array([[-2, 3], [4, 5]], np.int8), "zero_point": np.int8(1), "scale": np.float32(0.5), "axis": np.int32(0)},
        [np.array([[-1.5, 1], [1.5, 2]], np.float32)],
    ),
    (
        "constexpr_affine_dequantize",
        {"quantized_data": bytes_of(0, 255, 128, 7).reshape(2, 2), "zero_point": bytes_of(128, 7), "scale": half(1, 2), "axis": np.int32(-1)},
        [half(-128, 496, 0, 0).reshape(2, 2)],
    ),
    ("constexpr_cast", {"source_val": half(1, 2.5), "output_dtype": "fp32"}, [np.array([1, 2.5], np.float32)]),
    (  # the example in the operation's own description: 0, 3, 2, 1 and then 3, two bits each, the first in the lowest bits
        "constexpr_lut_to_dense",
        {"indices": bytes_of(0b01101100, 0b11), "lut": half(10, 11, 12, 13), "shape": np.array([5], np.uint32)},
        [half(10, 13, 12, 11, 13)],
    ),
    (  # case 1 of the description: two tables over the first axis
        "constexpr_lut_to_dense",
        {"indices": bytes_of(2, 3, 3, 0, 1, 0, 3, 0, 2, 1, 0, 3).reshape(6, 2), "lut": half(1, 5, 9, 13, 2, 10, 18, 26).reshape(2, 1, 4, 1)},
        [half(9, 13, 13, 1, 5, 1, 26, 2, 18, 10, 2, 26).reshape(6, 2)],
    ),
    (  # case 2.1: vectors of three along the second axis
        "constexpr_lut_to_dense",
        {
            "indices": bytes_of(0, 0, 1, 0, 1, 1, 0, 0).reshape(2, 2, 2),
            "lut": half(1, 2, 3, 11, 12, 13).reshape(1, 1, 1, 2, 3),
            "vector_axis": np.int32(1),
        },
        [half(1, 1, 2, 2, 3, 3, 11, 1, 12, 2, 13, 3, 11, 11, 12, 12, 13, 13, 1, 1, 2, 2, 3, 3).reshape(2, 6, 2)],
    ),
    (
        "constexpr_sparse_to_dense",
        {"nonzero_data": half(7, 8), "mask": bytes_of(0b01100), "shape": np.array([5], np.uint32)},
        [half(0, 0, 7, 8, 0)],
    ),
    ("constexpr_sparse_to_dense", {"nonzero_data": half(7, 8), "mask": bytes_of(1, 0, 0, 1).reshape(2, 2)}, [half(7, 0, 0, 8).reshape(2, 2)]),
    (
        "constexpr_blockwise_shift_scale",
        {"data": np.array([[1, 2, 3, 4]], np.int8), "scale": half(10, 100).reshape(1, 2), "offset": np.array([[1, 2]], np.int8)},
        [half(0, 10, 100, 200).reshape(1, 4)],
    ),
    (  # the example in the description
        "constexpr_sparse_blockwise_shift_scale",
        {
            "data_mask": bytes_of(1, 1, 0, 0, 1, 1, 1, 0, 0, 0, 1, 1, 1, 1, 0, 0).reshape(4, 4),
            "nonzero_data": np.array([10, 11, 3, 4, 5, 6, 7, 8, 9], np.int8),
            "scale": np.array([[1, 2, 3, 4]], np.float32),
            "offset": np.array([[1, 2, 3, 4]], np.int8),
        },
        [bytes_of(1, 1, 0, 0, 1, 1, 1, 0, 0, 0, 1, 1, 1, 1, 0, 0).reshape(4, 4), np.array([9, 18, 2, 4, 6, 9, 12, 7, 14], np.float32)],
    ),
    (  # scalar case of the description
        "constexpr_lut_to_sparse",
        {
            "indices_mask": bytes_of(1, 1, 0, 0, 0, 1).reshape(2, 3),
            "indices_nonzero_data": bytes_of(0, 1, 1),
            "lut": half(2, 3).reshape(1, 1, 2, 1),
        },
        [bytes_of(1, 1, 0, 0, 0, 1).reshape(2, 3), half(2, 3, 3)],
    ),
    (
        "constexpr_lut_to_sparse",
        {
            "indices_mask": bytes_of(1, 0).reshape(1, 2),
            "indices_nonzero_data": bytes_of(1),
            "lut": half(2, 4, 3, 5).reshape(1, 1, 2, 2),
            "vector_axis": np.int32(0),
        },
        [bytes_of(1, 0, 1, 0).reshape(2, 2), half(3, 5)],
    ),
]


@pytest.mark.parametrize(("op", "inputs", "expected"), DECODED, ids=[f"{index}-{row[0]}" for index, row in enumerate(DECODED)])
def test_constexpr_operations_give_what_their_descriptions_say(op, inputs, expected):
    outputs = decode_constexpr(op, inputs)
    assert len(outputs) == len(expected)
    for output, wanted in zip(outputs, expected, strict=True):
        assert output.dtype == wanted.dtype
        np.testing.assert_array_equal(output, wanted)


WRONG = [
    ("constexpr_lut_to_dense", {"indices": bytes_of(0), "lut": half(1, 2, 3), "shape": np.array([2], np.uint32)}, "3 entries"),
    ("constexpr_lut_to_dense", {"indices": bytes_of(0, 1, 0), "lut": half(1, 2, 3, 4).reshape(2, 2, 1)}, "do not divide"),
    ("constexpr_lut_to_dense", {"indices": bytes_of(0, 2), "lut": half(1, 2).reshape(1, 2, 1)}, "out of bounds"),
    ("constexpr_lut_to_dense", {"indices": bytes_of(0), "lut": half(1, 2).reshape(1, 1, 2)}, "1 entries"),
    ("constexpr_sparse_to_dense", {"nonzero_data": half(7), "mask": bytes_of(1, 1)}, "2 ones for 1 values"),
    ("constexpr_blockwise_shift_scale", {"data": bytes_of(1, 2, 3), "scale": half(1, 2)}, "do not divide"),
    ("constexpr_cast", {"source_val": half(1), "output_dtype": "int8"}, "only fp32"),
    ("constexpr_cast", {"source_val": half(1)}, "output_dtype"),
]


@pytest.mark.parametrize(("op", "inputs", "why"), WRONG, ids=[row[2] for row in WRONG])
def test_inputs_that_do_not_fit_are_refused(op, inputs, why):
    with pytest.raises(ModelFileInvalid) as caught:
        decode_constexpr(op, inputs)
    assert why in caught.value.why


def test_an_unknown_operation_is_refused():
    with pytest.raises(NotExecutable, match="constexpr_of_tomorrow"):
        decode_constexpr("constexpr_of_tomorrow", {})


def test_the_data_types_are_those_of_the_specification():
    enum = MIL.DataType.items()
    names = {"FLOAT8E4M3FN": "fp8e4m3fn", "FLOAT8E5M2": "fp8e5m2", "BFLOAT16": "bf16"} | {f"FLOAT{bits}": f"fp{bits}" for bits in (16, 32, 64)}
    assert {names.get(name, name.lower()): code for name, code in enum if name != "UNUSED_TYPE"} == {item.name: code for code, item in BY_CODE.items()}


@pytest.mark.parametrize(("name", "reference"), [("fp8e4m3fn", "float8_e4m3fn"), ("fp8e5m2", "float8_e5m2"), ("bf16", "bfloat16")])
def test_small_floats_are_read_as_ml_dtypes_reads_them(name, reference):
    raw = np.arange(256 if name.startswith("fp8") else 65536).astype(np.uint8 if name.startswith("fp8") else np.uint16)
    expected = raw.view(getattr(ml_dtypes, reference)).astype(np.float32)
    np.testing.assert_array_equal(from_bytes(raw.tobytes(), BY_NAME[name], raw.size), expected)


STORED = [
    ("fp32", np.array([1.5, -2, 3e30], np.float32)),
    ("fp16", half(1.5, -2, 6e-8)),
    *((f"uint{bits}", np.arange(2**bits).astype(np.uint8)) for bits in (1, 2, 3, 4, 6, 8)),
    ("int4", np.arange(-8, 8).astype(np.int8)),
    ("int8", np.arange(-128, 128).astype(np.int8)),
    ("uint3", np.array([5, 1, 7], np.uint8)),
    ("int16", np.array([-32768, 5], np.int16)),
    ("uint16", np.array([65535, 5], np.uint16)),
    ("int32", np.array([-(2**31), 7], np.int32)),
    ("uint32", np.array([2**32 - 1, 7], np.uint32)),
]


def test_constants_are_read_as_coremltools_wrote_them(tmp_path):
    path = tmp_path / "weight.bin"
    writer = BlobWriter(path)
    offsets = [writer.write(values, name) for name, values in STORED]
    del writer
    reader = blob_storage()._BlobStorageReader(str(path))
    readers = {"fp32": "read_float_data", "fp16": "read_fp16_data"}
    for (name, values), offset in zip(STORED, offsets, strict=True):
        mine = read_blob(path, offset, BY_NAME[name], values.size)
        np.testing.assert_array_equal(mine, values, err_msg=name)
        theirs = getattr(reader, readers.get(name, f"read_{name}_data"))(offset)
        np.testing.assert_array_equal(mine.view(np.uint16) if name == "fp16" else mine, theirs, err_msg=name)


def test_a_damaged_weight_file_is_refused(tmp_path):
    path = tmp_path / "weight.bin"
    writer = BlobWriter(path)
    offset = writer.write(np.arange(100, dtype=np.float32), "fp32")
    del writer
    content = path.read_bytes()
    for damaged, name, count, place, what in (
        (content, "fp16", 100, offset, "does not fit"),
        (content, "fp32", 99, offset, "does not fit"),
        (content, "fp32", 100, offset + 64, "does not fit"),
        (content, "fp32", 100, 10**6, "truncated"),
        (content[:-1], "fp32", 100, offset, "truncated"),
        (content[:80], "fp32", 100, offset, "truncated"),
    ):
        path.write_bytes(damaged)
        with pytest.raises(ModelFileInvalid, match=what):
            read_blob(path, place, BY_NAME[name], count)


def blob_value(name, offset, count):
    value = MIL.Value()
    value.type.tensorType.dataType = BY_NAME["fp32"].code
    value.type.tensorType.dimensions.add().constant.size = count
    value.blobFileValue.fileName, value.blobFileValue.offset = name, offset
    return value


def test_weight_files_lie_in_the_package(tmp_path):
    writer = BlobWriter(tmp_path / "weight.bin")
    offset = writer.write(np.arange(10, dtype=np.float32), "fp32")
    del writer
    np.testing.assert_array_equal(read_value(blob_value("@model_path/weights/weight.bin", offset, 10), tmp_path), np.arange(10))
    for name, folder, what in (
        ("@model_path/weights/other.bin", tmp_path, "lacks its weight file"),
        ("@model_path/weights/../../secret", tmp_path, "outside its package"),
        ("/etc/passwd", tmp_path, "outside its package"),
        ("@model_path/weights/weight.bin", None, "does not bring"),
    ):
        with pytest.raises(ModelFileInvalid, match=what):
            read_value(blob_value(name, offset, 10), folder)


def immediate(name, field, values, shape):
    value = MIL.Value()
    value.type.tensorType.dataType = BY_NAME[name].code
    for size in shape:
        value.type.tensorType.dimensions.add().constant.size = size
    holder = getattr(value.immediateValue.tensor, field)
    if isinstance(values, bytes):
        holder.values = values
    else:
        holder.values.extend(values)
    return value


IMMEDIATE = [
    ("fp32", "floats", [1.5, 2], (2,), np.array([1.5, 2], np.float32)),
    ("fp64", "doubles", [0.1], (), np.array(0.1)),
    ("int32", "ints", [-1, 5], (1, 2), np.array([[-1, 5]], np.int32)),
    ("int64", "longInts", [2**40], (1,), np.array([2**40])),
    ("bool", "bools", [True, False], (2,), np.array([True, False])),
    ("string", "strings", ["valid"], (), np.array("valid", object)),
    ("fp16", "bytes", half(1, -2).tobytes(), (2,), half(1, -2)),
    ("int8", "bytes", b"\xff\x01", (2,), np.array([-1, 1], np.int8)),
    ("int8", "ints", [-128, 127], (2,), np.array([-128, 127], np.int8)),
    ("uint8", "bytes", b"\xff\x00", (2,), bytes_of(255, 0)),
    ("int16", "ints", [-32768, 5], (2,), np.array([-32768, 5], np.int16)),
    ("uint16", "ints", [65535], (), np.array(65535, np.uint16)),
    ("fp32", "floats", [], (0, 3), np.zeros((0, 3), np.float32)),
    ("uint4", "bytes", b"\x21\x03", (3,), bytes_of(1, 2, 3)),
    ("int4", "bytes", b"\xf1", (2,), np.array([1, -1], np.int8)),
    ("uint32", "bytes", np.array([7, 2**31], "<u4").tobytes(), (2,), np.array([7, 2**31], np.uint32)),
]


@pytest.mark.parametrize(("name", "field", "values", "shape", "expected"), IMMEDIATE, ids=[row[0] for row in IMMEDIATE])
def test_immediate_values(name, field, values, shape, expected):
    read = read_value(immediate(name, field, values, shape), None)
    assert read.shape == shape
    assert read.dtype == expected.dtype
    np.testing.assert_array_equal(read, expected)


def test_immediate_values_that_do_not_fit_their_shape_are_refused():
    for value in (
        immediate("fp16", "bytes", b"\x00", (2,)),
        immediate("fp32", "floats", [1, 2, 3], (2,)),
        immediate("uint4", "bytes", b"\x00\x00", (2,)),
        immediate("int8", "ints", [300], (1,)),
        immediate("bool", "ints", [2], (1,)),
        immediate("int32", "ints", [], ()),
        immediate("int32", "strings", ["x"], (1,)),
    ):
        with pytest.raises(ModelFileInvalid, match="cannot be read"):
            read_value(value, None)


def test_a_list_of_labels():
    value = MIL.Value()
    value.type.listType.SetInParent()
    for label in ("cat", "dog"):
        value.immediateValue.list.values.add().CopyFrom(immediate("string", "strings", [label], ()))
    assert read_value(value, None).tolist() == ["cat", "dog"]


def test_tuples_and_dictionaries_of_scalars():
    numbers, words = [immediate("int32", "ints", [number], ()) for number in (3, 4)], [immediate("string", "strings", [word], ()) for word in ("a", "b")]
    paired, mapped = MIL.Value(), MIL.Value()
    paired.type.tupleType.SetInParent()
    paired.immediateValue.tuple.values.extend([words[0], numbers[0]])
    assert read_value(paired, None).tolist() == ["a", 3]
    mapped.type.dictionaryType.SetInParent()
    for key, number in zip(words, numbers, strict=True):
        pair = mapped.immediateValue.dictionary.values.add()
        pair.key.CopyFrom(key)
        pair.value.CopyFrom(number)
    assert read_value(mapped, None).tolist() == [["a", 3], ["b", 4]]
