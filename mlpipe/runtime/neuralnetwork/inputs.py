"""Network inputs: features as the specification maps them to tensors, and the preprocessing of images.

Source: the enums NeuralNetworkMultiArrayShapeMapping and NeuralNetworkImageShapeMapping and the messages NeuralNetworkImageScaler and
NeuralNetworkMeanImage of the specification.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from mlpipe.errors import NotExecutable
from mlpipe.runtime.features import Feature
from mlpipe.runtime.feeding import STORAGE
from mlpipe.runtime.neuralnetwork.network import Network, SizeOf
from mlpipe.runtime.onnx_graph import Dim

RANK5 = 0
"""The value of both mapping enums that makes [sequence, batch, channel, height, width] of every input."""

LARGEST_INPUT = 1 << 30
"""The most bytes that a network may declare an input with: what it says is believed before anything is fed, and weights are laid out for it."""


def add_inputs(net: Network, network: Any, features: Sequence[Feature]) -> None:
    """Declare the graph's inputs and enter the network's tensors for them.

    Errors: NotExecutable for features that networks do not take, and preprocessing that does not fit them.
    """
    preprocessing = _preprocessing(network, features)
    for feature in features:
        value = _declare(net, feature)
        if feature.kind == "image":
            value = _preprocess(net, feature, value, preprocessing.get(feature.name))
            if network.imageInputShapeMapping == RANK5:
                value = net.reshape(value, [1, 1, *(SizeOf(value, axis) for axis in (1, 2, 3))])
        elif network.arrayInputShapeMapping == RANK5:
            value = _rank5(net, feature, value)
        # Whole numbers are indices, which no kernel rounds.
        net.values[feature.name] = value if feature.dtype.startswith("int") else net.round(value)


def _declare(net: Network, feature: Feature) -> str:
    sizes = feature.sizes.dims()
    if (taken := math.prod(size for size in sizes if size is not None) * 4) > LARGEST_INPUT:
        raise NotExecutable(f"input {feature.name!r} would take {taken / 1e9:,.1f} GB", why=f"it is declared as {feature}")
    dims: list[Dim] = [f"{feature.name}.{axis}" if size is None else size for axis, size in enumerate(sizes)]
    if feature.kind == "image":
        return net.graph.add_input(feature.name, np.float32, [1, feature.channels, *dims])
    if feature.kind != "array" or not dims:
        raise NotExecutable(f"a network input of kind {feature.kind} without a shape" if feature.kind == "array" else f"a network input of kind {feature.kind}")
    return net.number(net.graph.add_input(feature.name, STORAGE[feature.dtype], dims))


def _rank5(net: Network, feature: Feature, value: str) -> str:
    rank = net.graph.rank(value)
    if rank == 1:
        return net.reshape(value, [1, 1, SizeOf(value, 0), 1, 1])
    if rank == 3:
        return net.reshape(value, [1, 1, *(SizeOf(value, axis) for axis in range(3))])
    raise NotExecutable(f"input {feature.name!r} has rank {rank}", why="the rank 5 mapping of the model takes arrays of rank 1 and 3")


def _preprocessing(network: Any, features: Sequence[Feature]) -> dict[str, Any]:
    """Return the preprocessing of each image input by name; an empty name means the only image."""
    images = [feature.name for feature in features if feature.kind == "image"]
    found: dict[str, Any] = {}
    for preprocessing in network.preprocessing:
        name = preprocessing.featureName or (images[0] if len(images) == 1 else "")
        if name not in images:
            raise NotExecutable(f"the preprocessing of {preprocessing.featureName!r} belongs to no image input", why=f"the images are {images}")
        if name in found:
            raise NotExecutable(f"input {name!r} has more than one preprocessing", why="the specification does not say in which order they apply")
        found[name] = preprocessing
    return found


def _preprocess(net: Network, feature: Feature, image: str, preprocessing: Any) -> str:
    kind = preprocessing.WhichOneof("preprocessor") if preprocessing is not None else None
    if kind == "scaler":
        return _scale(net, feature, image, preprocessing.scaler)
    if kind == "meanImage":
        mean = np.asarray(preprocessing.meanImage.meanImage, np.float32)
        shape = net.graph.static_shape(image)
        if shape is None or mean.size != np.prod(shape):
            raise NotExecutable(f"the mean image of input {feature.name!r} has {mean.size} values", why=f"the image is {feature}")
        return net.graph.add("Sub", image, net.graph.constant(mean.reshape(shape)))
    return image


def _scale(net: Network, feature: Feature, image: str, scaler: Any) -> str:
    if scaler.channelScale == 0:
        raise NotExecutable(f"the preprocessing of input {feature.name!r} has no scale", why="the specification names no default for it")
    biases = {
        "rgb": (scaler.redBias, scaler.greenBias, scaler.blueBias),
        "bgr": (scaler.blueBias, scaler.greenBias, scaler.redBias),
        "grayscale": (scaler.grayBias,),
        "grayscale_float16": (scaler.grayBias,),
    }
    assert feature.color is not None
    bias = np.asarray(biases[feature.color], np.float32).reshape(1, -1, 1, 1)
    scaled = net.graph.add("Mul", image, net.scalar(scaler.channelScale)) if scaler.channelScale != 1 else image
    return net.graph.add("Add", scaled, net.graph.constant(bias)) if bias.any() else scaled
