"""What an operation takes for a parameter that a file leaves out is what coremltools' definition says."""

from __future__ import annotations

import inspect
from types import SimpleNamespace

import numpy as np

from mlpipe.runtime.mlprogram import ops
from mlpipe.runtime.mlprogram.op import OPS, VERSIONS

BY_RANK = {"strides", "pad", "dilations", "axes", "bias"}
"""Parameters whose default depends on the rank or size of others; ours is None, and tests of their operations leave them out."""

STANDS_FOR = {"value": 0, "on_value": 1, "off_value": 0, "k": 1, "init_length": 1, "box_indices": [0]}
"""Parameters that are tensors, or decide the type of the result, where they are given; ours is None, which stands for this."""


def stated(definition, types):
    """Return the defaults of an operation's definition, asked of one whose inputs have four dimensions."""
    operation = definition.__new__(definition)
    value = SimpleNamespace(rank=4, dtype=types.fp32, shape=(1, 2, 3, 4), val=None)
    for name in definition.input_spec.input_types:
        setattr(operation, name, None if name == "return_indices" else value)
    return dict(operation.default_inputs().items())


def test_every_default_is_that_of_the_definition(mil) -> None:
    from coremltools.converters.mil.mil.ops.registry import SSAOpRegistry

    ops.load()
    compared = 0
    for name, definitions in SSAOpRegistry.core_ops.items():
        for target, definition in definitions.items():
            operation = OPS.find(name, target.name if target.name in VERSIONS else VERSIONS[-1])
            if operation is None:
                continue
            for parameter, default in stated(definition, mil.types).items():
                ours = operation.parameters[parameter].default
                where = f"{name}.{parameter} of {target.name}"
                assert ours is not inspect.Parameter.empty, where
                if ours is None and parameter in STANDS_FOR:
                    np.testing.assert_array_equal(default, STANDS_FOR[parameter], err_msg=where)
                elif ours is None:
                    assert default is None or parameter in BY_RANK, where
                elif isinstance(default, float | np.floating):
                    assert np.float32(ours) == np.float32(default), where
                else:
                    assert ours == default, where
                compared += 1
    assert compared > 300
