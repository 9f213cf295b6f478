"""Pools against plain loops."""

from __future__ import annotations

import numpy as np
import pytest

X = np.random.default_rng(6).standard_normal((2, 3, 7, 6)).astype(np.float32)


def windows(x, kernel, strides, pads, ceil_mode):
    """Yield each place of the output and the slice of the unpadded input under its window, with the size of the window inside the padded one."""
    counts = []
    for size, k, s, (before, after) in zip(x.shape[2:], kernel, strides, pads, strict=True):
        steps = (size + before + after - k) / s
        count = int(np.ceil(steps) if ceil_mode else np.floor(steps)) + 1
        if ceil_mode and (count - 1) * s >= size + before and before + after > 0:
            count -= 1
        counts.append(count)
    for place in np.ndindex(*counts):
        inside, declared = [], 1
        for p, size, k, s, (before, after) in zip(place, x.shape[2:], kernel, strides, pads, strict=True):
            start = p * s - before
            declared *= min(start + k, size + after) - start
            inside.append(slice(max(start, 0), max(min(start + k, size), 0)))
        yield place, (..., *inside), declared, tuple(counts)


def pool(x, op, parameters):
    spatial = x.ndim - 2
    kernel, strides = parameters["kernel_sizes"], parameters.get("strides", [1] * spatial)
    pad = parameters.get("pad", [0] * 2 * spatial)
    pads = list(zip(pad[::2], pad[1::2], strict=True))
    if parameters["pad_type"].startswith("same"):
        totals = [max((-(-size // s) - 1) * s + k - size, 0) for size, k, s in zip(x.shape[2:], kernel, strides, strict=True)]
        pads = [(t // 2, t - t // 2) if parameters["pad_type"] == "same" else (t - t // 2, t // 2) for t in totals]
    result = None
    axes = tuple(range(2, x.ndim))
    for place, window, declared, counts in windows(x, kernel, strides, pads, parameters.get("ceil_mode", False)):
        result = np.zeros((*x.shape[:2], *counts)) if result is None else result
        values = x[window].astype(np.float64)
        if op == "max_pool":
            result[(..., *place)] = values.max(axis=axes, initial=np.finfo(np.float32).min)
        elif op == "l2_pool":
            result[(..., *place)] = np.sqrt((values**2).sum(axis=axes))
        elif parameters.get("exclude_padding_from_average"):
            with np.errstate(invalid="ignore"):
                result[(..., *place)] = values.sum(axis=axes) / np.prod(values.shape[2:])
        else:
            result[(..., *place)] = values.sum(axis=axes) / declared
    return result


SHAPES = {
    "valid": {"kernel_sizes": [2, 3], "strides": [2, 1], "pad_type": "valid"},
    "no strides": {"kernel_sizes": [2, 3], "pad_type": "valid"},
    "same": {"kernel_sizes": [3, 2], "strides": [2, 2], "pad_type": "same"},
    "same_lower": {"kernel_sizes": [3, 2], "strides": [2, 1], "pad_type": "same_lower"},
    "custom": {"kernel_sizes": [3, 3], "strides": [2, 2], "pad_type": "custom", "pad": [1, 0, 2, 1]},
    "ceil": {"kernel_sizes": [2, 3], "strides": [2, 2], "pad_type": "valid", "ceil_mode": True},
    "ceil and pad": {"kernel_sizes": [3, 3], "strides": [2, 2], "pad_type": "custom", "pad": [1, 1, 1, 1], "ceil_mode": True},
    "pad of the size of the window": {"kernel_sizes": [2, 2], "pad_type": "custom", "pad": [2, 0, 0, 1], "strides": [2, 3]},
    "pad larger than the window": {"kernel_sizes": [2, 2], "pad_type": "custom", "pad": [1, 2, 2, 3], "strides": [2, 3]},
    "ceil, last window outside": {"kernel_sizes": [2, 2], "strides": [3, 3], "pad_type": "custom", "pad": [1, 1, 1, 1], "ceil_mode": True},
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(
    ("op", "more"),
    [("max_pool", {}), ("avg_pool", {"exclude_padding_from_average": False}), ("avg_pool", {"exclude_padding_from_average": True}), ("l2_pool", {})],
    ids=["max", "mean with padding", "mean without padding", "l2"],
)
@pytest.mark.parametrize("sizes", ["fixed", "varying"])
def test_pool(run, run_varying, op, more, shape, sizes) -> None:
    parameters = {**SHAPES[shape], **more}
    (result,) = (run if sizes == "fixed" else run_varying)(lambda mb, x: getattr(mb, op)(x=x, **parameters), {"x": X})
    np.testing.assert_allclose(result, pool(X, op, parameters), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("shape", [(2, 3, 8), (1, 2, 4, 5, 6)], ids=["1d", "3d"])
@pytest.mark.parametrize("op", ["max_pool", "avg_pool"])
def test_other_ranks(run, op, shape) -> None:
    x = np.random.default_rng(7).standard_normal(shape).astype(np.float32)
    parameters = {"kernel_sizes": [2] * (len(shape) - 2), "strides": [2] * (len(shape) - 2), "pad_type": "same"}
    (result,) = run(lambda mb, x: getattr(mb, op)(x=x, **parameters), {"x": x})
    np.testing.assert_allclose(result, pool(x, op, parameters), rtol=1e-5, atol=1e-6)
