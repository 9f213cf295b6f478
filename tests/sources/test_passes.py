"""A multiplication and addition that become a batch_norm keep their value; coremltools' own pass makes them 5e-6 smaller."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

SCALE = np.linspace(0.5, 2.0, 4).astype(np.float32)
SHIFT = np.linspace(-1.0, 1.0, 4).astype(np.float32)
KERNEL = np.random.default_rng(0).normal(size=(4, 3, 3, 3)).astype(np.float32)


def converted(*, exact: bool, own_batch_norm: bool) -> Any:
    import coremltools as ct
    from coremltools.converters.mil.mil import Builder

    from mlpipe.sources.conversion.passes import exact_pipeline

    @Builder.program(input_specs=[Builder.TensorSpec(shape=(1, 3, 8, 8))])
    def program(x: Any) -> Any:
        x = Builder.conv(x=x, weight=KERNEL, pad_type="same")
        if own_batch_norm:
            return Builder.batch_norm(x=x, mean=np.zeros(4, np.float32), variance=np.ones(4, np.float32), gamma=SCALE, beta=SHIFT, epsilon=np.float32(0.5))
        x = Builder.add(x=x, y=np.ones((1, 4, 1, 1), np.float32))  # a bias, as in TensorFlow's graphs; without it other passes get there first
        x = Builder.mul(x=x, y=SCALE.reshape(1, 4, 1, 1))
        return Builder.add(x=x, y=SHIFT.reshape(1, 4, 1, 1))

    pipeline = exact_pipeline() if exact else ct.PassPipeline()
    pipeline.remove_passes({"common::add_fp16_cast"})
    return ct.convert(program, convert_to="milinternal", pass_pipeline=pipeline)


def error(program: Any, scale: np.ndarray) -> float:
    (conv,) = program.functions["main"].find_ops(op_type="conv")
    assert not program.functions["main"].find_ops(op_type="batch_norm")
    wanted = KERNEL.astype(np.float64) * scale.reshape(4, 1, 1, 1)
    return float(np.abs(conv.weight.val / wanted - 1).max())


@pytest.mark.parametrize(("exact", "low", "high"), [(True, 0, 2e-7), (False, 4e-6, 6e-6)])
def test_scale_and_shift_are_folded_exactly(exact: bool, low: float, high: float) -> None:
    assert low <= error(converted(exact=exact, own_batch_norm=False), SCALE.astype(np.float64)) <= high


def test_a_batch_norm_of_the_source_keeps_its_epsilon() -> None:
    assert error(converted(exact=True, own_batch_norm=True), SCALE / np.sqrt(1.5)) <= 2e-7
