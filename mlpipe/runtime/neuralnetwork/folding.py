"""Layers whose inputs are all known before the model runs: computed at once, so that shapes made of shapes are numbers again."""

from __future__ import annotations

from typing import Any

from mlpipe.runtime.execute import Executable
from mlpipe.runtime.neuralnetwork.network import Network
from mlpipe.runtime.neuralnetwork.registry import LayerFunction
from mlpipe.runtime.onnx_graph import Graph

LARGEST = 64
"""Constants of more elements are weights, not shapes: the session folds those itself."""


def fold(net: Network, function: LayerFunction, params: Any, inputs: list[str]) -> list[str]:
    """Return the outputs of a layer: of its function, or as constants where its inputs are small ones."""
    constants = [net.graph.value_of(name) for name in inputs]
    known = [constant for constant in constants if constant is not None and constant.size <= LARGEST]
    if not inputs or len(known) != len(inputs):
        return _outputs(function, net, params, inputs)
    trial = Network(Graph(), net.precision)
    outputs = _outputs(function, trial, params, [trial.graph.constant(constant) for constant in known])
    trial.graph.outputs.update({str(number): output for number, output in enumerate(outputs)})
    return [net.graph.constant(value) for value in Executable(trial.graph).run({}).values()]


def _outputs(function: LayerFunction, net: Network, params: Any, inputs: list[str]) -> list[str]:
    result = function(net, params, *inputs)
    return [result] if isinstance(result, str) else result
