"""Interpolation against loops over the grid points that the specification defines."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

UPSAMPLED = ["DEFAULT", "ALIGN_CORNERS_TRUE", "ALIGN_CORNERS_FALSE"]


def sample(x: np.ndarray, rows: Any, columns: Any) -> np.ndarray:
    """Bilinear samples of the last two dimensions, point by point."""
    y = np.empty((*x.shape[:-2], len(rows), len(columns)))
    for (i, r), (j, c) in product(enumerate(rows), enumerate(columns)):
        top, left = int(np.floor(r)), int(np.floor(c))
        bottom, right = min(top + 1, x.shape[-2] - 1), min(left + 1, x.shape[-1] - 1)
        upper = x[..., top, left] * (1 - (c - left)) + x[..., top, right] * (c - left)
        lower = x[..., bottom, left] * (1 - (c - left)) + x[..., bottom, right] * (c - left)
        y[..., i, j] = upper * (1 - (r - top)) + lower * (r - top)
    return y


def upsample_grid(mode: str, old: int, new: int) -> list[float]:
    if mode == "DEFAULT":
        spacing = (old - old / new) / (new - 1)
        return [min(old - 1, max(0, i * spacing)) for i in range(new)]
    if mode == "ALIGN_CORNERS_TRUE":
        spacing = (old - 1) / (new - 1)
        return [min(old - 1, max(0, i * spacing)) for i in range(new)]
    spacing = old / new
    return [min(old - 1, max(0, i * spacing + 0.5 * spacing - 0.5)) for i in range(new)]


@pytest.mark.parametrize("mode", UPSAMPLED)
@pytest.mark.parametrize("shape", [(2, 3, 4), (2, 2, 3, 4), (1, 2, 1, 2, 5)])
def test_bilinear_upsample(nn: Any, mode: str, shape: tuple[int, ...]) -> None:
    x = nn.random(*shape)
    height, width = shape[-2:]
    params = {"scalingFactor": [2, 3], "mode": "BILINEAR", "linearUpsampleMode": mode}
    expected = sample(x, upsample_grid(mode, height, 2 * height), upsample_grid(mode, width, 3 * width))
    nn.close(nn.run("upsample", params, x), expected)


@pytest.mark.parametrize("mode", ["ALIGN_CORNERS_TRUE", "ALIGN_CORNERS_FALSE"])
def test_fractional_upsample(nn: Any, mode: str) -> None:
    x = nn.random(2, 4, 5)
    params = {"fractionalScalingFactor": [1.5, 0.7], "mode": "BILINEAR", "linearUpsampleMode": mode}
    nn.close(nn.run("upsample", params, x), sample(x, upsample_grid(mode, 4, 6), upsample_grid(mode, 5, 3)))


def test_nearest_upsample(nn: Any) -> None:
    x = nn.random(2, 3, 2, 3)
    nn.close(nn.run("upsample", {"scalingFactor": [2, 3]}, x), x.repeat(2, -2).repeat(3, -1))
    nn.close(nn.run("upsample", {}, x), x)
    assert "whole ones" in nn.refusal("upsample", {"fractionalScalingFactor": [1.5, 2]}, (1, 2, 2))


def resize_grid(mode: str, old: int, new: int) -> Any:
    if mode == "STRICT_ALIGN_ENDPOINTS_MODE" or (mode == "ALIGN_ENDPOINTS_MODE" and new > 1):
        return np.linspace(0, old - 1, new)
    if mode == "ALIGN_ENDPOINTS_MODE":
        return [(old - 1) / 2]
    if mode == "UPSAMPLE_MODE":
        return np.minimum(old - 1, np.linspace(0, old - old / new, new))
    spacing = max(1, old - 1) / new
    return np.minimum(old - 1, np.linspace(0.5 * spacing, 0.5 * spacing + (new - 1) * spacing, new))


@pytest.mark.parametrize("mode", ["STRICT_ALIGN_ENDPOINTS_MODE", "ALIGN_ENDPOINTS_MODE", "UPSAMPLE_MODE", "ROI_ALIGN_MODE"])
@pytest.mark.parametrize("target", [(7, 9), (3, 2), (1, 1)])
@pytest.mark.parametrize("size", [(4, 5), (1, 2)])
def test_resize_bilinear(nn: Any, mode: str, target: tuple[int, int], size: tuple[int, int]) -> None:
    x = nn.random(2, 3, *size)
    expected = sample(x, resize_grid(mode, size[0], target[0]), resize_grid(mode, size[1], target[1]))
    nn.close(nn.run("resizeBilinear", {"targetSize": target, "mode": {"samplingMethod": mode}}, x), expected)


@pytest.mark.parametrize("kind", ["nearest", *UPSAMPLED, "resizeBilinear"])
def test_images_of_sizes_that_vary(nn: Any, kind: str) -> None:
    params: dict[str, Any] = {"scalingFactor": [2, 3]} | ({} if kind == "nearest" else {"mode": "BILINEAR", "linearUpsampleMode": kind})
    layer = ("resizeBilinear", ["x"], ["y"], {"targetSize": [7, 9]}) if kind == "resizeBilinear" else ("upsample", ["x"], ["y"], params)
    spec = nn.specification([layer], {"x": (1, 2, 4, 5)}, ["y"])
    ranges = spec.description.input[0].type.multiArrayType.shapeRange.sizeRanges
    for low, high in ((1, 1), (2, 2), (1, -1), (1, -1)):
        ranges.add(lowerBound=low, upperBound=high)
    model = nn.model(spec)
    for size in ((4, 5), (3, 8)):
        x = nn.random(1, 2, *size)
        if kind == "nearest":
            expected = x.repeat(2, -2).repeat(3, -1)
        elif kind == "resizeBilinear":
            grids = [resize_grid("STRICT_ALIGN_ENDPOINTS_MODE", old, new) for old, new in zip(size, (7, 9), strict=True)]
            expected = sample(x, *grids)
        else:
            expected = sample(x, upsample_grid(kind, size[0], size[0] * 2), upsample_grid(kind, size[1], size[1] * 3))
        nn.close(model.predict({"x": x})["y"], expected)
