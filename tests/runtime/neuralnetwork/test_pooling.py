"""Pooling against loops over every window."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

KINDS = {"MAX": 0, "AVERAGE": 1, "L2": 2}


def pool(x: np.ndarray, kind: str, kernel: Any, stride: Any, pads: Any, exclude: bool = False) -> np.ndarray:
    """Pool the last two dimensions; NaN marks what is padded."""
    padded = np.pad(x.astype(np.float64), ((0, 0), (0, 0), *pads), constant_values=np.nan)
    height, width = ((padded.shape[2 + i] - kernel[i]) // stride[i] + 1 for i in (0, 1))
    y = np.zeros((*x.shape[:2], height, width))
    for n, c, i, j in product(*map(range, y.shape)):
        window = padded[n, c, i * stride[0] : i * stride[0] + kernel[0], j * stride[1] : j * stride[1] + kernel[1]]
        inside = window[~np.isnan(window)]
        if kind == "MAX":
            y[n, c, i, j] = inside.max()
        elif kind == "AVERAGE":
            y[n, c, i, j] = inside.sum() / (inside.size if exclude else window.size)
        else:
            y[n, c, i, j] = np.sqrt((inside**2).sum())
    return y


def same_pads(sizes: Any, kernel: Any, stride: Any, top_heavy: bool) -> list[tuple[int, int]]:
    totals = [max(0, (-(-size // s) - 1) * s + k - size) for size, k, s in zip(sizes, kernel, stride, strict=True)]
    return [(total - total // 2, total // 2) if top_heavy else (total // 2, total - total // 2) for total in totals]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("exclude", [False, True])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding"),
    [
        ((2, 2), (2, 2), ((0, 0), (0, 0))),
        ((3, 2), (2, 1), ((1, 2), (0, 1))),
        ((3, 3), (2, 2), "BOTTOM_RIGHT_HEAVY"),
        ((2, 4), (1, 3), "TOP_LEFT_HEAVY"),
        ((2, 2), (1, 1), "BOTTOM_RIGHT_HEAVY"),
    ],
)
def test_pooling(nn: Any, kind: str, kernel: Any, stride: Any, padding: Any, exclude: bool) -> None:
    x = nn.random(2, 3, 6, 7)
    params: dict[str, Any] = {"type": kind, "kernelSize": kernel, "stride": stride, "avgPoolExcludePadding": exclude}
    if isinstance(padding, str):
        params["same"] = {"asymmetryMode": padding}
        pads: Any = same_pads((6, 7), kernel, stride, padding == "TOP_LEFT_HEAVY")
    else:
        params["valid"] = {"paddingAmounts": {"borderAmounts": [{"startEdgeSize": a, "endEdgeSize": b} for a, b in padding]}}
        pads = padding
    nn.close(nn.run("pooling", params, x), pool(x, kind, kernel, stride, pads, exclude))


def last_pixel_size(size: int, kernel: int, stride: int, pad: int, any_pad: bool) -> int:
    """The specification's formula for `includeLastPixel`."""
    out = int(np.ceil((size + 2 * pad - kernel) / stride)) + 1
    return out - 1 if any_pad and (out - 1) * stride >= size + pad else out


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("size", "kernel", "stride", "pad"), [(7, 3, 2, 0), (6, 3, 2, 0), (6, 3, 2, 1), (7, 2, 2, 1), (8, 3, 3, 1), (5, 2, 3, 0), (7, 3, 5, 1)]
)
def test_include_last_pixel(nn: Any, kind: str, size: int, kernel: int, stride: int, pad: int) -> None:
    x = nn.random(1, 2, size, size)
    params = {"type": kind, "kernelSize": [kernel] * 2, "stride": [stride] * 2, "avgPoolExcludePadding": True}
    params["includeLastPixel"] = {"paddingAmounts": [pad, pad]}
    out = last_pixel_size(size, kernel, stride, pad, pad > 0)
    end = max((out - 1) * stride + kernel - size - pad, 0)
    expected = pool(x, kind, (kernel,) * 2, (stride,) * 2, ((pad, end),) * 2, exclude=True)
    assert expected.shape[2] == out
    nn.close(nn.run("pooling", params, x), expected)


@pytest.mark.parametrize("kind", KINDS)
def test_global_pooling(nn: Any, kind: str) -> None:
    x = nn.random(2, 3, 2, 4, 5)
    merged = x.reshape(6, 2, 4, 5)
    expected = pool(merged, kind, (4, 5), (1, 1), ((0, 0), (0, 0))).reshape(2, 3, 2, 1, 1)
    nn.close(nn.run("pooling", {"type": kind, "globalPooling": True, "valid": {}}, x), expected)


def test_default_window_is_three(nn: Any) -> None:
    x = nn.random(1, 1, 5, 5)
    nn.close(nn.run("pooling", {"valid": {}}, x), pool(x, "MAX", (3, 3), (1, 1), ((0, 0), (0, 0))))


def test_refused(nn: Any) -> None:
    beyond = {"type": "AVERAGE", "kernelSize": [3, 3], "stride": [2, 2], "includeLastPixel": {}}
    assert "divided by" in nn.refusal("pooling", beyond, (1, 1, 6, 6))
    assert "does not state" in nn.refusal("pooling", {}, (1, 1, 5, 5))
    empty_window = {"kernelSize": [1, 1], "stride": [3, 3], "includeLastPixel": {}}
    assert "hold nothing" in nn.refusal("pooling", empty_window, (1, 1, 5, 5))
