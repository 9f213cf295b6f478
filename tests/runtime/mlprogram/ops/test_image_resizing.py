"""Images in other sizes against the documented sampling grids, one element at a time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlpipe.errors import NotExecutable

X = np.random.default_rng(10).standard_normal((2, 3, 4, 5)).astype(np.float32)
WHOLE = np.arange(24, dtype=np.int32).reshape(2, 3, 4)
LINEAR = {"rtol": 1e-5, "atol": 1e-6}

GRIDS = {
    # Source: the notes on sampling_mode in coremltools' definition of resize_bilinear.
    "STRICT_ALIGN_CORNERS": lambda i, size, target: i * (size - 1) / (target - 1) if target > 1 else 0,
    "ALIGN_CORNERS": lambda i, size, target: (size - 1) / 2 if target == 1 else i * (size - 1) / (target - 1),
    "DEFAULT": lambda i, size, target: i * (size - size / target) / (target - 1) if target > 1 else 0,
    "OFFSET_CORNERS": lambda i, size, target: 0.5 * max(1, size - 1) / target + i * max(1, size - 1) / target,
    "UNALIGN_CORNERS": lambda i, size, target: (i + 0.5) * size / target - 0.5,
}


def linear(x, axis, target, mode):
    """Return x with one dimension in another size, element by element."""
    size = x.shape[axis]
    elements = []
    for i in range(target):
        place = min(max(GRIDS[mode](i, size, target), 0), size - 1)
        low = int(np.floor(place))
        high = min(low + 1, size - 1)
        elements.append(x.take(low, axis) * (1 - (place - low)) + x.take(high, axis) * (place - low))
    return np.stack(elements, axis)


def resized(x, targets, mode):
    result = x.astype(np.float64)
    for axis, target in enumerate(targets, start=x.ndim - len(targets)):
        result = linear(result, axis, target, mode)
    return result


def nearest(x, targets, offset):
    """Return the element that lies at or before (i + offset) * size / target; a tiny step keeps whole numbers whole."""
    for axis, target in enumerate(targets, start=x.ndim - len(targets)):
        x = x.take([int(np.floor((i + offset) * x.shape[axis] / target + 1e-9)) for i in range(target)], axis)
    return x


def varying(mil, x, bounds):
    """Return the options with which the last dimensions of input x vary."""
    fixed = x.shape[: x.ndim - len(bounds)]
    sizes = [mil.ct.RangeDim(*bound, default=size) for bound, size in zip(bounds, x.shape[len(fixed) :], strict=True)]
    shape = mil.ct.Shape((*fixed, *sizes))
    return {"shapes": {"x": (*fixed, *(mil.symbol() for _ in bounds))}, "inputs": [mil.ct.TensorType("x", shape=shape)]}


@pytest.mark.parametrize("mode", GRIDS)
@pytest.mark.parametrize("size", [(9, 11), (3, 2), (4, 7), (1, 1)], ids=["larger", "smaller", "one kept", "one pixel"])
def test_resize_bilinear(run, mode, size) -> None:
    height, width = size
    (result,) = run(lambda mb, x: mb.resize_bilinear(x=x, target_size_height=height, target_size_width=width, sampling_mode=mode), {"x": X})
    np.testing.assert_allclose(result, resized(X, size, mode), **LINEAR)


@pytest.mark.parametrize("x", [X[0], X[0, :, :1], X[:, :, None]], ids=["rank 3", "one row", "rank 5"])
def test_resize_bilinear_of_other_shapes(run, x) -> None:
    (result,) = run(lambda mb, x: mb.resize_bilinear(x=x, target_size_height=3, target_size_width=7), {"x": x})
    np.testing.assert_allclose(result, resized(x, (3, 7), "DEFAULT"), **LINEAR)


def test_resize_bilinear_to_one_pixel_is_the_default(run) -> None:
    (result,) = run(lambda mb, x: mb.resize_bilinear(x=x), {"x": X})
    np.testing.assert_array_equal(result, X[:, :, :1, :1])


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
@given(mode=st.sampled_from(sorted(GRIDS)), size=st.tuples(*[st.integers(1, 9)] * 2), target=st.tuples(*[st.integers(1, 20)] * 2))
def test_resize_bilinear_between_any_sizes(run, mode, size, target) -> None:
    x = np.random.default_rng(3).standard_normal((1, 2, *size)).astype(np.float32)
    (result,) = run(lambda mb, x: mb.resize_bilinear(x=x, target_size_height=target[0], target_size_width=target[1], sampling_mode=mode), {"x": x})
    np.testing.assert_allclose(result, resized(x, target, mode), **LINEAR)


FLAGS = [
    ({}, "STRICT_ALIGN_CORNERS"),
    ({"align_corners": True, "half_pixel_centers": False}, "STRICT_ALIGN_CORNERS"),
    ({"align_corners": False}, "UNALIGN_CORNERS"),
    ({"align_corners": False, "half_pixel_centers": False}, "DEFAULT"),
    ({"align_corners": False, "half_pixel_centers": True}, "UNALIGN_CORNERS"),
]
SCALES = [((2, 3), (8, 15)), ((2, 4), (8, 20)), ((2.5, 2.6), (10, 13)), ((0.5, 0.7), (2, 3)), ((1.0, 1.0), (4, 5))]
"""Factors and the size that they give. 2.6 * 5 is below 13 in real numbers, and 13 in float32, which decides."""


@pytest.mark.parametrize(("flags", "mode"), FLAGS, ids=str)
@pytest.mark.parametrize(("scales", "size"), SCALES, ids=str)
@pytest.mark.parametrize("sizes_vary", [False, True], ids=["fixed", "varying"])
def test_upsample_bilinear(mil, run, flags, mode, scales, size, sizes_vary) -> None:
    options = varying(mil, X, [(2, 10), (2, 10)]) if sizes_vary else {}
    height, width = (np.float32(scale) if isinstance(scale, float) else np.int32(scale) for scale in scales)
    (result,) = run(lambda mb, x: mb.upsample_bilinear(x=x, scale_factor_height=height, scale_factor_width=width, **flags), {"x": X}, **options)
    np.testing.assert_allclose(result, resized(X, size, mode), **LINEAR)


def test_upsample_bilinear_until_ios15(run) -> None:
    (result,) = run(lambda mb, x: mb.upsample_bilinear(x=x, scale_factor_height=2.0, scale_factor_width=1.5, align_corners=False), {"x": X}, opset="iOS15")
    np.testing.assert_allclose(result, resized(X, (8, 7), "UNALIGN_CORNERS"), **LINEAR)


def test_corners_that_are_aligned_have_no_half_pixels(run) -> None:
    with pytest.raises(NotExecutable, match="exclude each other"):
        run(lambda mb, x: mb.upsample_bilinear(x=x, align_corners=True, half_pixel_centers=True), {"x": X})


@pytest.mark.parametrize(("scales", "size"), SCALES, ids=str)
@pytest.mark.parametrize("sizes_vary", [False, True], ids=["fixed", "varying"])
def test_upsample_nearest_neighbor(mil, run, scales, size, sizes_vary) -> None:
    options = varying(mil, X, [(2, 10), (2, 10)]) if sizes_vary else {}
    height, width = map(np.float32, scales)
    (result,) = run(lambda mb, x: mb.upsample_nearest_neighbor(x=x, scale_factor_height=height, scale_factor_width=width), {"x": X}, **options)
    np.testing.assert_array_equal(result, nearest(X, size, 0))


@pytest.mark.parametrize("size", [(8, 10), (9, 11), (3, 2), (4, 7), (1, 1)], ids=["twice", "larger", "smaller", "one kept", "one pixel"])
def test_resize_nearest_neighbor(run, size) -> None:
    (result,) = run(lambda mb, x: mb.resize_nearest_neighbor(x=x, target_size_height=size[0], target_size_width=size[1]), {"x": X})
    np.testing.assert_array_equal(result, nearest(X, size, 0.5))


def test_nearest_neighbours_as_coremltools_tests_them(run) -> None:
    x = np.asarray([1.5, -2.5, 3.5], np.float32).reshape(1, 1, 1, 3)
    factors = {"scale_factor_height": 3.17, "scale_factor_width": 0.67}, {"scale_factor_height": 2.0, "scale_factor_width": 1.12}
    results = run(lambda mb, x: tuple(mb.upsample_nearest_neighbor(x=x, **pair) for pair in factors), {"x": x})
    np.testing.assert_array_equal(results[0], [[[[1.5, -2.5]] * 3]])
    np.testing.assert_array_equal(results[1], [[[[1.5, -2.5, 3.5]] * 2]])
    (result,) = run(lambda mb, x: mb.resize(x=x, shape=[3, 2], resized_dims=np.uint32(2), interpolation_mode="NEAREST_NEIGHBOR"), {"x": X[:1, :1, :2, :1]})
    np.testing.assert_array_equal(result, X[:1, :1, [0, 1, 1], :1].repeat(2, axis=3))


def resize(**options):
    def body(mb, x, shape=None):
        asked = options["shape"] if shape is None else shape
        return mb.resize(x=x, **{**options, "shape": asked, "resized_dims": np.uint32(options["resized_dims"])})

    return body


SHAPES = {
    "two": ([9, 7, 11], 2, (7, 11)),
    "kept": ([7, 0], 2, (7, 5)),
    "all kept": ([0, 0], 2, (4, 5)),
    "one": ([3], 1, (3,)),
    "three": ([9, 0, 2, 8], 3, (3, 2, 8)),
    "all": ([3, 2, 5, 6], 4, (3, 2, 5, 6)),
    "whole factors": ([8, 15], 2, (8, 15)),
    "none": ([9, 9], 0, ()),
}


@pytest.mark.parametrize("case", SHAPES)
@pytest.mark.parametrize("computed", [False, True], ids=["constant", "computed"])
@pytest.mark.parametrize("mode", [*GRIDS, "NEAREST_NEIGHBOR"])
def test_resize(run, case, computed, mode) -> None:
    shape, count, targets = SHAPES[case]
    interpolation = {"interpolation_mode": mode} if mode == "NEAREST_NEIGHBOR" else {"sampling_mode": mode}
    feed = {"x": X, "shape": np.asarray(shape, np.int32)} if computed else {"x": X}
    (result,) = run(resize(shape=np.asarray(shape, np.int32), resized_dims=count, **interpolation), feed)
    if mode == "NEAREST_NEIGHBOR":
        np.testing.assert_array_equal(result, nearest(X, targets, 0.5))
    else:
        np.testing.assert_allclose(result, resized(X, targets, mode), **LINEAR)


@pytest.mark.parametrize("mode", [*GRIDS, "NEAREST_NEIGHBOR"])
def test_resize_of_a_size_that_varies(mil, run, mode) -> None:
    interpolation = {"interpolation_mode": mode} if mode == "NEAREST_NEIGHBOR" else {"sampling_mode": mode}
    (result,) = run(resize(shape=[0, 7], resized_dims=2, **interpolation), {"x": X}, **varying(mil, X, [(2, 10), (2, 10)]))
    expected = nearest(X, (4, 7), 0.5) if mode == "NEAREST_NEIGHBOR" else resized(X, (4, 7), mode)
    np.testing.assert_allclose(result, expected, **LINEAR)


@pytest.mark.parametrize("dtype", [np.int16, np.uint16, np.uint32])
def test_types_of_shapes(run, dtype) -> None:
    (result,) = run(resize(shape=np.asarray([7, 0, 9], dtype), resized_dims=2), {"x": X})
    np.testing.assert_allclose(result, resized(X, (4, 9), "DEFAULT"), **LINEAR)


def test_resize_of_integers(run) -> None:
    (result,) = run(resize(shape=[5, 4], resized_dims=2, interpolation_mode="NEAREST_NEIGHBOR"), {"x": WHOLE})
    np.testing.assert_array_equal(result, nearest(WHOLE, (5, 4), 0.5))
    with pytest.raises(NotExecutable, match="how the result is rounded"):
        run(resize(shape=[5, 4], resized_dims=2), {"x": WHOLE})


@pytest.mark.parametrize("mode", GRIDS)
def test_the_nearest_element_of_a_sampling_mode(run, mode) -> None:
    options = {"shape": [3, 7], "resized_dims": 2, "interpolation_mode": "NEAREST_NEIGHBOR", "sampling_mode": mode}
    if mode in ("DEFAULT", "UNALIGN_CORNERS"):
        np.testing.assert_array_equal(run(resize(**options), {"x": X})[0], nearest(X, (3, 7), 0.5))
    else:
        with pytest.raises(NotExecutable, match="is not documented"):
            run(resize(**options), {"x": X})


def test_float16_is_rounded_once_after_the_interpolation(run) -> None:
    half = X.astype(np.float16)

    def body(mb, x):
        return mb.cast(
            x=mb.resize_bilinear(x=mb.cast(x=x, dtype="fp16"), target_size_height=7, target_size_width=9, sampling_mode="OFFSET_CORNERS"), dtype="fp32"
        )

    exact = resized(half, (7, 9), "OFFSET_CORNERS")
    (rounded,) = run(body, {"x": X}, precision="float16")
    np.testing.assert_array_equal(rounded, rounded.astype(np.float16).astype(np.float32))
    # Weights with small denominators make many ties: half a step of float16, and what float32 adds to it.
    np.testing.assert_allclose(rounded, exact, rtol=2**-11 + 2**-20, atol=2**-20)
