"""Three-dimensional convolution, deconvolution and pooling against loops."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

DIRECTIONS = ("Depth", "Height", "Width")
SIDES = ("Front", "Back", "Top", "Bottom", "Left", "Right")


def fields(what: str, sizes: Any) -> dict[str, int]:
    return {f"{what}{direction}": size for direction, size in zip(DIRECTIONS, sizes, strict=True)}


def padding(pads: Any) -> dict[str, Any]:
    """`VALID`, `SAME`, or amounts for each of the six sides."""
    if isinstance(pads, str):
        return {"paddingType": pads}
    return {"paddingType": "CUSTOM", **{f"customPadding{side}": amount for side, amount in zip(SIDES, pads, strict=True)}}


def amounts(pads: Any, sizes: Any, windows: Any, strides: Any) -> list[tuple[int, int]]:
    if pads == "VALID":
        return [(0, 0)] * 3
    if pads == "SAME":
        totals = [max(0, (-(-size // s) - 1) * s + window - size) for size, window, s in zip(sizes, windows, strides, strict=True)]
        return [(total // 2, total - total // 2) for total in totals]
    return [(pads[0], pads[1]), (pads[2], pads[3]), (pads[4], pads[5])]


def windows_of(x: np.ndarray, pads: Any, kernel: Any, strides: Any, dilations: Any, fill: float) -> dict[tuple[int, ...], np.ndarray]:
    """Every window of the padded volume by its place in the output, samples and channels in front."""
    padded = np.pad(x.astype(np.float64), ((0, 0), (0, 0), *pads), constant_values=fill)
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    counts = [(size - span) // s + 1 for size, span, s in zip(padded.shape[2:], spans, strides, strict=True)]
    found = {}
    for place in product(*map(range, counts)):
        cut = tuple(slice(p * s, p * s + span, d) for p, s, span, d in zip(place, strides, spans, dilations, strict=True))
        found[place] = padded[(slice(None), slice(None), *cut)]
    return found


def assembled(found: dict[tuple[int, ...], np.ndarray]) -> np.ndarray:
    sizes = [max(place[axis] for place in found) + 1 for axis in range(3)]
    first = next(iter(found.values()))
    y = np.zeros((*first.shape, *sizes))
    for place, value in found.items():
        y[(..., *place)] = value
    return y


CASES = [
    ((2, 3, 2), (1, 1, 1), (1, 1, 1), 1, "VALID"),
    ((3, 2, 3), (2, 1, 3), (1, 1, 1), 2, "SAME"),
    ((2, 2, 3), (1, 2, 1), (2, 1, 2), 1, "SAME"),
    ((2, 2, 2), (1, 1, 2), (1, 2, 1), 4, (1, 0, 2, 1, 0, 3)),
]


@pytest.mark.parametrize(("kernel", "strides", "dilations", "groups", "pads"), CASES)
@pytest.mark.parametrize("bias", [False, True])
def test_convolution(nn: Any, kernel: Any, strides: Any, dilations: Any, groups: int, pads: Any, bias: bool) -> None:
    x, w, b = nn.random(2, 4, 5, 6, 7), nn.random(8, 4 // groups, *kernel), nn.random(8)
    params = {"outputChannels": 8, "inputChannels": 4, "nGroups": groups, "weights": nn.weights(w), "hasBias": bias, **padding(pads)}
    params |= fields("kernel", kernel) | fields("stride", strides) | fields("dilation", dilations) | ({"bias": nn.weights(b)} if bias else {})
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    edges = amounts(pads, x.shape[2:], spans, strides)
    grouped = w.reshape(groups, 8 // groups, 4 // groups, *kernel).astype(np.float64)

    def product_of(window: np.ndarray) -> np.ndarray:
        split = window.reshape(2, groups, 4 // groups, *kernel)
        return np.einsum("ngcdhw,gocdhw->ngo", split, grouped).reshape(2, 8)

    expected = assembled({place: product_of(window) for place, window in windows_of(x, edges, kernel, strides, dilations, 0.0).items()})
    nn.close(nn.run("convolution3d", params, x), expected + (b[:, None, None, None] if bias else 0))


def scattered(x: np.ndarray, w: np.ndarray, strides: Any, dilations: Any, groups: int) -> np.ndarray:
    """The full deconvolution: every input place adds its kernel."""
    outs = w.shape[1]
    spans = [(k - 1) * d + 1 for k, d in zip(w.shape[2:], dilations, strict=True)]
    y = np.zeros((x.shape[0], outs * groups, *((size - 1) * s + span for size, s, span in zip(x.shape[2:], strides, spans, strict=True))))
    for n, c, *place in product(*map(range, x.shape)):
        group = c // (x.shape[1] // groups)
        cut = tuple(slice(p * s, p * s + span, d) for p, s, span, d in zip(place, strides, spans, dilations, strict=True))
        y[(n, slice(group * outs, (group + 1) * outs), *cut)] += x[(n, c, *place)] * w[c].astype(np.float64)
    return y


DECONVOLUTIONS = [
    # kernel, strides, dilations, groups, padding, output shape, crops
    ((2, 3, 2), (1, 1, 1), (1, 1, 1), 1, "VALID", [], ((0, 0), (0, 0), (0, 0))),
    ((3, 2, 4), (2, 1, 2), (1, 1, 1), 2, "SAME", [], ((0, 1), (0, 1), (1, 1))),
    ((3, 2, 2), (2, 1, 2), (1, 1, 1), 1, (1, 0, 0, 1, 0, 0), [], ((1, 0), (0, 1), (0, 0))),
    ((3, 2, 2), (2, 1, 2), (1, 1, 1), 1, (1, 0, 0, 1, 0, 0), [6, 3, 6], ((1, 0), (0, 1), (0, 0))),
    ((3, 2, 2), (2, 1, 2), (1, 2, 1), 1, "VALID", [5, 4, 6], ((1, 1), (0, 1), (0, 0))),
    ((1, 2, 2), (2, 1, 2), (1, 1, 1), 1, "SAME", [], ((0, -1), (0, 1), (0, 0))),
]


@pytest.mark.parametrize(("kernel", "strides", "dilations", "groups", "pads", "shape", "crops"), DECONVOLUTIONS)
def test_deconvolution(nn: Any, kernel: Any, strides: Any, dilations: Any, groups: int, pads: Any, shape: list[int], crops: Any) -> None:
    x, w, b = nn.random(2, 4, 3, 3, 3), nn.random(4, 6 // groups, *kernel), nn.random(6)
    params = {"outputChannels": 6, "inputChannels": 4, "nGroups": groups, "weights": nn.weights(w), "hasBias": True, "bias": nn.weights(b)}
    params |= padding(pads) | fields("kernel", kernel) | fields("stride", strides) | fields("dilation", dilations)
    params |= {"isDeconvolution": True, "outputShape": shape}
    full = scattered(x, w, strides, dilations, groups)
    full = np.pad(full, ((0, 0), (0, 0), *((0, max(0, -last)) for _, last in crops)))
    cut = tuple(slice(first, size - max(0, last)) for (first, last), size in zip(crops, full.shape[2:], strict=True))
    nn.close(nn.run("convolution3d", params, x), full[(slice(None), slice(None), *cut)] + b[:, None, None, None])


@pytest.mark.parametrize("exclude", [False, True])
@pytest.mark.parametrize("kind", ["MAX", "AVERAGE"])
@pytest.mark.parametrize(
    ("kernel", "strides", "pads"), [((2, 3, 2), (1, 2, 2), "VALID"), ((3, 3, 2), (2, 2, 1), "SAME"), ((2, 2, 3), (2, 1, 1), (1, 0, 0, 1, 2, 1))]
)
def test_pooling(nn: Any, kind: str, kernel: Any, strides: Any, pads: Any, exclude: bool) -> None:
    x = nn.random(2, 3, 4, 5, 6)
    params = {"type": kind, "countExcludePadding": exclude, **padding(pads), **fields("kernel", kernel), **fields("stride", strides)}
    found = {}
    for place, window in windows_of(x, amounts(pads, x.shape[2:], kernel, strides), kernel, strides, (1, 1, 1), np.nan).items():
        inside = window.reshape(2, 3, -1)
        count = (~np.isnan(inside)).sum(axis=-1) if exclude else inside.shape[-1]
        found[place] = np.nanmax(inside, axis=-1) if kind == "MAX" else np.nansum(inside, axis=-1) / count
    nn.close(nn.run("pooling3d", params, x), assembled(found))


@pytest.mark.parametrize(("kind", "reference"), [("MAX", np.max), ("AVERAGE", np.mean)])
def test_global_pooling(nn: Any, kind: str, reference: Any) -> None:
    x = nn.random(2, 3, 4, 5, 6)
    nn.close(nn.run("globalPooling3d", {"type": kind}, x), reference(x.astype(np.float64), axis=(2, 3, 4), keepdims=True))


def test_what_is_not_defined_is_refused(nn: Any) -> None:
    small = {"type": "MAX", "paddingType": "CUSTOM", "customPaddingLeft": 2, **fields("kernel", (2, 2, 2))}
    assert "padding as large as its window" in nn.refusal("pooling3d", small, (1, 1, 4, 4, 4))
    assert "rank 4" in nn.refusal("globalPooling3d", {}, (1, 4, 4, 4))
    params = {"outputChannels": 1, "inputChannels": 1, "isDeconvolution": True, "weights": nn.weights(np.ones(1)), "paddingType": "VALID"}
    params |= fields("kernel", (1, 1, 1)) | fields("stride", (2, 2, 2))
    assert "larger than its stride" in nn.refusal("convolution3d", {**params, "outputShape": [9, 9, 9]}, (1, 1, 3, 3, 3))
    crossed = {**params, "paddingType": "CUSTOM", "customPaddingLeft": 1, "outputShape": [5, 5, 5]}
    assert "not the one of its padding" in nn.refusal("convolution3d", crossed, (1, 1, 3, 3, 3))
