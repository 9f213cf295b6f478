from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlpipe.model_files.protobuf import mil_pb2, model_pb2
from mlpipe.model_files.read import read_model
from mlpipe.steps.compute_precision import may_run_in_float16, precisions_of

FLOAT16, FLOAT32 = (mil_pb2().DataType.Value(name) for name in ("FLOAT16", "FLOAT32"))


def program(path: Path, *operations: tuple[str, int], nested: tuple[str, int] | None = None) -> Path:
    """An ML Program of operations with one output each; `nested` stands in a block of the last one."""
    spec: Any = model_pb2().Model()
    spec.specificationVersion = 7
    block = spec.mlProgram.functions["main"].block_specializations["CoreML6"]
    for kind, dtype in operations:
        operation = block.operations.add(type=kind)
        operation.outputs.add(name="y").type.tensorType.dataType = dtype
    if nested is not None:
        inner = block.operations[-1].blocks.add().operations.add(type=nested[0])
        inner.outputs.add(name="z").type.tensorType.dataType = nested[1]
    path.write_bytes(spec.SerializeToString())
    return path


@pytest.mark.parametrize(
    ("operations", "nested", "expected"),
    [
        ([("const", FLOAT32), ("conv", FLOAT32)], None, False),
        ([("const", FLOAT16), ("cast", FLOAT32), ("conv", FLOAT32)], None, False),  # float16 weights alone
        ([("constexpr_lut_to_dense", FLOAT16), ("cast", FLOAT32), ("conv", FLOAT32)], None, False),
        ([("cast", FLOAT16), ("conv", FLOAT16), ("cast", FLOAT32)], None, True),
        ([("cond", FLOAT32)], ("relu", FLOAT16), True),
        ([("cond", FLOAT32)], ("relu", FLOAT32), False),
    ],
)
def test_arithmetic_decides(tmp_path: Path, operations: list[tuple[str, int]], nested: tuple[str, int] | None, expected: bool) -> None:
    path = program(tmp_path / "m.mlmodel", *operations, nested=nested)
    assert may_run_in_float16(read_model(path)) is expected
    assert precisions_of(path, "auto") == (("float32", "float16") if expected else ("float32",))
    assert precisions_of(path, "band") == ("float32", "float16")
    assert precisions_of(path, "float16") == ("float16",)


def test_a_neural_network_states_no_precision(tmp_path: Path, dense_model: Callable[..., None]) -> None:
    dense_model(tmp_path / "m.mlmodel", np.ones((2, 3), np.float32))
    assert precisions_of(tmp_path / "m.mlmodel", "auto") == ("float32", "float16")
