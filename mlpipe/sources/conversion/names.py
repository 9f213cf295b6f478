"""Feature names inside a Core ML specification, changed all at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Rename = Callable[[str], str]


def rename_features(spec: Any, names: Mapping[str, str]) -> None:
    """Give features new names, everywhere in the specification and simultaneously, so that names may be swapped.

    An inner value that bears one of the new names gives way: it is called `<name>_inner`.
    """
    taken = _value_names(spec)
    full = {old: new for old, new in names.items() if old != new}
    for new in list(full.values()):
        if new in taken and new not in full:
            free = f"{new}_inner"
            while free in taken or free in full.values():
                free += "_"
            full[new] = free

    def rename(name: str) -> str:
        return full.get(name, name)

    description = spec.description
    for feature in (*description.input, *description.output):
        feature.name = rename(feature.name)
    description.predictedFeatureName = rename(description.predictedFeatureName)
    description.predictedProbabilitiesName = rename(description.predictedProbabilitiesName)
    kind = spec.WhichOneof("Type")
    if kind == "mlProgram":
        _rename_program(spec.mlProgram, rename)
    else:
        network = getattr(spec, kind)
        for preprocessing in network.preprocessing:
            preprocessing.featureName = rename(preprocessing.featureName)
        if kind == "neuralNetworkClassifier":
            network.labelProbabilityLayerName = rename(network.labelProbabilityLayerName)
        _rename_layers(network, rename)


def _value_names(spec: Any) -> set[str]:
    """Return the names of all values in the specification."""
    names: set[str] = set()

    def record(name: str) -> str:
        names.add(name)
        return name

    kind = spec.WhichOneof("Type")
    if kind == "mlProgram":
        _rename_program(spec.mlProgram, record)
    else:
        _rename_layers(getattr(spec, kind), record)
    return names


def _rename_layers(network: Any, rename: Rename) -> None:
    for layer in network.layers:
        for names in (layer.input, layer.output):
            for index, name in enumerate(names):
                names[index] = rename(name)
        kind = layer.WhichOneof("layer")
        if kind == "branch":
            _rename_layers(layer.branch.ifBranch, rename)
            _rename_layers(layer.branch.elseBranch, rename)
        elif kind == "loop":
            layer.loop.conditionVar = rename(layer.loop.conditionVar)
            _rename_layers(layer.loop.conditionNetwork, rename)
            _rename_layers(layer.loop.bodyNetwork, rename)


def _rename_program(program: Any, rename: Rename) -> None:
    for function in program.functions.values():
        for value in function.inputs:
            value.name = rename(value.name)
        for block in function.block_specializations.values():
            _rename_block(block, rename)


def _rename_block(block: Any, rename: Rename) -> None:
    for value in block.inputs:
        value.name = rename(value.name)
    for operation in block.operations:
        for argument in operation.inputs.values():
            for binding in argument.arguments:
                if binding.WhichOneof("binding") == "name":
                    binding.name = rename(binding.name)
        for value in operation.outputs:
            value.name = rename(value.name)
        for inner in operation.blocks:
            _rename_block(inner, rename)
    for index, name in enumerate(block.outputs):
        block.outputs[index] = rename(name)
