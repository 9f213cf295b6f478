"""A network that coremltools' own builder laid out and its own quantizer compressed: the layouts of weights are its, not ours."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlpipe.runtime.model import load_model


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built")
    subprocess.run([sys.executable, Path(__file__).with_name("build_models.py"), folder], check=True, capture_output=True)
    return folder


def convolution(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """Two groups, stride 2, padding as large as "same" needs, for an input of 5 x 6 and a kernel of 3 x 2."""
    padded = np.pad(x, ((0, 0), (1, 1), (0, 0)))
    y = np.zeros((8, 3, 3))
    for channel, row, column in np.ndindex(y.shape):
        first = channel // 4 * 2
        window = padded[first : first + 2, 2 * row : 2 * row + 3, 2 * column : 2 * column + 2]
        y[channel, row, column] = np.einsum("chw,hwc->", window, kernel[:, :, :, channel])
    return y


def deconvolution(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    y = np.zeros((6, 7, 7))
    for channel, row, column in np.ndindex(x.shape):
        first = channel // 4 * 3
        y[first : first + 3, 2 * row : 2 * row + 2, 2 * column : 2 * column + 3] += x[channel, row, column] * kernel[:, :, channel].transpose(2, 0, 1)
    return y


def expected(x: np.ndarray, weights: Any) -> dict[str, np.ndarray]:
    convolved = convolution(x[0], weights["convolution"])
    inner = x.reshape(20, 6) @ weights["inner"].T
    return {
        "convolution": convolved[None],
        "deconvolution": deconvolution(convolved, weights["deconvolution"])[None],
        "inner": inner,
        "matmul": inner @ weights["matmul"].T,
    }


@pytest.mark.parametrize(("bits", "tolerance"), [(32, 2e-6), (16, 2e-3), (8, 0.02), (4, 0.3)])
def test_outputs(nn: Any, built: Path, bits: int, tolerance: float) -> None:
    x = nn.random(1, 4, 5, 6)
    with np.load(built / "weights.npz") as weights:
        wanted = expected(x.astype(np.float64), weights)
    result = load_model(built / f"{bits}.mlmodel").predict({"x": x})
    for name, values in wanted.items():
        nn.close(result[name], values, tolerance)
