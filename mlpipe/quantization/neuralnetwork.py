"""Compression of NeuralNetworks, in their protobuf."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mlpipe.quantization.outcome import Outcome, Progress, compress, holds_whole_numbers, no_progress
from mlpipe.quantization.support import check_support
from mlpipe.quantization.weight import Encoded, NoGain, SkippedWeight, Weight
from mlpipe.recipe.schema.quantize import QuantizeStep
from mlpipe.weights.bits import pack
from mlpipe.weights.kmeans import Palette
from mlpipe.weights.linear import Linear
from mlpipe.weights.neuralnetwork import stored_as, stored_bits
from mlpipe.weights.neuralnetwork_layers import LayerWeight, networks_of, weights_of_network

FLOAT16_SPECIFICATION = 2
QUANTIZED_SPECIFICATION = 3
"""The versions of the format (iOS 11.2 and iOS 12) that brought such weights; an older file's version is raised."""


def quantize_networks(spec: Any, step: QuantizeStep, folder: Path, where: str, progress: Progress = no_progress, *, only_gains: bool = True) -> list[Outcome]:
    """Return what became of each weight; the networks of `spec`, also those of a pipeline, are changed in place.

    Errors: QuantizationFailed where the format cannot hold it, or a weight is compressed already.
    """
    outcomes = []
    for prefix, model, network in networks_of(spec):
        check_support("neuralnetwork", model.specificationVersion, step, where)
        changed = []
        weights = list(weights_of_network(network, prefix))
        for index, weight in enumerate(weights):
            progress(index, len(weights), weight.name)
            changed.append(_quantize(weight, step, folder, where, only_gains=only_gains))
        if any(outcome.skipped is None for outcome in changed):
            needed = FLOAT16_SPECIFICATION if step.method == "float16" else QUANTIZED_SPECIFICATION
            model.specificationVersion = max(model.specificationVersion, needed)
            spec.specificationVersion = max(spec.specificationVersion, needed)
        outcomes += changed
    return outcomes


def _quantize(stored: LayerWeight, step: QuantizeStep, folder: Path, where: str, *, only_gains: bool) -> Outcome:
    values = stored.values()
    stored_bytes = values.size * stored_bits(stored.params) // 8
    channel_axis = stored.channel_axis if stored.per_channel else None
    compressed = stored_as(stored.params) not in ("float32", "float16")
    weight = Weight(stored.name, values, "neuralnetwork", stored_bytes, channel_axis, None, compressed, folder)
    try:
        _check_role(stored, weight, step)
        encoded = compress(weight, step, (stored.name, stored.layer), where, only_gains=only_gains)
    except SkippedWeight as reason:
        return Outcome(weight, step, str(reason), isinstance(reason, NoGain))
    _store(stored.params, encoded)
    return Outcome(weight, step, None)


def _check_role(stored: LayerWeight, weight: Weight, step: QuantizeStep) -> None:
    if stored.role == "fixed":
        raise SkippedWeight("is of a kind for which Core ML documents no compression")
    if stored.params.isUpdatable:
        raise SkippedWeight("is trained on the device, which needs float32")
    if stored.role == "vector" and step.method != "float16":
        raise SkippedWeight("has one value a channel: too few to gain from fewer bits, and too important")
    if stored.role == "constant" and holds_whole_numbers(weight):
        raise SkippedWeight("holds whole numbers: indices or a shape")


def _store(params: Any, encoded: Encoded) -> None:
    """Put the encoded values in the place of the old ones."""
    params.Clear()
    if isinstance(encoded, Linear):
        params.rawValue = pack(encoded.levels, encoded.bits, "big")
        params.quantization.numberOfBits = encoded.bits
        params.quantization.linearQuantization.scale.extend(encoded.scale.reshape(-1))
        params.quantization.linearQuantization.bias.extend(() if encoded.bias is None else encoded.bias.reshape(-1))
    elif isinstance(encoded, Palette):
        params.rawValue = pack(encoded.indices, encoded.bits, "big")
        params.quantization.numberOfBits = encoded.bits
        params.quantization.lookupTableQuantization.floatValue.extend(encoded.tables[0])
    else:
        params.float16Value = encoded.astype("<f2").tobytes()
