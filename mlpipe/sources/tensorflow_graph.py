"""A frozen TensorFlow graph, cut between the tensors that are fed and those that are fetched, as a function."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mlpipe.errors import RecipeError, SourceUnreadable
from mlpipe.recipe.schema.source import GraphInput, Source
from mlpipe.sources.feature import Feature
from mlpipe.sources.traceable import MUST_COMPILE, Traceable, first_line

_VARIABLES = frozenset({"Variable", "VariableV2", "VarHandleOp", "AutoReloadVariable"})
_NO_RESULT = frozenset({"NoOp", "Assert", "Const", "Placeholder", "PlaceholderWithDefault", "SaveV2", "RestoreV2", "Print"})
"""Operations that stand at the end of many graphs and are nobody's output."""


@dataclass(frozen=True)
class GraphSource:
    """A graph as it was read, with the names that a signature gives to its tensors."""

    where: str
    graph: Any
    """The GraphDef; it may hold variables, which `freeze` turns into constants."""
    freeze: Callable[[Sequence[str]], Any] | None = None
    """Names of the nodes that are wanted -> a GraphDef without variables; None where the graph has none."""
    inputs: Mapping[str, str] = field(default_factory=dict)
    """Name -> tensor."""
    outputs: Mapping[str, str] = field(default_factory=dict)


def tensor_name(name: str) -> str:
    """Return a tensor's full name: `image` is `image:0`."""
    return name if ":" in name else f"{name}:0"


def feature_name(name: str) -> str:
    """Return the name under which a tensor is known: `image:0` is `image`, `split:1` stays."""
    return name.removesuffix(":0")


def traceable_graph(read: GraphSource, source: Source) -> Traceable:
    """Return the graph between its fed and its fetched tensors as a function.

    Errors: RecipeError for tensors that the graph does not have, or where it does not say which it is asked for; SourceUnreadable.
    """
    full = _imported(read, read.graph)
    outputs = _outputs(read, source, full)
    declared = {feature_name(name): tensor_name(name) for name in source.inputs}
    wanted = dict(read.inputs) if not declared else {_known_as(name, read.inputs): tensor for name, tensor in declared.items()}
    graph = read.graph if read.freeze is None else read.freeze([_node_of(tensor) for tensor in outputs.values()])
    if not wanted:
        wanted = {name: f"{name}:0" for name in _placeholders(graph, outputs.values())}
    for section, tensors in (("inputs", wanted), ("outputs", outputs)):
        for tensor in tensors.values():
            _check_exists(section, tensor, full)
    inputs = tuple(_fed(name, full.get_tensor_by_name(tensor), source.inputs) for name, tensor in wanted.items())
    pruned = _between(graph, set(wanted.values()), outputs.values())
    _refuse_variables(read, pruned)
    _refuse_unfed(pruned)
    return _function(read, source, pruned, inputs, wanted, outputs)


def _function(read: GraphSource, source: Source, graph: Any, inputs: tuple[Feature, ...], wanted: Mapping[str, str], outputs: Mapping[str, str]) -> Traceable:
    import tensorflow as tf

    def call(tensors: Sequence[Any]) -> list[Any]:
        fed = dict(zip(wanted.values(), tensors, strict=True))
        direct = {name: fed[tensor] for name, tensor in outputs.items() if tensor in fed}
        fetched = [tensor for name, tensor in outputs.items() if name not in direct]
        made = iter(tf.graph_util.import_graph_def(graph, input_map=fed, return_elements=fetched, name=""))
        return [direct[name] if name in direct else next(made) for name in outputs]

    with tf.Graph().as_default() as own:
        try:
            placeholders = [tf.compat.v1.placeholder(feature.dtype, feature.shape) for feature in inputs]
            results = call(placeholders)
        except (ValueError, tf.errors.OpError) as error:
            raise SourceUnreadable("TensorFlow cannot build the graph with these inputs", where=read.where, why=first_line(error)) from error
        made = tuple(_feature(name, tensor) for name, tensor in zip(outputs, results, strict=True))
    renames = [(name, entry.rename) for section in (source.inputs, source.outputs) for name, entry in section.items()]
    known = {**{tensor: name for name, tensor in wanted.items()}, **{tensor: name for name, tensor in outputs.items()}}
    names = {known[tensor_name(name)]: rename for name, rename in renames if rename is not None and tensor_name(name) in known}
    session = tf.compat.v1.Session(graph=own)

    def run(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        return [np.asarray(value) for value in session.run(results, dict(zip(placeholders, arrays, strict=True)))]

    return Traceable(inputs, made, call, names, run)


def _known_as(name: str, signature: Mapping[str, str]) -> str:
    """Return the name that a signature gives to a tensor, else the tensor's own."""
    return next((known for known, tensor in signature.items() if tensor == tensor_name(name)), name)


def _outputs(read: GraphSource, source: Source, full: Any) -> dict[str, str]:
    """Return the tensors that are asked for by name: the recipe's, the signature's, or the only tensor that nothing consumes."""
    if source.outputs:
        return {_known_as(feature_name(name), read.outputs): read.outputs.get(name, tensor_name(name)) for name in source.outputs}
    if read.outputs:
        return dict(read.outputs)
    sinks = [
        operation.outputs[0].name
        for operation in full.get_operations()
        if operation.outputs and operation.type not in _NO_RESULT and not any(tensor.consumers() for tensor in operation.outputs)
    ]
    if len(sinks) != 1:
        shown = ", ".join(feature_name(name) for name in sinks[:20])
        raise RecipeError(
            "source.outputs: say which tensors the graph is asked for", where=read.where, why=f"{len(sinks)} of its tensors are read by nothing: {shown}"
        )
    return {feature_name(sinks[0]): sinks[0]}


def _node_of(reference: str) -> str:
    """Return the node of a tensor, or of a node's input as it stands in a GraphDef (`^control`, `node`, `node:1`)."""
    return reference.removeprefix("^").partition(":")[0]


def _imported(read: GraphSource, graph_def: Any) -> Any:
    """Return the whole graph, which knows the types and shapes of its tensors."""
    import tensorflow as tf

    with tf.Graph().as_default() as graph:
        try:
            tf.graph_util.import_graph_def(graph_def, name="")
        except (ValueError, tf.errors.OpError) as error:
            raise SourceUnreadable("TensorFlow cannot read the graph", where=read.where, why=first_line(error)) from error
    return graph


def _check_exists(section: str, tensor: str, graph: Any) -> None:
    try:
        graph.get_tensor_by_name(tensor)
    except (KeyError, ValueError):
        nodes = [operation.name for operation in graph.get_operations()]
        near = difflib.get_close_matches(_node_of(tensor), nodes, n=3)
        fix = f"did you mean {' or '.join(near)}?" if near else None
        raise RecipeError(f"source.{section}: the graph has no tensor {tensor}", fix=fix) from None


def _fed(name: str, tensor: Any, declared: Mapping[str, GraphInput]) -> Feature:
    """Return a fed tensor as a feature, with the shape that the recipe says."""
    entry = next((entry for key, entry in declared.items() if tensor_name(key) == tensor.name), GraphInput())
    own = _feature(name, tensor)
    if entry.dtype is not None and entry.dtype != own.dtype:
        raise RecipeError(f"source.inputs.{name}.dtype: the tensor is {own.dtype}, not {entry.dtype}")
    if entry.shape is None:
        return own
    if own.shape is not None:
        fits = len(own.shape) == len(entry.shape) and all(None in (size, asked) or size == asked for size, asked in zip(own.shape, entry.shape, strict=True))
        if not fits:
            raise RecipeError(f"source.inputs.{name}.shape: {entry.shape} does not fit the tensor's {list(own.shape)}")
    return Feature(name, tuple(entry.shape), own.dtype)


def _feature(name: str, tensor: Any) -> Feature:
    shape = None if tensor.shape.rank is None else tuple(tensor.shape.as_list())
    return Feature(name, shape, str(tensor.dtype.base_dtype.name))


def _placeholders(graph: Any, fetches: Iterable[str]) -> list[str]:
    """Return the placeholders that the fetched tensors depend on, in the graph's order."""
    return [node.name for node in _between(graph, set(), fetches).node if node.op == "Placeholder"]


def _between(graph: Any, fed: set[str], fetches: Iterable[str]) -> Any:
    """Return what the fetched tensors need, up to the fed ones."""
    nodes = {node.name: node for node in graph.node}
    pending = [_node_of(tensor) for tensor in fetches if tensor not in fed]
    needed: set[str] = set()
    while pending:
        name = pending.pop()
        if name not in needed and name in nodes:
            needed.add(name)
            pending += [_node_of(reference) for reference in nodes[name].input if tensor_name(reference) not in fed]
    pruned = type(graph)()
    pruned.versions.CopyFrom(graph.versions)
    pruned.library.CopyFrom(graph.library)
    for node in graph.node:
        if node.name in needed:
            copy = pruned.node.add()
            copy.CopyFrom(node)
            copy.device = ""
            for stale in ("_output_shapes", "_class"):  # shapes may change with the fed ones; colocation may name a node that is gone
                copy.attr.pop(stale, None)
    for calls in (pruned.node, *(function.node_def for function in pruned.library.function)):
        for node in calls:
            node.attr.pop(MUST_COMPILE, None)
    return pruned


def _refuse_variables(read: GraphSource, graph: Any) -> None:
    variables = sorted(node.name for node in graph.node if node.op in _VARIABLES)
    if variables:
        fix = "freeze it, or use the SavedModel or checkpoint that it comes from"
        raise SourceUnreadable("the graph is not frozen", where=read.where, why=f"it has variables without values: {', '.join(variables[:5])}", fix=fix)


def _refuse_unfed(graph: Any) -> None:
    """Refuse to run a graph that reads a placeholder which is not fed."""
    referenced = {tensor_name(reference) for node in graph.node for reference in node.input}
    unfed = sorted(node.name for node in graph.node if node.op == "Placeholder" and f"{node.name}:0" in referenced)
    if unfed:
        raise RecipeError(f"source.inputs: the outputs also depend on {', '.join(unfed)}", fix="name these inputs too, or cut the graph behind them")
