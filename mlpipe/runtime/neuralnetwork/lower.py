"""A NeuralNetwork model as an ONNX graph."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from mlpipe.errors import MlpipeError, ModelFileInvalid, NotExecutable
from mlpipe.model_files.read import ModelFile
from mlpipe.model_files.size import size_bytes
from mlpipe.runtime.custom_layers import References
from mlpipe.runtime.features import features
from mlpipe.runtime.lowered import Lowered, Unsupported, UnsupportedLayerError, why_not
from mlpipe.runtime.neuralnetwork.control_flow import CONTROL_FLOW, InnerLayersError
from mlpipe.runtime.neuralnetwork.custom import custom, refusal_anyway
from mlpipe.runtime.neuralnetwork.folding import fold
from mlpipe.runtime.neuralnetwork.inputs import RANK5, add_inputs
from mlpipe.runtime.neuralnetwork.layer_values import layer_values
from mlpipe.runtime.neuralnetwork.layers import LAYERS
from mlpipe.runtime.neuralnetwork.network import Network
from mlpipe.runtime.neuralnetwork.outputs import add_outputs, classifier_of
from mlpipe.runtime.neuralnetwork.registry import LayerFunction
from mlpipe.runtime.onnx_graph import Graph
from mlpipe.runtime.precision import Precision

WITH_NETWORKS_OR_CODE = {**CONTROL_FLOW, "custom": custom}
"""Layer types that set the network's values themselves."""

FIRST_LAYERS = 500
"""Field numbers of layer types up to this one are those of the first three specifications, whose tensors all have rank 5."""


def lower_network(file: ModelFile, precision: Precision, references: References) -> tuple[Lowered | None, list[Unsupported]]:
    """Return the lowered model, or None, and every layer that stands in its way.

    Errors: ModelFileInvalid; NotExecutable for an interface that networks do not have.
    """
    spec = file.spec
    network = getattr(spec, spec.WhichOneof("Type"))
    net = Network(Graph(), precision, references=references)
    with _refused("inputs"):
        add_inputs(net, network, features(spec.description.input))
    net.graph.allow_for(size_bytes(file.path))
    unsupported = lower_layers(net, network)
    if unsupported:
        return None, unsupported
    classifier = classifier_of(spec, network)
    with _refused("outputs"):
        add_outputs(net, features(spec.description.output), classifier, rank5=has_only_rank5(network))
    values = tuple(layer_values(net, network, tuple(feature.name for feature in features(spec.description.input))))
    return Lowered(net.graph, classifier, values=values), []


@contextmanager
def _refused(what: str) -> Iterator[None]:
    """Refuse a network where its interface cannot be lowered."""
    try:
        yield
    except MlpipeError:
        raise
    except Exception as error:
        raise NotExecutable(f"the {what} of the network cannot be lowered", why=why_not(error)) from error


def has_only_rank5(network: Any) -> bool:
    """Return whether every tensor has rank 5, as in the first three specifications.

    Source: the validator of the specification: rank 5 mappings for both kinds of input, and no layer that came with specification 4.
    """
    if network.arrayInputShapeMapping != RANK5 or network.imageInputShapeMapping != RANK5:
        return False
    numbers = {field.name: field.number for field in network.DESCRIPTOR.fields_by_name["layers"].message_type.oneofs_by_name["layer"].fields}
    return all(numbers.get(layer.WhichOneof("layer"), 0) <= FIRST_LAYERS for layer in network.layers)


def lower_layers(net: Network, network: Any) -> list[Unsupported]:
    """Add every layer to the graph; return those that could not be. What reads only their outputs is passed over, unless its type is unknown too."""
    unsupported: list[Unsupported] = []
    lost: set[str] = set()
    for layer in network.layers:
        kind = str(layer.WhichOneof("layer"))
        net.written.count()
        if (kind in LAYERS or kind in WITH_NETWORKS_OR_CODE) and not lost.isdisjoint(layer.input):
            lost.update(layer.output)
            why = refusal_anyway(net, layer)
            unsupported += [Unsupported(kind, layer.name, why)] if why else []
            continue
        try:
            with net.graph.made_for(kind, layer.name):
                _add_layer(net, layer, kind)
        except InnerLayersError as error:
            unsupported += error.unsupported
        except MlpipeError:
            raise
        except Exception as error:  # noqa: BLE001 - what a damaged network can make of its parameters has no end
            unsupported.append(Unsupported(kind, layer.name, why_not(error)))
            lost.update(layer.output)
    return unsupported


def _add_layer(net: Network, layer: Any, kind: str) -> None:
    if kind in WITH_NETWORKS_OR_CODE:
        _require_inputs(net, layer)
        WITH_NETWORKS_OR_CODE[kind](net, layer, lower_layers)
    else:
        net.values.update(zip(layer.output, _lower_layer(net, layer, kind), strict=True))


def _lower_layer(net: Network, layer: Any, kind: str) -> list[str]:
    if kind not in LAYERS:
        raise UnsupportedLayerError("the portable runtime has no such layer")
    _require_inputs(net, layer)
    repeated = [name for name in layer.output if name in net.values]
    if repeated:
        raise UnsupportedLayerError(f"its output {repeated[0]!r} is there already")
    lowering = LAYERS[kind]
    lowering.check_inputs(len(layer.input))
    outputs = _call(net, lowering.function, layer, kind)
    if lowering.drops_outputs:
        outputs = outputs[: len(layer.output)]
    if len(outputs) != len(layer.output):
        raise UnsupportedLayerError(f"{len(layer.output)} outputs where it makes {len(outputs)}")
    outputs = [net.at_least_1d(output) for output in outputs]
    return outputs if lowering.keeps_grid else [net.round(output) for output in outputs]


def _require_inputs(net: Network, layer: Any) -> None:
    missing = [name for name in layer.input if name not in net.values]
    if missing:
        raise UnsupportedLayerError(f"its input {missing[0]!r} is not there")


def _call(net: Network, function: LayerFunction, layer: Any, kind: str) -> list[str]:
    from onnx.shape_inference import InferenceError

    try:
        return fold(net, function, getattr(layer, kind), [net.values[name] for name in layer.input])
    except InferenceError as error:
        raise UnsupportedLayerError(f"its inputs do not fit: {error}") from error
    except ModelFileInvalid as error:
        raise ModelFileInvalid(f"the layer {kind} {layer.name!r} is damaged: {error.what}", why=error.why) from error
