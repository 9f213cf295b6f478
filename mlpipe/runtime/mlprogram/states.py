"""Operations on states. A graph has no memory: a state is an input that holds its value before, and an output that holds its value afterwards."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from mlpipe.runtime.features import Feature
from mlpipe.runtime.feeding import STORAGE as FEATURE_STORAGE
from mlpipe.runtime.lowered import UnsupportedLayerError
from mlpipe.runtime.mlprogram.op import Binding
from mlpipe.runtime.mlprogram.values import STORAGE, State, Tensor, agree, declared_type
from mlpipe.runtime.onnx_graph import Graph
from mlpipe.runtime.precision import Precision, round_to_half

OPERANDS = {"read_state": "input", "write_state": "input", "coreml_update_state": "state"}
"""Operations on states -> their parameter that is the state."""

VALUES = {"write_state": "data", "coreml_update_state": "value"}
"""Operations that change a state -> their parameter that is the new value."""


def add_state(graph: Graph, name: str, value_type: Any, feature: Feature | None) -> Tensor:
    """Return the graph input that holds a state's value before the prediction.

    Errors: UnsupportedLayerError where the program and the model do not agree on it.
    """
    declared = declared_type(value_type.stateType.wrappedType)
    shape = declared.shape
    if feature is None or feature.kind != "state":
        raise UnsupportedLayerError("the program has a state of this name, and the model does not")
    if shape is None or shape != feature.sizes.default or STORAGE.get(declared.dtype) != FEATURE_STORAGE[feature.dtype]:
        raise UnsupportedLayerError(f"the model declares a state {feature}, and its program {declared.dtype} {shape}")
    return Tensor(graph.add_input(name, STORAGE[declared.dtype], shape), declared.dtype, shape)


def use_state(graph: Graph, kind: str, arguments: Mapping[str, list[Binding]], states: dict[str, Tensor], value: Tensor | None) -> Tensor:
    """Return the state's value after the operation; `states` holds it from then on.

    A state is memory of its type: what is written is rounded to float16 whatever the precision.
    Errors: UnsupportedLayerError where the value does not fit the state.
    """
    (given,) = arguments[OPERANDS[kind]]
    if not isinstance(given, State):
        raise UnsupportedLayerError("what it reads is no state")
    current = states[given.name]
    if value is None:
        return current
    if value.dtype != current.dtype or not agree(value.shape, current.shape):
        raise UnsupportedLayerError(f"it writes {value.dtype} {list(value.shape)} into a state of {current.dtype} {list(current.shape)}")
    name = round_to_half(graph, value.name, Precision.FLOAT16) if current.dtype == "fp16" else value.name
    states[given.name] = replace(current, name=name)
    return states[given.name]


def written_states(blocks: Iterable[Any], values: Mapping[str, Binding]) -> list[str]:
    """Return the states that operations in these blocks, however deep, may change."""
    found: dict[str, None] = {}
    for block in blocks:
        for operation in block.operations:
            if operation.type in VALUES:
                value = values.get(operation.inputs[OPERANDS[operation.type]].arguments[0].name)
                if isinstance(value, State):
                    found[value.name] = None
            found.update(dict.fromkeys(written_states(operation.blocks, values)))
    return list(found)
