"""The LSTM: ONNX's own, and one written out as a Scan, whose cell state is clipped (ONNX's clip limits the gates instead)."""

from __future__ import annotations

import numpy as np

from mlpipe.runtime.mlprogram.op import Build
from mlpipe.runtime.mlprogram.ops.recurrent_parts import Weights, activation, activations, join_state, ordered, split_state, stacked, steps
from mlpipe.runtime.mlprogram.values import Tensor
from mlpipe.runtime.onnx_graph import Dim, Graph

GATES = (0, 2, 1, 3)
"""ONNX's input, output, forget, cell out of Core ML's input, forget, output, cell."""


def plain_lstm(build: Build, x: Tensor, h: Tensor, c: Tensor, directions: list[Weights], names: list[str], direction: str) -> list[str]:
    """Return all steps, the last hidden state and the last cell state."""
    peepholes = None
    if any(weights.peephole is not None for weights in directions):
        peepholes = build.floats(np.stack([_peephole(weights)[[0, 2, 1]].reshape(-1) for weights in directions]))
    sequence, last_h, last_c = build.add_many(
        "LSTM",
        3,
        ordered(build, x, direction),
        *stacked(build, directions, GATES),
        None,
        *(split_state(build, state, len(directions)) for state in (h, c)),
        peepholes,
        hidden_size=directions[0].hidden,
        direction="bidirectional" if len(directions) == 2 else "forward",
        **activations(names * len(directions)),
    )
    return [steps(build, sequence, directions), *(join_state(build, state, directions) for state in (last_h, last_c))]


def clipped_lstm(build: Build, x: Tensor, h: Tensor, c: Tensor, directions: list[Weights], names: list[str], direction: str, clip: float) -> list[str]:
    """Return the same of a layer whose cell state stays within -clip and clip."""
    states = [[h.name], [c.name]]
    if len(directions) == 2:
        states = [build.add_many("Split", 2, state, axis=1, num_outputs=2) for state in (h, c)]
    results = []
    for number, (weights, first_h, first_c) in enumerate(zip(directions, *states, strict=True)):
        products = build.add("MatMul", x, build.floats(weights.inputs.T))
        if weights.bias is not None:
            products = build.add("Add", products, build.floats(weights.bias))
        last_h, last_c, sequence = build.add_many(
            "Scan",
            3,
            first_h,
            first_c,
            products,
            body=_step(build, weights, names, clip, x.shape[1]),
            num_scan_inputs=1,
            scan_input_directions=[int(direction == "reverse" or number == 1)],
            scan_output_directions=[number],
        )
        for name, sizes in ((last_h, x.shape[1:2]), (last_c, x.shape[1:2]), (sequence, x.shape[:2])):
            build.graph.set_type(name, np.float32, (*sizes, weights.hidden))
        results.append((sequence, last_h, last_c))
    if len(results) == 1:
        return list(results[0])
    return [build.add("Concat", *parts, axis=-1) for parts in zip(*results, strict=True)]


def _step(build: Build, weights: Weights, names: list[str], clip: float, batch: Dim) -> Graph:
    """Return one step: from the states before it and the input's products with its weights to the states after it and the output."""
    body = build.graph.subgraph()
    inside = Build(body, ())
    h, c = (body.add_input(body.name(kind), np.float32, (batch, weights.hidden)) for kind in ("hidden", "cell"))
    products = body.add_input(body.name("products"), np.float32, (batch, 4 * weights.hidden))
    sums = inside.add("Add", products, inside.add("MatMul", h, inside.floats(weights.hidden_state.T)))
    gates = inside.add_many("Split", 4, sums, axis=-1, num_outputs=4)

    def gate(number: int, cell: str) -> str:
        seen = gates[number]
        if weights.peephole is not None:
            seen = inside.add("Add", seen, inside.add("Mul", cell, inside.floats(_peephole(weights)[number])))
        return _activated(inside, names[0], seen)

    added = inside.add("Mul", gate(0, c), _activated(inside, names[1], gates[3]))
    cell = inside.add("Add", inside.add("Mul", gate(1, c), c), added)
    cell = inside.add("Clip", cell, inside.floats(-clip), inside.floats(clip))
    hidden = inside.add("Mul", gate(2, cell), _activated(inside, names[2], cell))
    body.outputs |= {body.name("result"): value for value in (hidden, cell, hidden)}
    return body


def _activated(build: Build, name: str, x: str) -> str:
    kind, parameters = activation(name)
    # A recurrent node knows Affine, which is no operation of its own; here it scales by 1.
    return x if kind == "Affine" else build.add(kind, x, **parameters)


def _peephole(weights: Weights) -> np.ndarray:
    """Return the weights with which the input, forget and output gates see the cell state."""
    return np.zeros((3, weights.hidden)) if weights.peephole is None else weights.peephole.reshape(3, weights.hidden)
