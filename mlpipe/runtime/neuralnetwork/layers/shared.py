"""NeuralNetwork layers that are operations of ML Programs too: the same function builds both."""

from __future__ import annotations

from mlpipe.runtime.mlprogram.op import Build
from mlpipe.runtime.mlprogram.values import Tensor, TensorType
from mlpipe.runtime.neuralnetwork.network import Network

SAMPLING = {
    "STRICT_ALIGN_ENDPOINTS_MODE": "STRICT_ALIGN_CORNERS",
    "ALIGN_ENDPOINTS_MODE": "ALIGN_CORNERS",
    "UPSAMPLE_MODE": "DEFAULT",
    "ROI_ALIGN_MODE": "OFFSET_CORNERS",
}
"""Names of sampling modes -> what ML Programs call them."""


def build_of(net: Network) -> Build:
    """Return where an operation's function adds its nodes."""
    return Build(net.graph, (TensorType("fp32", None),))


def tensor(net: Network, value: str) -> Tensor:
    """Return a value as operations see it."""
    net.require_rank(value)
    return Tensor(value, "fp32", net.graph.shape(value), net.graph.value_of(value))
