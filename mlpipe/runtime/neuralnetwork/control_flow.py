"""Layers that contain networks: branch as ONNX's If, loop as its Loop; and copy, the one layer that may overwrite a value.

They have no outputs. What they change of the values around them is carried through, and in the end stands under the same names as before.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from mlpipe.runtime.lowered import Unsupported, UnsupportedLayerError
from mlpipe.runtime.neuralnetwork.network import Network, too_many_layers
from mlpipe.runtime.onnx_graph import Dim, Graph
from mlpipe.runtime.rounds import within_limit

LowerLayers = Callable[[Network, Any], list[Unsupported]]
"""Adds the layers of a network; returns those that it could not."""

NEARLY_ZERO = 1e-6
"""A condition up to this is false. Source: BranchLayerParams in NeuralNetwork.proto."""

UNROLLED = 1000
"""The most iterations that are written out."""

ROUNDS = 4
"""How often sizes that do not hold for every iteration may be found before the loop is refused; each round makes those of one more iteration unknown."""


class InnerLayersError(Exception):
    """Layers inside could not be lowered."""

    def __init__(self, unsupported: list[Unsupported]) -> None:
        """Keep the list."""
        super().__init__()
        self.unsupported = unsupported


def copy(net: Network, layer: Any, _lower: LowerLayers) -> None:
    """Show the input under the output's name, which may have had another value until now."""
    net.values[layer.output[0]] = net.values[layer.input[0]]


def branch(net: Network, layer: Any, lower: LowerLayers) -> None:
    """Run one of two networks; the second may be absent, and then changes nothing."""
    condition = net.values[layer.input[0]]
    known = net.graph.value_of(condition)
    if known is not None:
        chosen = layer.branch.ifBranch if _holds(known) else layer.branch.elseBranch
        _inside(lower, net, chosen)
        return
    scopes = [_scope(net, net.graph.subgraph()) for _ in range(2)]
    for scope, network in zip(scopes, (layer.branch.ifBranch, layer.branch.elseBranch), strict=True):
        _inside(lower, scope, network)
    then, otherwise = scopes
    changed = [name for name in then.values if name in otherwise.values and not then.values[name] == otherwise.values[name] == net.values.get(name)]
    for scope in scopes:
        _show(scope.graph, [scope.values[name] for name in changed])
    if not changed:
        return
    results = net.graph.add_many("If", len(changed), _truth(net, condition), then_branch=then.graph, else_branch=otherwise.graph)
    for name, result in zip(changed, results, strict=True):
        shape = _joined(then.graph.shape(then.values[name]), otherwise.graph.shape(otherwise.values[name]))
        net.values[name] = net.graph.set_type(result, np.float32, shape)


def loop(net: Network, layer: Any, lower: LowerLayers) -> None:
    """Run a network while another one gives true, at most so many times; a loop without either has no iterations.

    Iterations that are known to happen are written out: what depends on their number is then constant, such as the places of a list.
    """
    params = layer.loop
    most = _most(net, layer)
    done = 0
    while done < UNROLLED and net.written.has_room():
        again = _known(net, layer, most, lower, done)
        if again is None:
            break
        if not again:
            return
        scope = _scope(net, net.graph)
        _inside(lower, scope, params.bodyNetwork)
        net.values.update({name: scope.values[name] for name in net.values})
        done += 1
    if not net.written.has_room() and _has_loop(params.bodyNetwork):
        raise too_many_layers()
    if most is not None and done:
        limit = net.graph.value_of(most)
        assert limit is not None, "else no iteration was known to happen"
        most = net.graph.constant(int(limit) - done, np.int64)
    _remaining(net, layer, most, lower)


def _has_loop(network: Any) -> bool:
    """Return whether there are loops in a network: beyond what can be written out they might take for ever, one in another."""
    branches = [layer.branch for layer in network.layers if layer.WhichOneof("layer") == "branch"]
    inside = any(_has_loop(branch.ifBranch) or _has_loop(branch.elseBranch) for branch in branches)
    return inside or any(layer.WhichOneof("layer") == "loop" for layer in network.layers)


def _known(net: Network, layer: Any, most: str | None, lower: LowerLayers, done: int) -> bool | None:
    """Return whether there is another iteration after so many, or None where it is only known when the model runs."""
    if most is not None:
        limit = net.graph.value_of(most)
        if limit is None:
            return None
        if done >= int(limit):
            return False
    if not layer.loop.conditionVar:
        return True
    value = net.graph.value_of(_condition(net, layer.loop, lower))
    return None if value is None else _holds(value)


def _remaining(net: Network, layer: Any, most: str | None, lower: LowerLayers) -> None:
    """Add the loop, from the values as they are now on."""
    params, graph = layer.loop, net.graph
    carried: dict[str, tuple[Dim, ...]] = {}
    for _ in range(ROUNDS):
        body = _scope(net, graph.subgraph())
        iteration = body.graph.add_input(body.graph.name("iteration"), np.int64, [])
        again = body.graph.add_input(body.graph.name("condition"), np.bool_, [])
        for name, shape in carried.items():
            body.values[name] = body.graph.add_input(body.graph.name("variable"), np.float32, shape)
        _inside(lower, body, params.bodyNetwork)
        if params.conditionVar:
            again = _truth(body, _condition(body, params, lower))
        found = {
            name: _joined(carried.get(name) or graph.shape(before), body.graph.shape(body.values[name]))
            for name, before in net.values.items()
            if name in carried or body.values[name] != before
        }
        if found == carried:
            break
        carried = found
    else:
        raise UnsupportedLayerError("the sizes of its values change from one iteration to the next")
    if not carried:
        return
    again = within_limit(body.graph, iteration, again)
    _show(body.graph, [again, *(body.values[name] for name in carried)])
    first = _truth(net, _condition(net, params, lower)) if params.conditionVar else None
    results = graph.add_many("Loop", len(carried), most, first, *(net.values[name] for name in carried), body=body.graph)
    for (name, shape), result in zip(carried.items(), results, strict=True):
        net.values[name] = graph.set_type(result, np.float32, shape)


def _most(net: Network, layer: Any) -> str | None:
    """Return the most iterations as a value, or None."""
    if layer.input:
        count = net.values[layer.input[0]]
        known = net.graph.value_of(count)
        if known is not None:
            return net.graph.constant(int(known.reshape(-1)[0]), np.int64)
        return net.graph.add("Reshape", net.indices(count), net.graph.constant([], np.int64))
    most = layer.loop.maxLoopIterations
    return net.graph.constant(most, np.int64) if most or not layer.loop.conditionVar else None


def _condition(net: Network, params: Any, lower: LowerLayers) -> str:
    """Return what the condition's network gives for the values as they are."""
    inner = _scope(net, net.graph)
    _inside(lower, inner, params.conditionNetwork)
    if params.conditionVar not in inner.values:
        raise UnsupportedLayerError(f"its condition {params.conditionVar!r} is not there")
    if any(inner.values[name] != value for name, value in net.values.items()):
        raise UnsupportedLayerError("its condition changes values")
    return inner.values[params.conditionVar]


def _holds(condition: np.ndarray) -> bool:
    """Return whether a known condition is true."""
    return abs(float(condition.reshape(-1)[0])) > NEARLY_ZERO


def _truth(net: Network, value: str) -> str:
    """Return a condition as a boolean without dimensions."""
    graph = net.graph
    single = graph.add("Reshape", value, graph.constant([], np.int64))
    return graph.add("Greater", graph.add("Abs", single), net.scalar(NEARLY_ZERO))


def _scope(net: Network, graph: Graph) -> Network:
    return Network(graph, net.precision, dict(net.values), net.references, net.written)


def _inside(lower: LowerLayers, net: Network, network: Any) -> None:
    unsupported = lower(net, network)
    if unsupported:
        raise InnerLayersError(unsupported)


def _joined(first: tuple[Dim, ...], second: tuple[Dim, ...]) -> tuple[Dim, ...]:
    """Return the sizes that both shapes have."""
    if len(first) != len(second):
        raise UnsupportedLayerError("a value whose rank depends on what is run")
    return tuple(a if a == b else None for a, b in zip(first, second, strict=True))


def _show(graph: Graph, values: list[str]) -> None:
    """Make values the outputs; one from outside needs a node of its own inside."""
    for value in values:
        graph.outputs[graph.name("result")] = value if value in graph.types and value not in graph.inputs else graph.add("Identity", value)


CONTROL_FLOW: dict[str, Callable[[Network, Any, LowerLayers], None]] = {"branch": branch, "copy": copy, "loop": loop}
"""Layer type -> its lowering, which changes the network's values."""
