"""Custom layers: nodes that Python computes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from mlpipe.errors import UserCodeFailed
from mlpipe.runtime.custom_layers import CustomLayer
from mlpipe.runtime.host_parts import DOMAIN
from mlpipe.runtime.lowered import UnsupportedLayerError
from mlpipe.runtime.neuralnetwork.network import Network
from mlpipe.runtime.onnx_graph import Dim
from mlpipe.weights.neuralnetwork import decode, stored_as

TRIED_SIZES = (16, 24)
"""What stands for sizes that vary, to see which of the outputs' sizes vary with them."""

LARGEST_TRIED = 1 << 27
"""The most numbers of an input that a reference is tried on."""


def custom(net: Network, layer: Any, _: object) -> None:
    """Add the layer, with the shapes that its reference gives for zeros.

    Errors: UnsupportedLayerError where its class has no reference, it stands inside a branch or a loop, or the reference fails on zeros.
    """
    params = layer.custom
    shapes = [net.graph.shape(net.values[name]) for name in layer.input]
    parameters = {name: getattr(value, value.WhichOneof("value") or "stringValue") for name, value in params.parameters.items()}
    reference = net.references.get(params.className)
    if reference is None:
        seen = f"; parameters {parameters}" if parameters else ""
        raise UnsupportedLayerError(f"{_without_reference(params)} (inputs of shape {', '.join(map(_text, shapes))}{seen})")
    repeated = [name for name in layer.output if name in net.values]
    if repeated:
        raise UnsupportedLayerError(f"its output {repeated[0]!r} is there already")
    if net.graph.parent is not None:
        raise UnsupportedLayerError("a custom layer inside a branch or a loop")
    weights = tuple(_weight(each) for each in params.weights)
    described = CustomLayer(layer.name, params.className, parameters, weights, reference, len(layer.output))
    try:
        results = _shapes(described, shapes)
    except UserCodeFailed as error:
        raise UnsupportedLayerError(f"{error.what}: {error.why}") from error
    inputs = [net.values[name] for name in layer.input]
    outputs = net.graph.add_many("CustomLayer", len(layer.output), *inputs, domain=DOMAIN, layer=described)
    for name, value, shape in zip(layer.output, outputs, results, strict=True):
        net.values[name] = net.round(net.at_least_1d(net.graph.set_type(value, np.float32, shape)))


def refusal_anyway(net: Network, layer: Any) -> str | None:
    """Return why a layer that reads what another one could not compute cannot be executed either; None where that is not known."""
    is_custom = layer.WhichOneof("layer") == "custom"
    return _without_reference(layer.custom) if is_custom and layer.custom.className not in net.references else None


def _without_reference(params: Any) -> str:
    return f"its class {params.className!r} has no reference"


def _shapes(layer: CustomLayer, shapes: Sequence[Sequence[Dim]]) -> list[tuple[Dim, ...]]:
    """Return the shapes of the outputs; a size is unknown where it changes with sizes of the inputs that vary."""
    sizes = TRIED_SIZES if any(not isinstance(size, int) for shape in shapes for size in shape) else TRIED_SIZES[:1]
    found = []
    for stand_in in sizes:
        for shape in shapes:
            if (count := math.prod(stand_in if not isinstance(size, int) else size for size in shape)) > LARGEST_TRIED:
                raise UnsupportedLayerError(f"its reference would have to be tried on {count:,} zeros")
        zeros = [np.zeros([size if isinstance(size, int) else stand_in for size in shape], np.float32) for shape in shapes]
        with np.errstate(all="ignore"):
            found.append([array.shape for array in layer.run(zeros)])
    return [tuple(first if first == last else None for first, last in zip(one, other, strict=True)) for one, other in zip(found[0], found[-1], strict=True)]


def _weight(params: Any) -> np.ndarray:
    """Return a weight as a vector: the file does not say its shape."""
    kind = stored_as(params)
    if kind == "float32":
        return decode(params, [len(params.floatValue)])
    if kind == "float16":
        return decode(params, [len(params.float16Value) // 2])
    return np.frombuffer(params.rawValue or params.int8RawValue, np.uint8)


def _text(shape: Sequence[Dim]) -> str:
    return "x".join("?" if size is None else str(size) for size in shape)
