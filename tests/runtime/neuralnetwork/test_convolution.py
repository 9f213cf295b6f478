"""Convolutions against loops over every output pixel, deconvolutions against scattering every input pixel."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest


def convolve(x: np.ndarray, w: np.ndarray, pads: Any, stride: Any, dilation: Any, groups: int) -> np.ndarray:
    padded = np.pad(x.astype(np.float64), ((0, 0), (0, 0), pads[0], pads[1]))
    spans = [(size - 1) * factor + 1 for size, factor in zip(w.shape[2:], dilation, strict=True)]
    height, width = ((padded.shape[2 + i] - spans[i]) // stride[i] + 1 for i in (0, 1))
    y = np.zeros((x.shape[0], w.shape[0], height, width))
    ins, outs = w.shape[1], w.shape[0] // groups
    for n, o, i, j in product(*map(range, y.shape)):
        first = o // outs * ins
        for c, a, b in product(range(ins), range(w.shape[2]), range(w.shape[3])):
            y[n, o, i, j] += padded[n, first + c, i * stride[0] + a * dilation[0], j * stride[1] + b * dilation[1]] * w[o, c, a, b]
    return y


def scatter(x: np.ndarray, w: np.ndarray, stride: Any, groups: int) -> np.ndarray:
    """The full deconvolution: every input pixel adds its kernel."""
    n, channels, height, width = x.shape
    outs = w.shape[1]
    y = np.zeros((n, outs * groups, (height - 1) * stride[0] + w.shape[2], (width - 1) * stride[1] + w.shape[3]))
    for image, c, i, j in product(range(n), range(channels), range(height), range(width)):
        group = c // (channels // groups)
        rows, columns = (slice(p * s, p * s + k) for p, s, k in zip((i, j), stride, w.shape[2:], strict=True))
        y[image, group * outs : (group + 1) * outs, rows, columns] += x[image, c, i, j] * w[c].astype(np.float64)
    return y


def same_pads(sizes: Any, kernel: Any, stride: Any, dilation: Any, top_heavy: bool) -> list[tuple[int, int]]:
    """The amounts that the specification's comment on SamePadding computes."""
    pads = []
    for size, k, s, d in zip(sizes, kernel, stride, dilation, strict=True):
        total = max(0, (-(-size // s) - 1) * s + (k - 1) * d + 1 - size)
        half = total // 2
        pads.append((total - half, half) if top_heavy else (half, total - half))
    return pads


def edges(pads: Any) -> dict[str, Any]:
    return {"paddingAmounts": {"borderAmounts": [{"startEdgeSize": first, "endEdgeSize": last} for first, last in pads]}}


CASES = [
    # kernel, stride, dilation, groups, padding
    ((3, 3), (1, 1), (1, 1), 1, "valid"),
    ((3, 2), (2, 1), (1, 1), 1, ((1, 0), (0, 2))),
    ((2, 3), (1, 2), (2, 1), 2, ((0, 1), (2, 1))),
    ((3, 3), (2, 2), (1, 1), 4, "BOTTOM_RIGHT_HEAVY"),
    ((3, 3), (2, 2), (1, 1), 1, "TOP_LEFT_HEAVY"),
    ((2, 2), (1, 1), (1, 1), 1, "BOTTOM_RIGHT_HEAVY"),
    ((2, 4), (3, 1), (1, 1), 1, "TOP_LEFT_HEAVY"),
    ((3, 2), (1, 1), (2, 3), 2, "BOTTOM_RIGHT_HEAVY"),
    ((3, 2), (2, 1), (2, 3), 1, "TOP_LEFT_HEAVY"),
    ((1, 1), (2, 2), (1, 1), 1, "BOTTOM_RIGHT_HEAVY"),
]


@pytest.mark.parametrize(("kernel", "stride", "dilation", "groups", "padding"), CASES)
@pytest.mark.parametrize("bias", [False, True])
def test_convolution(nn: Any, kernel: Any, stride: Any, dilation: Any, groups: int, padding: Any, bias: bool) -> None:
    x, w, b = nn.random(2, 4, 7, 8), nn.random(8, 4 // groups, *kernel), nn.random(8)
    params = {"outputChannels": 8, "kernelChannels": 4 // groups, "nGroups": groups, "kernelSize": kernel, "stride": stride, "dilationFactor": dilation}
    params |= {"hasBias": bias, "weights": nn.weights(w)} | ({"bias": nn.weights(b)} if bias else {})
    if padding == "valid":
        pads: Any = ((0, 0), (0, 0))
        params["valid"] = {}
    elif isinstance(padding, str):
        pads = same_pads((7, 8), kernel, stride, dilation, padding == "TOP_LEFT_HEAVY")
        params["same"] = {"asymmetryMode": padding}
    else:
        pads = padding
        params["valid"] = edges(pads)
    expected = convolve(x, w, pads, stride, dilation, groups) + (b[:, None, None] if bias else 0)
    nn.close(nn.run("convolution", params, x), expected)


def test_defaults_are_a_kernel_of_three_and_a_stride_of_one(nn: Any) -> None:
    x, w = nn.random(1, 1, 5, 6), nn.random(2, 1, 3, 3)
    params = {"outputChannels": 2, "kernelChannels": 1, "valid": {}, "weights": nn.weights(w)}
    nn.close(nn.run("convolution", params, x), convolve(x, w, ((0, 0), (0, 0)), (1, 1), (1, 1), 1))


def test_leading_dimensions_are_a_batch(nn: Any) -> None:
    x, w = nn.random(3, 2, 2, 4, 4), nn.random(2, 2, 3, 3)
    params = {"outputChannels": 2, "kernelChannels": 2, "same": {}, "weights": nn.weights(w)}
    expected = convolve(x.reshape(6, 2, 4, 4), w, ((1, 1), (1, 1)), (1, 1), (1, 1), 1).reshape(3, 2, 2, 4, 4)
    nn.close(nn.run("convolution", params, x), expected)


def test_a_legacy_network_has_its_image_in_the_last_three_dimensions(nn: Any) -> None:
    x, w = nn.random(2, 4, 4), nn.random(3, 2, 2, 2)
    params = {"outputChannels": 3, "kernelChannels": 2, "kernelSize": [2, 2], "valid": {}, "weights": nn.weights(w)}
    nn.close(nn.run("convolution", params, x, legacy=True), convolve(x[None], w, ((0, 0), (0, 0)), (1, 1), (1, 1), 1)[0])


def test_kernel_as_an_input(nn: Any) -> None:
    x, w = nn.random(1, 2, 5, 5), nn.random(3, 2, 2, 3)
    params = {"outputChannels": 3, "kernelChannels": 2, "kernelSize": [2, 3], "valid": {}}
    nn.close(nn.run("convolution", params, x, w), convolve(x, w, ((0, 0), (0, 0)), (1, 1), (1, 1), 1))


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding"),
    [
        ((3, 3), (1, 1), ((0, 0), (0, 0))),
        ((3, 2), (2, 3), ((1, 0), (0, 1))),
        ((4, 3), (2, 2), "BOTTOM_RIGHT_HEAVY"),
        ((3, 4), (2, 1), "BOTTOM_RIGHT_HEAVY"),
        ((3, 4), (2, 1), "TOP_LEFT_HEAVY"),
        ((2, 1), (3, 2), "BOTTOM_RIGHT_HEAVY"),
    ],
)
def test_deconvolution(nn: Any, kernel: Any, stride: Any, padding: Any, groups: int) -> None:
    x, w, b = nn.random(2, 4, 3, 4), nn.random(4, 6 // groups, *kernel), nn.random(6)
    params = {"isDeconvolution": True, "outputChannels": 6, "kernelChannels": 4, "nGroups": groups, "kernelSize": kernel, "stride": stride}
    params |= {"weights": nn.weights(w), "hasBias": True, "bias": nn.weights(b)}
    full = scatter(x, w, stride, groups)
    if isinstance(padding, str):
        params["same"] = {"asymmetryMode": padding}
        wanted = [size * s for size, s in zip((3, 4), stride, strict=True)]
        # The gradient of the "same" convolution from the larger image to this one: it is cropped by what that one is padded.
        pads = same_pads(wanted, kernel, stride, (1, 1), padding == "TOP_LEFT_HEAVY")
        expected = np.zeros((2, 6, *wanted))
        part = full[:, :, pads[0][0] : pads[0][0] + wanted[0], pads[1][0] : pads[1][0] + wanted[1]]
        expected[:, :, : part.shape[2], : part.shape[3]] = part
    else:
        params["valid"] = edges(padding)
        expected = full[:, :, padding[0][0] : full.shape[2] - padding[0][1], padding[1][0] : full.shape[3] - padding[1][1]]
    nn.close(nn.run("convolution", params, x), expected + b[:, None, None])


@pytest.mark.parametrize("shape", [(5, 7), (6, 8), (6, 7)])
def test_deconvolution_with_an_output_shape_is_the_gradient_of_a_same_convolution(nn: Any, shape: tuple[int, int]) -> None:
    x, w = nn.random(1, 2, 3, 4), nn.random(2, 1, 3, 3)
    full = scatter(x, w, (2, 2), 1)
    tops = [pad[0] for pad in same_pads(shape, (3, 3), (2, 2), (1, 1), top_heavy=False)]
    params = {"isDeconvolution": True, "outputChannels": 1, "kernelChannels": 2, "stride": [2, 2], "outputShape": shape, "same": {}, "weights": nn.weights(w)}
    expected = full[:, :, tops[0] : tops[0] + shape[0], tops[1] : tops[1] + shape[1]]
    nn.close(nn.run("convolution", params, x), expected)


@pytest.mark.parametrize(("dilation", "padding"), [((2, 1), "valid"), ((2, 3), ((1, 2), (0, 1))), ((2, 2), "BOTTOM_RIGHT_HEAVY"), ((1, 3), "TOP_LEFT_HEAVY")])
def test_dilated_deconvolution(nn: Any, dilation: Any, padding: Any) -> None:
    """As one with a kernel that has zeros between its weights."""
    x, w = nn.random(2, 4, 5, 6), nn.random(4, 3, 3, 2)
    spread = np.zeros((4, 3, 2 * dilation[0] + 1, dilation[1] + 1), np.float32)
    spread[:, :, :: dilation[0], :: dilation[1]] = w
    if padding == "valid":
        how: dict[str, Any] = {"valid": {}}
    else:
        how = {"same": {"asymmetryMode": padding}} if isinstance(padding, str) else {"valid": edges(padding)}
    params = {"isDeconvolution": True, "outputChannels": 3, "kernelChannels": 4, "stride": [2, 1], **how}
    dilated = {"kernelSize": [3, 2], "dilationFactor": dilation, "weights": nn.weights(w)}
    plain = {"kernelSize": list(spread.shape[2:]), "weights": nn.weights(spread)}
    nn.close(nn.run("convolution", params | dilated, x), nn.run("convolution", params | plain, x))


REFUSED = [
    ({"isDeconvolution": True, "outputShape": [8, 8], "stride": [2, 2], "valid": edges(((1, 1), (1, 1)))}, "not the one of its padding"),
    ({"isDeconvolution": True, "outputShape": [13, 13], "stride": [2, 2], "valid": {}}, "larger than its stride"),
    ({"isDeconvolution": True}, "does not state its padding"),
    ({}, "does not state its padding"),
    ({"kernelSize": [3], "valid": {}}, "1 sizes"),
]


@pytest.mark.parametrize(("params", "why"), REFUSED)
def test_refused(nn: Any, params: dict[str, Any], why: str) -> None:
    params = {"outputChannels": 2, "kernelChannels": 2, "weights": nn.weights(np.ones(36))} | params
    assert why in nn.refusal("convolution", params, (1, 2, 5, 5))


def test_missing_weights_and_low_ranks_are_refused(nn: Any) -> None:
    params = {"outputChannels": 1, "kernelChannels": 1, "valid": {}}
    assert "no weights" in nn.refusal("convolution", params, (1, 1, 5, 5))
    assert "rank 3" in nn.refusal("convolution", params | {"weights": nn.weights(np.ones(9))}, (1, 5, 5))
