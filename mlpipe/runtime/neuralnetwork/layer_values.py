"""What of a network can be tapped: its inputs and the outputs of its layers, by their names."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mlpipe.runtime.lowered import LayerValue
from mlpipe.runtime.neuralnetwork.network import Network

NETWORKS = {"loop": ("conditionNetwork", "bodyNetwork"), "branch": ("ifBranch", "elseBranch")}
"""Layers that contain networks -> the fields that hold them."""


def layer_values(net: Network, network: Any, inputs: tuple[str, ...]) -> Iterator[LayerValue]:
    """Yield every value in the order of the layers; those that only exist inside a loop or branch after it.

    A name that several layers write, as `copy` may, stands for what it holds in the end, with the last of them.
    """
    written = dict.fromkeys(inputs, "input")
    inside: dict[str, LayerValue] = {}
    for layer in network.layers:
        kind = str(layer.WhichOneof("layer"))
        for name in (*layer.output, *_written_inside(layer)):
            if name in net.values:
                written.pop(name, None)
                written[name] = kind
            else:
                inside[name] = LayerValue(name, kind, net.precision.value, (), "", layer.name)
    for name, kind in written.items():
        yield LayerValue(name, kind, net.precision.value, net.graph.shape(net.values[name]), net.values[name])
    yield from inside.values()


def _written_inside(layer: Any) -> Iterator[str]:
    """Yield the outputs of the layers of a loop's or a branch's networks, however deep."""
    kind = layer.WhichOneof("layer")
    for field in NETWORKS.get(kind, ()):
        for inner in getattr(getattr(layer, kind), field).layers:
            yield from inner.output
            yield from _written_inside(inner)
