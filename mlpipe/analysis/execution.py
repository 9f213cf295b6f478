"""Whether the portable runtime executes a model, and what of it is emulated."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mlpipe.errors import NotExecutable
from mlpipe.model_files.read import ModelFile
from mlpipe.runtime.emulation import emulated
from mlpipe.runtime.lowered import LayerValue
from mlpipe.runtime.model import lower, model_of
from mlpipe.runtime.onnx_graph import Layer
from mlpipe.runtime.precision import Precision


def execution(model: ModelFile, function: str | None = None, *, values: bool = False) -> dict[str, Any]:
    """Return whether the runtime executes a model or one of its functions, what stands in its way, and how it executes what is not direct.

    `emulated` and `float16` are None where nobody can say: the model does not run, or is no graph. With `values`, those that can be tapped are listed.
    Errors: ModelFileInvalid.
    """
    found: dict[str, Any] = {"executable": False, "unsupported": [], "emulated": None, "float16": None}
    try:
        if model.kind not in ("mlprogram", "neuralnetwork"):
            missing = model_of(model, Precision.FLOAT32, function_name=function).unsupported()
            return found | {"executable": not missing, "unsupported": list(map(str, missing))}
        lowered, missing = lower(model, Precision.FLOAT32, function)
    except NotExecutable as error:
        return found | {"unsupported": [error.what]}
    if lowered is None or missing:
        return found | {"unsupported": list(map(str, missing))}
    entries = [
        {"type": entry.type, "how": str(entry.how), "count": entry.count, "nodes": list(entry.nodes)} for entry in emulated(lowered, layers_of(model, function))
    ]
    made = [value for value in lowered.values if value.type != "input"]
    halves = {"values": sum(value.dtype in ("fp16", "float16") for value in made), "of": len(made)}
    found |= {"executable": True, "emulated": entries, "float16": halves}
    return found | {"values": [_value(value) for value in lowered.values if value.block is None]} if values else found


def _value(value: LayerValue) -> dict[str, Any]:
    shape = [size if isinstance(size, int) else None for size in value.shape]
    return {"name": value.name, "type": value.type, "dtype": value.dtype, "shape": shape}


def layers_of(model: ModelFile, function: str | None = None) -> Iterator[Layer]:
    """Yield every layer or operation, of a program with several functions those of one; constants are none. Pipelines have those of their models."""
    if model.kind == "mlprogram":
        from mlpipe.weights.program import functions_of, operations_of

        for prefix, block in functions_of(model.spec.mlProgram):
            if function is None or prefix in ("", f"{function}/"):
                yield from (Layer(op.type, _name(op)) for op in operations_of(block) if op.type != "const")
        return
    from mlpipe.weights.neuralnetwork_layers import networks_of

    for _, _, network in networks_of(model.spec):
        yield from _layers_inside(network)


def _name(operation: Any) -> str:
    return operation.outputs[0].name if operation.outputs else str(operation.attributes["name"].immediateValue.tensor.strings.values[0])


def _layers_inside(network: Any) -> Iterator[Layer]:
    from mlpipe.weights.neuralnetwork_layers import inner_networks

    for layer in network.layers:
        yield Layer(str(layer.WhichOneof("layer")), layer.name)
        for inner in inner_networks(layer):
            yield from _layers_inside(inner)
