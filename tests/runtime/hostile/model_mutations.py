"""Ways to damage the protobuf of a NeuralNetwork, a classic model or a pipeline. Every change follows from a seed."""

from __future__ import annotations

from typing import Any

from google.protobuf.message import DecodeError
from mutations import WORDS, Change, Mutator, any_value, change_anything, change_interface, messages

from mlpipe.model_files.protobuf import model_pb2

DESCRIBING = ("ModelDescription", "FeatureDescription", "FeatureType", "WeightParams", "Metadata")
"""Messages that are not the parameters of a layer or a model."""


def _named(spec: Any, name: str) -> list[Any]:
    return [message for message in messages(spec) if message.DESCRIPTOR.name == name]


def _change_amount(mutator: Mutator, spec: Any) -> None:
    """Put another number where a layer or a model says a size, an amount, a place or a count."""
    found = [(message, field) for message in messages(spec) if message.DESCRIPTOR.name not in DESCRIBING for field in message.DESCRIPTOR.fields]
    whole = [
        (message, field) for message, field in found if field.cpp_type in (field.CPPTYPE_INT32, field.CPPTYPE_INT64, field.CPPTYPE_UINT32, field.CPPTYPE_UINT64)
    ]
    given = [(message, field) for message, field in whole if (getattr(message, field.name) if field.is_repeated else True)]
    if not given:
        return
    message, field = mutator.choose(given)
    amount = mutator.choose([any_value(mutator, field), mutator.choose([0, 1, 5, 999, 5000, 10**5, 10**7, 2**31 - 1])])
    mutator.say(f"{message.DESCRIPTOR.name}.{field.name} becomes {amount}")
    if field.is_repeated:
        values = getattr(message, field.name)
        for place in [mutator.choose(range(len(values)))] if mutator.random.random() < 0.7 else range(len(values)):
            values[place] = amount
    else:
        setattr(message, field.name, amount)


def _change_shape(mutator: Mutator, spec: Any) -> None:
    """Declare other sizes of an input or an output."""
    arrays = _named(spec, "ArrayFeatureType")
    if not arrays:
        return
    declared = mutator.choose(arrays)
    size = mutator.choose([0, 1, 2, 3, 10**4, 10**9, 2**40, 2**62, 2**63 - 1, -1, -(2**63)])
    mutator.say(f"shape {list(declared.shape)}: {size}")
    if declared.shape and mutator.random.random() < 0.8:
        declared.shape[mutator.choose(range(len(declared.shape)))] = size
    else:
        declared.shape.append(size)


def _rewire(mutator: Mutator, spec: Any) -> None:
    """Let a layer read or make another value: a later one, its own, none."""
    layers = _named(spec, "NeuralNetworkLayer")
    names = [name for layer in layers for name in layer.output]
    lists = [values for layer in layers for values in (layer.input, layer.output) if values]
    if not lists:
        return
    values = mutator.choose(lists)
    place = mutator.choose(range(len(values)))
    name = mutator.choose([*names, *names, "x", *WORDS])
    mutator.say(f"{values[place]!r} becomes {name!r}")
    values[place] = name


def _retype(mutator: Mutator, spec: Any) -> None:
    """Make another layer or another model of one, with the parameters that it had."""
    message, which = mutator.choose([(layer, "layer") for layer in _named(spec, "NeuralNetworkLayer")] + [(model, "Type") for model in _named(spec, "Model")])
    kind = message.WhichOneof(which)
    other = mutator.choose(message.DESCRIPTOR.oneofs_by_name[which].fields).name
    mutator.say(f"{kind} becomes {other}")
    data = getattr(message, kind).SerializeToString(deterministic=True) if kind else b""
    getattr(message, other).SetInParent()
    try:
        getattr(message, other).MergeFromString(data)
    except DecodeError:
        mutator.say("without its parameters")


def _reorder(mutator: Mutator, spec: Any) -> None:
    """Move, double or drop a layer, a stage of a pipeline or a node of a tree."""
    names = ("layers", "models", "nodes")
    lists = [getattr(message, field.name) for message in messages(spec) for field, _ in message.ListFields() if field.name in names]
    if not lists:
        return
    values = mutator.choose(lists)
    place, other = (mutator.choose(range(len(values))) for _ in range(2))
    kind = mutator.choose(["move", "double", "drop"])
    mutator.say(f"{kind} {place} of {len(values)}")
    moved = type(values[0])()
    moved.CopyFrom(values[place])
    if kind != "double":
        del values[place]
    if kind != "drop":
        values.insert(other, moved)


def _nest(mutator: Mutator, spec: Any) -> None:
    """Put the model into pipelines in pipelines, or the layers into loops or branches in each other."""
    depth, rounds = mutator.choose([1, 2, 3, 8, 20, 24, 60]), mutator.choose([2, 30, 999, 2**40])
    networks = [message for message in messages(spec) if message.DESCRIPTOR.name.startswith("NeuralNetwork") and getattr(message, "layers", None)]
    kind = mutator.choose(["pipeline", "loop", "branch"]) if networks else "pipeline"
    mutator.say(f"{depth} times in a {kind}, {rounds} rounds")
    if kind == "pipeline":
        for _ in range(depth):
            outer = model_pb2().Model(specificationVersion=5)
            outer.description.CopyFrom(spec.description)
            outer.pipeline.models.add().CopyFrom(spec)
            spec.CopyFrom(outer)
        return
    network = mutator.choose(networks)
    for _ in range(depth):
        layer = type(network.layers[0])(name=kind)
        if kind == "loop":
            layer.loop.maxLoopIterations = rounds
            layer.loop.bodyNetwork.layers.extend(network.layers)
        else:
            layer.input.append("x")
            layer.branch.ifBranch.layers.extend(network.layers)
        network.layers.append(layer)
        del network.layers[:-1]


CHANGES: list[Change] = [
    *(change_anything, change_anything, change_anything, change_anything, _change_amount, _change_amount, _change_amount, _change_amount),
    *(_change_shape, _change_shape, _rewire, _retype, _reorder, _nest, change_interface),
]
