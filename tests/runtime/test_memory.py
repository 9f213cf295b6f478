"""What weights take: once as float32 where nothing is prepacked, of whatever size the file is and however they are stored."""

from __future__ import annotations

import json
import struct
import subprocess
import sys

import numpy as np
import pytest

RANDOM = np.random.default_rng(3)
LAYERS = 5

CHILD = """
import json, pathlib, re, resource, sys
import numpy as np
from mlpipe.runtime import load_model
model = load_model(sys.argv[1], prepack=sys.argv[2] == "prepack", precision=sys.argv[3])
(feature,) = model.inputs
result = model.predict({feature.name: np.ones(feature.sizes.default, np.float32)})["out0"]
status = pathlib.Path("/proc/self/status")
# Linux counts what the parent held at the fork into ru_maxrss.
peak = int(re.search(r"VmHWM:\\s+(\\d+)", status.read_text())[1]) * 1024 if status.exists() else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps([peak, result.reshape(-1)[[0, -1]].tolist()]))
"""


def peak_bytes(path, prepack="once", precision="float32"):
    """Return the most memory of a process that loads a model and predicts, and the first and last number of the result."""
    done = subprocess.run([sys.executable, "-c", CHILD, str(path), prepack, precision], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def network(size, stored):
    """Return the body of a program of dense layers, whose weights are stored in one way."""

    def body(mb, x):
        for _ in range(LAYERS):
            values = RANDOM.standard_normal((size, size), dtype=np.float32)
            if stored == "int8":
                coefficients, scale = (values * 40).astype(np.int8), np.full(size, 0.025, np.float32)
                weight = mb.constexpr_affine_dequantize(quantized_data=coefficients, zero_point=np.int8(0), scale=scale, axis=0)
            else:
                weight = values.astype(stored)
            x = mb.relu(x=mb.linear(x=x, weight=weight))
        return x

    return body


@pytest.fixture(scope="module")
def nothing(mil, tmp_path_factory):
    """Return the peak of a process with a tiny model."""
    path = mil.save(network(2, "float32"), {"x": np.zeros((1, 2), np.float32)}, tmp_path_factory.mktemp("tiny") / "model.mlpackage", opset="iOS16")
    return peak_bytes(path)[0]


@pytest.mark.parametrize(("stored", "precision"), [("float32", "float32"), ("float16", "float16"), ("int8", "float32")], ids=lambda value: value)
def test_weights_are_held_once(mil, tmp_path, nothing, stored, precision) -> None:
    size = 2048
    dtype = np.float16 if stored == "float16" else np.float32
    path = mil.save(network(size, stored), {"x": np.zeros((1, size), dtype)}, tmp_path / "model.mlpackage", opset="iOS16")
    dense = LAYERS * size * size * 4
    # Beside them: one weight as it is stored and decoded, which is a fifth of all here, and what a session takes.
    assert peak_bytes(path, precision=precision)[0] - nothing < 1.6 * dense


@pytest.mark.full
@pytest.mark.parametrize("stored", ["float32", "float16", "int8"])
def test_the_whole_process_stays_under_2_2_times_the_weights(mil, tmp_path, stored) -> None:
    size = 4500
    dtype = np.float16 if stored == "float16" else np.float32
    path = mil.save(network(size, stored), {"x": np.zeros((1, size), dtype)}, tmp_path / "model.mlpackage", opset="iOS16")
    dense = LAYERS * size * size * 4
    assert dense > 400e6
    once, prepacked = peak_bytes(path)[0] / dense, peak_bytes(path, "prepack")[0] / dense
    print(f"{stored}: {once:.2f} times the dense weights, {prepacked:.2f} with prepacking")
    assert once < 2.2


@pytest.mark.full
def test_a_weight_of_more_than_2_gigabytes(mil, tmp_path) -> None:
    rows, columns, marker = 1000, 600_000, 61

    def edit(spec):
        """Make the weight's last dimension as large as it is to be, everywhere."""
        function = spec.mlProgram.functions["main"]
        operations = function.block_specializations[function.opset].operations
        types = [output.type for operation in operations for output in operation.outputs]
        types += [value.type for operation in operations for value in operation.attributes.values()]
        for dimension in (dimension for each in types for dimension in each.tensorType.dimensions):
            if dimension.constant.size == marker:
                dimension.constant.size = columns
        shape = spec.description.output[0].type.multiArrayType.shape
        shape[:] = [columns if size == marker else size for size in shape]

    def body(mb, x):
        return mb.matmul(x=x, y=np.ones((rows, marker), np.float32))

    path = mil.save(body, {"x": np.zeros((1, rows), np.float32)}, tmp_path / "model.mlpackage", edit=edit)
    size = rows * columns * 4
    assert size > 2**31
    (weights,) = path.rglob("weight.bin")
    with weights.open("r+b") as file:
        # The only record: its size grows, and its data becomes a hole with two numbers in it.
        file.seek(64)
        sentinel, code, _, offset, padding = struct.unpack("<IIQQQ", file.read(32))
        file.seek(64)
        file.write(struct.pack("<IIQQQ", sentinel, code, size, offset, padding))
        file.truncate(offset)
        file.truncate(offset + size)
        for place, number in ((0, 3.5), (size - 4, -7.25)):
            file.seek(offset + place)
            file.write(np.float32(number).tobytes())
    peak, ends = peak_bytes(path)
    print(f"{peak / size:.2f} times a weight of {size / 1e9:.1f} GB")
    assert ends == [3.5, -7.25]
    assert peak < 1.3 * size
