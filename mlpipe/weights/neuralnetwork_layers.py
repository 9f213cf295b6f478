"""Where the weights of NeuralNetwork layers stand, how they are shaped and what they are for.

Source: the comments of `mlmodel/format/NeuralNetwork.proto`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

from mlpipe.weights.neuralnetwork import FloatArray, decode, stored_as

Role = Literal["matrix", "constant", "vector", "fixed"]
"""`matrix`: takes any compression; `constant`: a stored tensor, which may hold indices; `vector`: one value a channel, at least 16 bits;
`fixed`: the format documents no compression for it, or only the app knows what it is."""


@dataclass(frozen=True)
class LayerWeight:
    """One weight of one layer."""

    name: str
    """`layer.field`, e.g. `conv1.weights`."""
    layer: str
    """The layer's own name."""
    params: Any
    """The protobuf `WeightParams`, which may be changed in place."""
    shape: tuple[int, ...]
    role: Role
    channel_axis: int = 0
    """The axis of the output channels, which per-channel scales run along."""
    per_channel: bool = True
    """Whether one scale a channel is defined for it."""

    def values(self) -> FloatArray:
        """Return the decoded weight."""
        return decode(self.params, self.shape, channel_axis=self.channel_axis)


def networks_of(spec: Any, prefix: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Yield a prefix for names, the model and the neural network, for a model or for each neural network in a pipeline."""
    kind = spec.WhichOneof("Type")
    if kind in ("neuralNetwork", "neuralNetworkClassifier", "neuralNetworkRegressor"):
        yield prefix, spec, getattr(spec, kind)
    elif kind in ("pipeline", "pipelineClassifier", "pipelineRegressor"):
        holder = getattr(spec, kind)
        for index, model in enumerate((holder if kind == "pipeline" else holder.pipeline).models):
            yield from networks_of(model, f"{prefix}{index}/")


def weights_of_network(network: Any, prefix: str = "") -> Iterator[LayerWeight]:
    """Yield every weight that the network holds, in file order, also inside branches and loops."""
    for layer in network.layers:
        for weight in weights_of_layer(layer):
            yield replace(weight, name=prefix + weight.name)
        for inner in inner_networks(layer):
            yield from weights_of_network(inner, prefix)


def weights_of_layer(layer: Any) -> Iterator[LayerWeight]:
    """Yield the weights of one layer, those of nested networks left out."""
    kind = layer.WhichOneof("layer")
    find = _LAYERS.get(kind)
    if find is None:
        return
    for field, params, shape, role, *axis in find(getattr(layer, kind)):
        if stored_as(params) != "empty":
            yield LayerWeight(f"{layer.name}.{field}", layer.name, params, tuple(int(size) for size in shape), role, *axis)


def inner_networks(layer: Any) -> tuple[Any, ...]:
    """Return the networks inside a branch or a loop."""
    kind = layer.WhichOneof("layer")
    if kind == "branch":
        return (layer.branch.ifBranch, layer.branch.elseBranch)
    return (layer.loop.conditionNetwork, layer.loop.bodyNetwork) if kind == "loop" else ()


_Found = Iterator[tuple[Any, ...]]
"""field, params, shape, role, and where they differ from their defaults: channel axis, per_channel."""


def _convolution(layer: Any) -> _Found:
    groups = int(layer.nGroups) or 1
    kernel = tuple(layer.kernelSize) or (3, 3)
    if layer.isDeconvolution:
        # With groups, the axis holds outputChannels / groups: what scales per output channel would mean there is not written down.
        yield "weights", layer.weights, (layer.kernelChannels, layer.outputChannels // groups, *kernel), "matrix", 1, groups == 1
    else:
        yield "weights", layer.weights, (layer.outputChannels, layer.kernelChannels, *kernel), "matrix"
    yield "bias", layer.bias, (layer.outputChannels,), "vector"


def _convolution3d(layer: Any) -> _Found:
    groups = int(layer.nGroups) or 1
    kernel = (layer.kernelDepth, layer.kernelHeight, layer.kernelWidth)
    channels = (layer.inputChannels, layer.outputChannels // groups) if layer.isDeconvolution else (layer.outputChannels, layer.inputChannels // groups)
    yield "weights", layer.weights, (*channels, *kernel), "fixed", int(layer.isDeconvolution)
    yield "bias", layer.bias, (layer.outputChannels,), "fixed"


def _inner_product(layer: Any) -> _Found:
    yield "weights", layer.weights, (layer.outputChannels, layer.inputChannels), "matrix"
    yield "bias", layer.bias, (layer.outputChannels,), "vector"


def _embedding(layer: Any) -> _Found:
    yield "weights", layer.weights, (layer.outputChannels, layer.inputDim), "matrix"
    yield "bias", layer.bias, (layer.outputChannels,), "vector"


def _embedding_nd(layer: Any) -> _Found:
    yield "weights", layer.weights, (layer.embeddingSize, layer.vocabSize), "matrix"
    yield "bias", layer.bias, (layer.embeddingSize,), "vector"


def _batched_matmul(layer: Any) -> _Found:
    # Stored column-major, so that row-major the second dimension comes first.
    yield "weights", layer.weights, (layer.weightMatrixSecondDimension, layer.weightMatrixFirstDimension), "matrix"
    yield "bias", layer.bias, (layer.weightMatrixSecondDimension,), "vector"


def _batchnorm(layer: Any) -> _Found:
    for field in ("gamma", "beta", "mean", "variance"):
        yield field, getattr(layer, field), (layer.channels,), "vector"


def _scale(layer: Any) -> _Found:
    yield "scale", layer.scale, tuple(layer.shapeScale), "vector"
    yield "bias", layer.bias, tuple(layer.shapeBias), "vector"


def _bias(layer: Any) -> _Found:
    yield "bias", layer.bias, tuple(layer.shape), "vector"


def _load_constant(layer: Any) -> _Found:
    yield "data", layer.data, tuple(layer.shape), "constant", 0, False


def _layer_normalization(layer: Any) -> _Found:
    yield "gamma", layer.gamma, tuple(layer.normalizedShape), "fixed"
    yield "beta", layer.beta, tuple(layer.normalizedShape), "fixed"


def _activation(layer: Any) -> _Found:
    kind = layer.WhichOneof("NonlinearityType")
    for field in {"PReLU": ("alpha",), "parametricSoftplus": ("alpha", "beta")}.get(kind, ()):
        params = getattr(getattr(layer, kind), field)
        yield f"{kind}.{field}", params, (len(params.floatValue) or len(params.float16Value) // 2,), "fixed"


def _custom(layer: Any) -> _Found:
    for index, params in enumerate(layer.weights):
        count = len(params.floatValue) or len(params.float16Value) // 2
        if count:
            yield f"weights[{index}]", params, (count,), "fixed"


def _simple_recurrent(layer: Any) -> _Found:
    inputs, outputs = layer.inputVectorSize, layer.outputVectorSize
    yield "weightMatrix", layer.weightMatrix, (outputs, inputs), "matrix"
    yield "recursionMatrix", layer.recursionMatrix, (outputs, outputs), "matrix"
    yield "biasVector", layer.biasVector, (outputs,), "vector"


def _gru(layer: Any) -> _Found:
    yield from _gates(layer, ("updateGate", "resetGate", "outputGate"), layer.inputVectorSize, layer.outputVectorSize)


def _lstm(layer: Any) -> _Found:
    many = hasattr(layer.weightParams, "__len__")
    for index, params in enumerate(layer.weightParams if many else [layer.weightParams]):
        gates = ("inputGate", "forgetGate", "blockInput", "outputGate")
        for field, *rest in _gates(params, gates, layer.inputVectorSize, layer.outputVectorSize):
            yield f"{('forward', 'backward')[index]}.{field}" if many else field, *rest


def _gates(holder: Any, gates: tuple[str, ...], inputs: int, outputs: int) -> _Found:
    for gate in gates:
        yield f"{gate}WeightMatrix", getattr(holder, f"{gate}WeightMatrix"), (outputs, inputs), "matrix"
    for gate in gates:
        yield f"{gate}RecursionMatrix", getattr(holder, f"{gate}RecursionMatrix"), (outputs, outputs), "matrix"
    for gate in gates:
        for suffix in ("BiasVector", "PeepholeVector"):
            if hasattr(holder, gate + suffix):
                yield gate + suffix, getattr(holder, gate + suffix), (outputs,), "vector"


_LAYERS: dict[str, Callable[[Any], _Found]] = {
    "activation": _activation,
    "batchedMatmul": _batched_matmul,
    "batchnorm": _batchnorm,
    "biDirectionalLSTM": _lstm,
    "bias": _bias,
    "convolution": _convolution,
    "convolution3d": _convolution3d,
    "custom": _custom,
    "embedding": _embedding,
    "embeddingND": _embedding_nd,
    "gru": _gru,
    "innerProduct": _inner_product,
    "layerNormalization": _layer_normalization,
    "loadConstant": _load_constant,
    "loadConstantND": _load_constant,
    "scale": _scale,
    "simpleRecurrent": _simple_recurrent,
    "uniDirectionalLSTM": _lstm,
}
