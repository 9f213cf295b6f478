"""Slices, crops and padding against numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest


@pytest.mark.parametrize(("axis", "number"), [("CHANNEL_AXIS", -3), ("HEIGHT_AXIS", -2), ("WIDTH_AXIS", -1)])
@pytest.mark.parametrize(("start", "end", "stride"), [(0, 4, 1), (1, 5, 2), (2, -1, 1), (-4, -1, 2), (3, 100, 1)])
def test_slice(nn: Any, axis: str, number: int, start: int, end: int, stride: int) -> None:
    x = nn.random(2, 6, 7, 8)
    index: list[Any] = [slice(None)] * 4
    index[number] = slice(start, end, stride)
    nn.close(nn.run("slice", {"axis": axis, "startIndex": start, "endIndex": end, "stride": stride}, x), x[tuple(index)])


def masks(begin: str = "", end: str = "", squeeze: str = "") -> dict[str, list[bool]]:
    return {name: [letter == "x" for letter in text.ljust(3, ".")] for name, text in (("beginMasks", begin), ("endMasks", end), ("squeezeMasks", squeeze))}


STATIC: list[tuple[dict[str, Any], Any]] = [
    ({"beginIds": [1, 2, 3], "endIds": [3, -3, 2], "strides": [2, 2, 2], **masks("x.x", ".xx")}, np.s_[:3:2, 2::2, ::2]),
    ({"beginIds": [1, 2, 3], "endIds": [3, -3, 2], "strides": [2, 2, 2], **masks("x.x", ".xx", ".x.")}, np.s_[:3:2, 2, ::2]),
    ({"beginIds": [-1, 3, 4], "endIds": [-4, 0, 1], "strides": [-1, -2, -1], **masks()}, np.s_[-1:-4:-1, 3:0:-2, 4:1:-1]),
    ({"beginIds": [2, 1, 0], "endIds": [0, 0, 0], "strides": [-1, -1, 1], **masks("x..", "xxx")}, np.s_[::-1, 1::-1, :]),
    ({"beginIds": [-1, 4, -5], "endIds": [0, 0, 0], "strides": [1, 1, 1], **masks("xxx", "", "xxx")}, np.s_[-1, 4, -5]),
    ({"beginIds": [0, 0, 0], "endIds": [5, 9, -1], "strides": [1, 1, 1], **masks()}, np.s_[0:5, 0:9, 0:-1]),
]


@pytest.mark.parametrize(("params", "index"), STATIC)
def test_slice_static_and_dynamic(nn: Any, params: dict[str, Any], index: Any) -> None:
    x = nn.random(5, 5, 5)
    nn.close(nn.run("sliceStatic", params, x), x[index])
    layers = []
    for name in ("beginIds", "endIds", "strides"):
        values = params[name]
        layers.append(("loadConstantND", [], [name], {"shape": [3], "data": nn.weights(values)}))
    dynamic = {name: value for name, value in params.items() if name.endswith("Masks")}
    for count in (1, 2, 3):
        reads = ["x", "beginIds", "endIds", "strides"][: count + 1]
        spec = nn.specification([*layers, ("sliceDynamic", reads, ["y"], params_without(params, reads, dynamic))], {"x": (5, 5, 5)}, ["y"])
        nn.close(nn.model(spec).predict({"x": x})["y"], x[index])
        fed = nn.run("sliceDynamic", params_without(params, reads, dynamic), x, *(params[name] for name in reads[1:]))
        nn.close(fed, x[index])


def test_slice_dynamic_takes_what_the_builder_writes_by_default(nn: Any) -> None:
    x = nn.random(5, 6)
    five = {"endIds": [1] * 5, "strides": [1] * 5, "beginMasks": [False] * 5, "endMasks": [False] * 5, "squeezeMasks": [False] * 5}
    nn.close(nn.run("sliceDynamic", five, x, [1, 2], [4, 6]), x[1:4, 2:6])


def params_without(params: dict[str, Any], reads: list[str], masks: dict[str, Any]) -> dict[str, Any]:
    """Leave out what is an input: a wrong value there must not matter."""
    wrong = {name: [1, 1, 1] for name in ("endIds", "strides") if name in reads}
    return masks | {name: params[name] for name in ("endIds", "strides")} | wrong


def test_slice_by_size(nn: Any) -> None:
    x = nn.random(3, 6, 2)
    nn.close(nn.run("sliceBySize", {"axis": 1, "size": 3}, x, [2]), x[:, 2:5])


@pytest.mark.parametrize("lead", [(), (2,), (2, 1)])
def test_crop(nn: Any, lead: tuple[int, ...]) -> None:
    x = nn.random(*lead, 3, 7, 8)
    edges = [{"startEdgeSize": 1, "endEdgeSize": 2}, {"startEdgeSize": 0, "endEdgeSize": 3}]
    nn.close(nn.run("crop", {"cropAmounts": {"borderAmounts": edges}}, x), x[..., 1:5, 0:5])
    nn.close(nn.run("crop", {"offset": [2, 1]}, x, nn.random(*lead, 3, 4, 6)), x[..., 2:6, 1:7])


@pytest.mark.parametrize("shape", [(4, 5), (2, 3, 4, 5)])
@pytest.mark.parametrize(
    ("params", "mode"),
    [({"constant": {"value": -1.5}}, {"constant_values": -1.5}), ({"reflection": {}}, {"mode": "reflect"}), ({"replication": {}}, {"mode": "edge"})],
)
def test_padding(nn: Any, shape: tuple[int, ...], params: dict[str, Any], mode: dict[str, Any]) -> None:
    x = nn.random(*shape)
    amounts = {"paddingAmounts": {"borderAmounts": [{"startEdgeSize": 2, "endEdgeSize": 1}, {"endEdgeSize": 3}]}}
    expected = np.pad(x, [(0, 0)] * (len(shape) - 2) + [(2, 1), (0, 3)], **mode)
    nn.close(nn.run("padding", amounts | params, x), expected)


def test_constant_pad(nn: Any) -> None:
    x = nn.random(3, 4)
    nn.close(nn.run("constantPad", {"value": 2, "padAmounts": [0, 1, 4, 0]}, x), np.pad(x, [(0, 1), (4, 0)], constant_values=2))
    sized = {"padAmounts": [0, 5, 7, 0], "padToGivenOutputSizeMode": True}
    nn.close(nn.run("constantPad", sized, x), np.pad(x, [(0, 2), (3, 0)]))
    smaller = {"padAmounts": [0, 2, 0, 3], "padToGivenOutputSizeMode": True}
    nn.close(nn.run("constantPad", smaller, x), x)


@pytest.mark.parametrize("sized", [False, True])
def test_constant_pad_by_an_input(nn: Any, sized: bool) -> None:
    x = nn.random(3, 4)
    amounts, pads = ([0, 5, 7, 0], [(0, 2), (3, 0)]) if sized else ([0, 1, 4, 2], [(0, 1), (4, 2)])
    params = {"value": 2, "padToGivenOutputSizeMode": sized}
    nn.close(nn.run("constantPad", params, x, amounts), np.pad(x, pads, constant_values=2))
    nn.close(nn.run("constantPad", params, x, [0, 2, 0, 3] if sized else [0] * 4), x)


REFUSED: list[tuple[str, dict[str, Any], list[tuple[int, ...]], str]] = [
    ("slice", {"axis": "WIDTH_AXIS", "startIndex": 3, "endIndex": 2, "stride": 1}, [(1, 1, 5)], "empty"),
    ("slice", {"axis": "WIDTH_AXIS", "endIndex": 2}, [(1, 1, 5)], "stride of 0"),
    ("sliceStatic", {"beginIds": [1], "endIds": [2], "strides": [1]}, [(2, 2)], "another number of axes"),
    ("sliceStatic", {"beginIds": [7], "endIds": [0], "strides": [1], "squeezeMasks": [True]}, [(5,)], "empty"),
    ("sliceDynamic", {"endIds": [2], "strides": [1, 1]}, [(5, 5), (2,)], "another number of axes"),
    ("sliceDynamic", {"endIds": [2, 2], "strides": [1, 1]}, [(5, 5), (1,)], "another number of axes"),
    ("constantPad", {}, [(2, 2), (2,)], "2 amounts"),
    ("crop", {"cropAmounts": {"borderAmounts": [{"startEdgeSize": 3, "endEdgeSize": 2}, {}]}}, [(1, 5, 5)], "does not lie within"),
    ("crop", {"offset": [3, 0]}, [(1, 5, 5), (1, 3, 3)], "does not lie within"),
    ("padding", {"reflection": {}, "paddingAmounts": {"borderAmounts": [{"startEdgeSize": 3}, {}]}}, [(3, 5)], "longer than the image"),
    ("padding", {}, [(3, 5)], "what it pads with"),
    ("constantPad", {"padAmounts": [1, 1]}, [(2, 2)], "2 amounts"),
]


@pytest.mark.parametrize(("kind", "params", "shapes", "why"), REFUSED)
def test_refused(nn: Any, kind: str, params: dict[str, Any], shapes: Any, why: str) -> None:
    assert why in nn.refusal(kind, params, *shapes)
