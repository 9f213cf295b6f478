"""A suite of a few tests as coremltools' are, one for each way to end. `test_oracle.py` runs it; by itself it fails off a Mac."""

from __future__ import annotations

import os
import socket

import coremltools as ct
import numpy as np
import pytest
from coremltools.converters.mil.mil import Builder, types
from coremltools.converters.mil.testing_utils import compare_backend


def model(dtype=types.fp32):
    @Builder.program(input_specs=[Builder.TensorSpec(shape=(2,), dtype=dtype)], opset_version=ct.target.iOS16)
    def program(x):
        return Builder.add(x=x, y=np.asarray(1.5, types.nptype_from_builtin(dtype)), name="sum")

    # The suite widens its tolerance for every other compute unit.
    options = {"compute_units": ct.ComputeUnit.CPU_ONLY, "compute_precision": ct.precision.FLOAT32, "minimum_deployment_target": ct.target.iOS16}
    return ct.convert(program, convert_to="mlprogram", **options)


def compare(tested, expected, dtype="fp32"):
    compare_backend(tested, {"x": np.array([1.0, 2.0])}, {"sum": np.array(expected)}, dtype=dtype)


def test_right():
    compare(model(), [2.5, 3.5])


def test_wrong():
    compare(model(), [2.5, 3.501])


def test_float16_near():
    compare(model(types.fp16), [2.5, 3.501])


def test_float16_far():
    compare(model(types.fp16), [2.5, 3.55])


def test_float16_backend_near():
    compare(model(types.fp16), [2.5, 3.501], dtype="fp16")


def test_float16_backend_far():
    compare(model(types.fp16), [2.5, 3.55], dtype="fp16")


def test_no_prediction():
    model()


def test_swallows_unsupported():
    made = model()
    spec = made.get_spec()
    for operation in spec.mlProgram.functions["main"].block_specializations["CoreML6"].operations:
        if operation.type == "add":
            operation.type = "conjure"
    changed = ct.models.MLModel(spec, weights_dir=made.weights_dir)
    with pytest.raises(Exception):  # noqa: B017, PT011 - this is what the test is about
        changed.predict({"x": np.array([1.0, 2.0])})


def test_refused_as_expected():
    with pytest.raises(RuntimeError, match="Unable to compute the prediction"):
        model().predict({"x": np.zeros(3)})


def test_takes_the_process_down():
    os._exit(7)


def test_downloads():
    socket.create_connection(("192.0.2.1", 80), timeout=1)


class TestOldStyle:
    def setup(self):
        self.ready = True

    def test_setup(self):
        assert self.ready


async def test_coroutine():
    raise AssertionError("coroutines run")
