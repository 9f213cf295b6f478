"""Recurrent layers, written out as scans over the steps: gates, clipping and coupling as the specification's equations have them.

A layer with `reverseInput` gives its steps in the order in which it takes them, the last element first, as the `reverse` recurrent operations of ML
Programs do; the backward half of a bidirectional layer is in the order of the input.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mlpipe.runtime.lowered import UnsupportedLayerError
from mlpipe.runtime.neuralnetwork.layers.activation import activation
from mlpipe.runtime.neuralnetwork.network import Network, SizeOf
from mlpipe.runtime.neuralnetwork.registry import layer
from mlpipe.runtime.onnx_graph import Graph

LARGEST_SUM = 50.0
"""What the specification limits the sums before the activations to, and a cell state where it states no limit of its own."""

BARE = {"linear": (1.0, 0.0), "scaledTanh": (1.0, 1.0), "sigmoidHard": (0.2, 0.5)}
"""Alpha and beta of activations that are written without them, as coremltools' builder writes those of recurrent layers; its tests say what they mean."""

Step = Callable[[Network, list[str], str], list[str]]
"""From the states before a step and the step's products with the input weights (and biases) to the states after it; the first is the output."""


@layer("simpleRecurrent", drops_outputs=True)
def simple_recurrent(net: Network, params: Any, x: str, initial: str | None = None) -> list[str]:
    """All steps or the last, and the last state."""
    recursion = net.array(params.recursionMatrix, [params.outputVectorSize] * 2)
    biases = [params.biasVector] if params.hasBiasVector else []
    products = _products(net, params, x, [params.weightMatrix], biases)

    def step(inside: Network, states: list[str], product: str) -> list[str]:
        return [_activated(inside, params.activation, inside.graph.add("Add", product, _times(inside, states[0], recursion)))]

    return _run(net, params, x, step, products, [initial], reverse=params.reverseInput, all_steps=params.sequenceOutput)


@layer("gru", drops_outputs=True)
def gru(net: Network, params: Any, x: str, initial: str | None = None) -> list[str]:
    """All steps or the last, and the last state."""
    if len(params.activations) != 2:
        raise UnsupportedLayerError(f"{len(params.activations)} activations where there should be two")
    size = [params.outputVectorSize] * 2
    update, reset, output = (net.array(getattr(params, f"{gate}GateRecursionMatrix"), size) for gate in ("update", "reset", "output"))
    inputs = [params.updateGateWeightMatrix, params.resetGateWeightMatrix, params.outputGateWeightMatrix]
    biases = [params.updateGateBiasVector, params.resetGateBiasVector, params.outputGateBiasVector] if params.hasBiasVectors else []

    def step(inside: Network, states: list[str], product: str) -> list[str]:
        graph, (before,) = inside.graph, states
        seen = graph.add_many("Split", 3, product, axis=-1, num_outputs=3)
        z = _activated(inside, params.activations[0], graph.add("Add", seen[0], _times(inside, before, update)))
        r = _activated(inside, params.activations[0], graph.add("Add", seen[1], _times(inside, before, reset)))
        kept = _times(inside, graph.add("Mul", before, r), output)
        o = _activated(inside, params.activations[1], graph.add("Add", seen[2], kept))
        rest = graph.add("Mul", graph.add("Sub", inside.scalar(1), z), o)
        return [graph.add("Add", rest, graph.add("Mul", z, before))]

    products = _products(net, params, x, inputs, biases)
    return _run(net, params, x, step, products, [initial], reverse=params.reverseInput, all_steps=params.sequenceOutput)


@layer("uniDirectionalLSTM", drops_outputs=True)
def unidirectional_lstm(net: Network, params: Any, x: str, hidden: str | None = None, cell: str | None = None) -> list[str]:
    """All steps or the last, the last hidden state and the last cell state."""
    step, products = _lstm(net, params, x, params.weightParams, params.activations)
    return _run(net, params, x, step, products, [hidden, cell], reverse=params.reverseInput, all_steps=params.params.sequenceOutput)


@layer("biDirectionalLSTM", drops_outputs=True)
def bidirectional_lstm(
    net: Network, params: Any, x: str, hidden: str | None = None, cell: str | None = None, hidden_back: str | None = None, cell_back: str | None = None
) -> list[str]:
    """All steps or the last, both directions side by side; then hidden and cell state of the way forth, and of the way back."""
    if len(params.weightParams) != 2:
        raise UnsupportedLayerError(f"{len(params.weightParams)} sets of weights where there should be two")
    all_steps = params.params.sequenceOutput
    forth, back = params.activationsForwardLSTM, params.activationsBackwardLSTM or params.activationsForwardLSTM
    step, products = _lstm(net, params, x, params.weightParams[0], forth)
    first, *states = _run(net, params, x, step, products, [hidden, cell], reverse=False, all_steps=all_steps)
    step, products = _lstm(net, params, x, params.weightParams[1], back)
    second, *states_back = _run(net, params, x, step, products, [hidden_back, cell_back], reverse=True, all_steps=all_steps, input_order=True)
    return [net.graph.add("Concat", first, second, axis=2), *states, *states_back]


def _lstm(net: Network, params: Any, x: str, weights: Any, activations: Sequence[Any]) -> tuple[Step, str]:
    """Return an LSTM's step and the products of all steps with its input weights."""
    if len(activations) != 3:
        raise UnsupportedLayerError(f"{len(activations)} activations where there should be three")
    how, size = params.params, params.outputVectorSize
    gates = ("inputGate", "forgetGate", "blockInput", "outputGate")
    recursion = np.concatenate([net.array(getattr(weights, f"{gate}RecursionMatrix"), [size, size]) for gate in gates])
    peepholes = {gate: net.array(getattr(weights, f"{gate}PeepholeVector"), [size]) for gate in gates if how.hasPeepholeVectors and gate != "blockInput"}
    limit = how.cellClipThreshold or LARGEST_SUM
    biases = [getattr(weights, f"{gate}BiasVector") for gate in gates] if how.hasBiasVectors else []
    products = _products(net, params, x, [getattr(weights, f"{gate}WeightMatrix") for gate in gates], biases)
    if how.forgetBias:
        ones = np.zeros(4 * size, np.float32)
        ones[size : 2 * size] = 1
        products = net.graph.add("Add", products, net.graph.constant(ones))

    def step(inside: Network, states: list[str], product: str) -> list[str]:
        graph, (hidden, cell) = inside.graph, states
        sums = dict(zip(gates, graph.add_many("Split", 4, graph.add("Add", product, _times(inside, hidden, recursion)), axis=-1, num_outputs=4), strict=True))

        def gate(name: str, seen_cell: str) -> str:
            value = sums[name]
            if name in peepholes:
                value = graph.add("Add", value, graph.add("Mul", seen_cell, graph.constant(peepholes[name])))
            return _activated(inside, activations[0], value)

        i, z = gate("inputGate", cell), _activated(inside, activations[1], sums["blockInput"])
        forget = graph.add("Sub", inside.scalar(1), i) if how.coupledInputAndForgetGate else gate("forgetGate", cell)
        after = graph.add("Add", graph.add("Mul", cell, forget), graph.add("Mul", i, z))
        after = graph.add("Clip", after, inside.scalar(-limit), inside.scalar(limit))
        return [graph.add("Mul", _activated(inside, activations[2], after, limited=False), gate("outputGate", after)), after]

    return step, products


def _products(net: Network, params: Any, x: str, weights: Sequence[Any], biases: Sequence[Any]) -> str:
    """Return the products of every step with all gates' input weights, biases added.

    Shapes: steps x batch x (gates * outputVectorSize).
    """
    net.require_rank(x, 5)
    inputs, outputs = params.inputVectorSize, params.outputVectorSize
    if net.sizes(x, 2, 3, 4) != (inputs, 1, 1):
        raise UnsupportedLayerError("its input is no sequence of vectors of the size that the layer states")
    vectors = net.reshape(x, [SizeOf(x, 0), SizeOf(x, 1), inputs])
    matrix = np.concatenate([net.array(each, [outputs, inputs]) for each in weights])
    products = net.graph.add("MatMul", vectors, net.graph.constant(np.ascontiguousarray(matrix.T), hint="weight"))
    if not biases:
        return products
    return net.graph.add("Add", products, net.graph.constant(np.concatenate([net.array(each, [outputs]) for each in biases])))


def _times(inside: Network, state: str, matrix: np.ndarray) -> str:
    return inside.graph.add("MatMul", state, inside.graph.constant(np.ascontiguousarray(matrix.T), hint="weight"))


def _activated(inside: Network, function: Any, value: str, *, limited: bool = True) -> str:
    if limited:
        value = inside.graph.add("Clip", value, inside.scalar(-LARGEST_SUM), inside.scalar(LARGEST_SUM))
    return str(activation(inside, _with_parameters(function), value))


def _with_parameters(function: Any) -> Any:
    kind = function.WhichOneof("NonlinearityType")
    if kind not in BARE or getattr(function, kind).alpha or getattr(function, kind).beta:
        return function
    filled = type(function)()
    getattr(filled, kind).alpha, getattr(filled, kind).beta = BARE[kind]
    return filled


def _run(
    net: Network, params: Any, x: str, step: Step, products: str, initial: Sequence[str | None], *, reverse: bool, all_steps: bool, input_order: bool = False
) -> list[str]:
    """Return all steps or the last, and every last state.

    Shapes: steps x batch x outputVectorSize x 1 x 1; states 1 x batch x outputVectorSize x 1 x 1.
    """
    size = params.outputVectorSize
    states = [_state(net, x, size, state) for state in initial]
    count = len(states)
    body = _body(net, step, states, products)
    results = net.graph.add_many(
        "Scan",
        count + 1,
        *states,
        products,
        body=body,
        num_scan_inputs=1,
        scan_input_directions=[int(reverse)],
        scan_output_directions=[int(reverse and input_order)],
    )
    steps, batch = net.graph.shape(x)[:2]
    for name in results[:count]:
        net.graph.set_type(name, np.float32, (batch, size))
    net.graph.set_type(results[count], np.float32, (steps, batch, size))
    last = [net.reshape(name, [1, SizeOf(x, 1), size, 1, 1]) for name in results[:count]]
    everything = net.reshape(results[count], [SizeOf(x, 0), SizeOf(x, 1), size, 1, 1])
    return [everything if all_steps else last[0], *last]


def _state(net: Network, x: str, size: int, given: str | None) -> str:
    """Return an initial state: zeros where none is given.

    Shapes: batch x size.
    """
    if given is not None:
        net.require_rank(given, 5)
        return net.reshape(given, [SizeOf(x, 1), size])
    graph = net.graph
    batch = graph.add("Slice", graph.shape_value(x), graph.int64(1), graph.int64(2))
    zeros = graph.add("Expand", net.scalar(0), graph.add("Concat", batch, graph.int64(size), axis=0))
    return graph.set_type(zeros, np.float32, (graph.shape(x)[1], size))


def _body(net: Network, step: Step, states: Sequence[str], products: str) -> Graph:
    graph = net.graph.subgraph()
    inside = Network(graph, net.precision)
    before = [graph.add_input(graph.name("state"), np.float32, net.graph.shape(state)) for state in states]
    product = graph.add_input(graph.name("product"), np.float32, net.graph.shape(products)[1:])
    after = step(inside, before, product)
    graph.outputs |= {graph.name("result"): value for value in (*after, after[0])}
    return graph
