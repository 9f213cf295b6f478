"""Feeds that are too small for a pooling are refused; without the check the process would end."""

from __future__ import annotations

import numpy as np
import pytest

from mlpipe.errors import InvalidInput
from mlpipe.runtime.execute import Executable
from mlpipe.runtime.fed_sizes import POOLS
from mlpipe.runtime.lowered import UnsupportedLayerError
from mlpipe.runtime.onnx_graph import Graph


def pooled(op: str, sizes: list[int | None], **pads: list[int]) -> Graph:
    graph = Graph()
    graph.add_input("x", np.float32, [1, 2, *sizes])
    with graph.made_for("max_pool", "the pool"):
        value = graph.add(op, graph.add("Relu", "x"), kernel_shape=[3, 3], strides=[1, 1], **pads)
    graph.outputs["y"] = graph.add("Exp", value)
    return graph


@pytest.mark.parametrize("op", POOLS)
def test_sizes_that_vary_are_checked_when_they_are_fed(op: str) -> None:
    executable = Executable(pooled(op, [None, None]))
    for size in (3, 4, 3):
        assert executable.run({"x": np.ones((1, 2, size, 5), np.float32)})["y"].shape == (1, 2, size - 2, 3)
    for _ in range(2):
        with pytest.raises(InvalidInput, match=r"too small for the model .not one window of the pooling 'the pool' fits"):
            executable.run({"x": np.ones((1, 2, 2, 5), np.float32)})


def test_padding_counts() -> None:
    executable = Executable(pooled("MaxPool", [None, None], pads=[1, 1, 1, 1]))
    assert executable.run({"x": np.ones((1, 2, 1, 1), np.float32)})["y"].shape == (1, 2, 1, 1)


@pytest.mark.parametrize(("height", "message"), [(2, "nothing is left of its input"), (1, "cannot have the shape")])
def test_sizes_that_are_known_are_checked_at_once(height: int, message: str) -> None:
    with pytest.raises(UnsupportedLayerError, match=message):
        pooled("MaxPool", [height, 5])
