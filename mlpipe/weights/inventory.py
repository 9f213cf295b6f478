"""Every weight that a model file holds, of either kind, decoded from what stands in the file."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from mlpipe.model_files.read import ModelFile
from mlpipe.model_files.size import size_bytes
from mlpipe.weights.neuralnetwork import stored_bits
from mlpipe.weights.neuralnetwork_layers import LayerWeight, networks_of, weights_of_network
from mlpipe.weights.program import constants_of


@dataclass(frozen=True)
class StoredWeight:
    """A weight of a file."""

    name: str
    shape: tuple[int, ...]
    bits: int
    """Of each stored number."""
    bytes: int
    """With scales and tables, without alignment."""
    values: Callable[[], NDArray[Any]]
    """Decodes it. Errors: ModelFileInvalid."""

    @property
    def elements(self) -> int:
        """Return how many values it has."""
        return math.prod(self.shape)


def stored_weights(model: ModelFile) -> Iterator[StoredWeight]:
    """Yield every weight of a file in file order: of an ML Program each float constant with a shape; nothing for a model of another kind."""
    if model.kind == "mlprogram":
        for constant in constants_of(model.spec.mlProgram, model.weights_folder):
            if constant.mil_type.is_float and constant.shape:
                yield StoredWeight(constant.name, constant.shape, constant.stored_bits(), constant.stored_bytes(), constant.values)
        return
    for prefix, _, network in networks_of(model.spec):
        for weight in weights_of_network(network, prefix):
            yield StoredWeight(weight.name, weight.shape, stored_bits(weight.params), _layer_bytes(weight), weight.values)


def float32_size_bytes(model: ModelFile) -> int:
    """Return the bytes that the model would have with each of its weights as float32; the rest of the file counts as it is."""
    return size_bytes(model.path) + sum(4 * weight.elements - weight.bytes for weight in stored_weights(model))


def _layer_bytes(weight: LayerWeight) -> int:
    quantization = weight.params.quantization
    parameters = len(quantization.linearQuantization.scale) + len(quantization.linearQuantization.bias) + len(quantization.lookupTableQuantization.floatValue)
    return (math.prod(weight.shape) * stored_bits(weight.params) + 7) // 8 + 4 * parameters
