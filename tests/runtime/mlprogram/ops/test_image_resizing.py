"""Linear interpolation against the documented sampling grids, one element at a time."""

from __future__ import annotations

import numpy as np
import pytest

from mlpipe.errors import NotExecutable

X = np.random.default_rng(10).standard_normal((2, 3, 4, 5)).astype(np.float32)

GRIDS = {
    # Source: the notes on sampling_mode in coremltools' definition of resize_bilinear.
    "STRICT_ALIGN_CORNERS": lambda i, size, target: i * (size - 1) / (target - 1),
    "ALIGN_CORNERS": lambda i, size, target: (size - 1) / 2 if target == 1 else i * (size - 1) / (target - 1),
    "DEFAULT": lambda i, size, target: i * (size - size / target) / (target - 1) if target > 1 else 0,
    "OFFSET_CORNERS": lambda i, size, target: 0.5 * max(1, size - 1) / target + i * max(1, size - 1) / target,
    "UNALIGN_CORNERS": lambda i, size, target: (i + 0.5) * size / target - 0.5,
}


def sample(x, position_y, position_x):
    def axis(position, size):
        position = min(max(position, 0), size - 1)
        low = int(np.floor(position))
        return low, min(low + 1, size - 1), position - low

    top, bottom, down = axis(position_y, x.shape[-2])
    left, right, along = axis(position_x, x.shape[-1])
    upper = x[..., top, left] * (1 - along) + x[..., top, right] * along
    lower = x[..., bottom, left] * (1 - along) + x[..., bottom, right] * along
    return upper * (1 - down) + lower * down


def resize(x, height, width, mode):
    result = np.zeros((*x.shape[:-2], height, width))
    for row, column in np.ndindex(height, width):
        position = GRIDS[mode](row, x.shape[-2], height), GRIDS[mode](column, x.shape[-1], width)
        result[..., row, column] = sample(x.astype(np.float64), *position)
    return result


@pytest.mark.parametrize("mode", GRIDS)
@pytest.mark.parametrize("size", [(9, 11), (3, 2), (4, 7)], ids=["larger", "smaller", "one kept"])
def test_resize_bilinear(run, mode, size) -> None:
    height, width = size
    (result,) = run(lambda mb, x: mb.resize_bilinear(x=x, target_size_height=height, target_size_width=width, sampling_mode=mode), {"x": X})
    np.testing.assert_allclose(result, resize(X, height, width, mode), rtol=1e-4, atol=1e-5)


def test_resize_to_one_pixel(run) -> None:
    (result,) = run(lambda mb, x: mb.resize_bilinear(x=x, target_size_height=1, target_size_width=1, sampling_mode="ALIGN_CORNERS"), {"x": X})
    np.testing.assert_allclose(result, resize(X, 1, 1, "ALIGN_CORNERS"), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("flags", "mode"),
    [
        ({"align_corners": True}, "STRICT_ALIGN_CORNERS"),
        ({"align_corners": False}, "UNALIGN_CORNERS"),
        ({"align_corners": False, "half_pixel_centers": False}, "DEFAULT"),
        ({"align_corners": False, "half_pixel_centers": True}, "UNALIGN_CORNERS"),
    ],
    ids=str,
)
@pytest.mark.parametrize("scale", [2, 2.5], ids=["whole", "fraction"])
def test_upsample_bilinear(run, flags, mode, scale) -> None:
    (result,) = run(lambda mb, x: mb.upsample_bilinear(x=x, scale_factor_height=scale, scale_factor_width=scale, **flags), {"x": X})
    np.testing.assert_allclose(result, resize(X, int(4 * scale), int(5 * scale), mode), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("flags", "mode"),
    [
        ({"align_corners": True}, "STRICT_ALIGN_CORNERS"),
        ({"align_corners": False}, "UNALIGN_CORNERS"),
        ({"align_corners": False, "half_pixel_centers": False}, "DEFAULT"),
    ],
    ids=str,
)
def test_upsample_bilinear_of_a_size_that_varies(mil, run, flags, mode) -> None:
    sizes = mil.ct.RangeDim(2, 10), mil.ct.RangeDim(2, 10)
    options = {"shapes": {"x": (2, 3, mil.symbol(), mil.symbol())}, "inputs": [mil.ct.TensorType("x", shape=mil.ct.Shape((2, 3, *sizes)))]}
    (result,) = run(lambda mb, x: mb.upsample_bilinear(x=x, scale_factor_height=3, scale_factor_width=2, **flags), {"x": X}, **options)
    np.testing.assert_allclose(result, resize(X, 12, 10, mode), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("mode", GRIDS)
def test_resize_linear(run, mode) -> None:
    options = {"resized_dims": np.uint32(2), "interpolation_mode": "LINEAR", "sampling_mode": mode}
    (result,) = run(lambda mb, x: mb.resize(x=x, shape=np.asarray([9, 7, 0], np.int32), **options), {"x": X})
    np.testing.assert_allclose(result, resize(X, 7, 5, mode), rtol=1e-4, atol=1e-5)


def test_resize_nearest(run) -> None:
    options = {"resized_dims": np.uint32(2), "interpolation_mode": "NEAREST_NEIGHBOR", "sampling_mode": "DEFAULT"}
    (result,) = run(lambda mb, x: mb.resize(x=x, shape=np.asarray([8, 15], np.int32), **options), {"x": X})
    np.testing.assert_array_equal(result, X.repeat(2, axis=2).repeat(3, axis=3))
    with pytest.raises(NotExecutable, match="no whole number"):
        run(lambda mb, x: mb.resize(x=x, shape=np.asarray([6, 15], np.int32), **options), {"x": X})
