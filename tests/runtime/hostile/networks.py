"""NeuralNetworks to be damaged: every family of layers whose parameters are sizes, amounts, places or names."""

from __future__ import annotations

import numpy as np
from models import RANDOM, TEXT, Fields, borders, chain, halves, layer, levels, model, network, weights

IMAGE = RANDOM.standard_normal((1, 3, 8, 8)).astype(np.float32)
ROWS = RANDOM.standard_normal((4, 6)).astype(np.float32)
SQUARE: Fields = {"kernelSize": [3, 3], "stride": [1, 1], "dilationFactor": [1, 1]}


def convolutions() -> Fields:
    """Convolutions, poolings, normalizations and pictures of other sizes."""
    layers = chain(
        (
            "convolution",
            {"outputChannels": 4, "kernelChannels": 3, "nGroups": 1, **SQUARE, "valid": {"paddingAmounts": borders(1, 1)}, "weights": weights(4, 3, 3, 3)},
        ),
        ("batchnorm", {"channels": 4, "gamma": weights(4), "beta": weights(4), "mean": weights(4), "variance": {"floatValue": [1, 2, 3, 4]}, "epsilon": 1e-5}),
        ("activation", {"PReLU": {"alpha": weights(4)}}),
        ("pooling", {"type": "MAX", "kernelSize": [2, 2], "stride": [2, 2], "valid": {}}),
        ("upsample", {"scalingFactor": [2, 3], "mode": "BILINEAR"}),
        ("padding", {"constant": {"value": 1.0}, "paddingAmounts": borders(1, 2)}),
        ("crop", {"cropAmounts": borders(2, 1)}),
        ("lrn", {"alpha": 1.0, "beta": 0.5, "localSize": 3, "k": 1.0}),
        ("mvn", {"acrossChannels": True, "normalizeVariance": True, "epsilon": 1e-5}),
        ("reorganizeData", {"mode": "SPACE_TO_DEPTH", "blockSize": 2}),
        ("resizeBilinear", {"targetSize": [6, 5], "mode": {"samplingMethod": "ALIGN_ENDPOINTS_MODE"}}),
        (
            "convolution",
            {"outputChannels": 2, "kernelChannels": 16, "nGroups": 2, **SQUARE, "same": {}, "isDeconvolution": True, "weights": weights(16, 1, 3, 3)},
        ),
        ("pooling", {"type": "AVERAGE", "kernelSize": [3, 3], "stride": [1, 1], "includeLastPixel": {"paddingAmounts": [1, 1]}, "avgPoolExcludePadding": True}),
    )
    return network(layers, [1, 3, 8, 8], layers[-1]["output"])


def volumes() -> Fields:
    """Convolutions and poolings of three dimensions."""
    sizes: Fields = {"kernelDepth": 2, "kernelHeight": 2, "kernelWidth": 2, "strideDepth": 1, "strideHeight": 1, "strideWidth": 1}
    once: Fields = {"dilationDepth": 1, "dilationHeight": 1, "dilationWidth": 1}
    layers = chain(
        ("convolution3d", {"outputChannels": 2, "inputChannels": 1, "nGroups": 1, **sizes, **once, "weights": weights(16), "paddingType": "SAME"}),
        ("pooling3d", {"type": "AVERAGE", **sizes, "paddingType": "CUSTOM", "customPaddingFront": 1, "countExcludePadding": True}),
        ("globalPooling3d", {"type": "MAX"}),
    )
    return network(layers, [1, 1, 3, 4, 4], layers[-1]["output"])


def classifier_of_pictures(preprocessing: Fields) -> Fields:
    """Return a classifier as the first specifications wrote them."""
    layers = chain(
        (
            "convolution",
            {"outputChannels": 4, "kernelChannels": 3, "nGroups": 1, **SQUARE, "valid": {}, "weights": halves(4, 3, 3, 3), "hasBias": True, "bias": weights(4)},
        ),
        ("scale", {"shapeScale": [4, 1, 1], "scale": weights(4), "hasBias": True, "shapeBias": [1], "bias": weights(1)}),
        ("pooling", {"type": "AVERAGE", "globalPooling": True, "valid": {}}),
        ("flatten", {}),
        ("innerProduct", {"inputChannels": 4, "outputChannels": 3, "weights": weights(3, 4), "hasBias": True, "bias": weights(3)}),
        ("softmax", {}),
    )
    parameters = {"layers": layers, "preprocessing": [{**preprocessing, "featureName": "x"}], "stringClassLabels": {"vector": ["a", "b", "c"]}}
    image = {"imageType": {"width": 8, "height": 8, "colorSpace": "RGB"}}
    outputs = {"label": TEXT, "scores": {"dictionaryType": {"stringKeyType": {}}}}
    interface = {"predictedFeatureName": "label", "predictedProbabilitiesName": "scores"}
    return {**model({"neuralNetworkClassifier": parameters}, {"x": image}, outputs, **interface), "specificationVersion": 1}


def photo() -> Fields:
    """A picture that is scaled."""
    return classifier_of_pictures({"scaler": {"channelScale": 0.1, "redBias": 1.0}})


def portrait() -> Fields:
    """A picture from which another is taken away."""
    return classifier_of_pictures({"meanImage": {"meanImage": weights(3, 8, 8)["floatValue"]}})


def legacy() -> Fields:
    """Layers whose tensors all have rank 5."""
    layers = chain(
        ("permute", {"axis": [0, 2, 1, 3]}),
        ("reshape", {"targetShape": [1, 4, 3, 4], "mode": "CHANNEL_FIRST"}),
        ("slice", {"startIndex": 0, "endIndex": -1, "stride": 1, "axis": "WIDTH_AXIS"}),
        ("sequenceRepeat", {"nRepetitions": 2}),
        ("bias", {"shape": [4], "bias": weights(4)}),
        ("l2normalize", {"epsilon": 1e-5}),
        ("unary", {"type": "POWER", "alpha": 2.0, "epsilon": 1e-5, "scale": 1.0}),
        ("reduce", {"mode": "SUM", "axis": "HW"}),
    )
    constant = layer("loadConstant", [], ["made"], shape=[4, 1, 1], data=weights(4))
    return network([*layers, constant, layer("add", [*layers[-1]["output"], "made"], ["sum"])], [3, 4, 4], ["sum"], legacy=True)


def recurrent() -> Fields:
    """All four recurrent layers."""
    gates = [f"{gate}Gate{kind}" for kind in ("WeightMatrix", "RecursionMatrix") for gate in ("update", "reset", "output")]
    parts = [f"{gate}{kind}" for kind in ("WeightMatrix", "RecursionMatrix") for gate in ("inputGate", "forgetGate", "blockInput", "outputGate")]
    lstm = {"params": {"sequenceOutput": True, "cellClipThreshold": 50.0}, "activations": [{"sigmoid": {}}, {"tanh": {}}, {"tanh": {}}]}
    both = {"activationsForwardLSTM": lstm["activations"], "activationsBackwardLSTM": lstm["activations"], "params": lstm["params"]}
    size = {"inputVectorSize": 3, "outputVectorSize": 3}
    layers = chain(
        ("simpleRecurrent", {**size, "activation": {"tanh": {}}, "sequenceOutput": True, "weightMatrix": weights(3, 3), "recursionMatrix": weights(3, 3)}),
        ("gru", {**size, "activations": [{"sigmoid": {}}, {"tanh": {}}], "sequenceOutput": True, **{gate: weights(3, 3) for gate in gates}}),
        ("uniDirectionalLSTM", {**size, **lstm, "weightParams": {part: weights(3, 3) for part in parts}}),
        ("biDirectionalLSTM", {**size, **both, "weightParams": [{part: weights(3, 3) for part in parts}] * 2}),
    )
    return network(layers, [5, 2, 3, 1, 1], layers[-1]["output"])


def loops() -> Fields:
    """A loop whose rounds are counted, one with a condition, and branches."""
    body = {"layers": [layer("activation", ["y"], ["bent"], linear={"alpha": 0.5, "beta": 0.1}), layer("copy", ["bent"], ["y"])]}
    more = {"layers": [layer("reduceSum", ["y"], ["all"], reduceAll=True), layer("greaterThan", ["all"], ["more"], alpha=0.5)]}
    other = {"layers": [layer("unary", ["y"], ["turned"], type="ABS", scale=1.0), layer("copy", ["turned"], ["y"])]}
    layers = [
        layer("copy", ["x"], ["y"]),
        layer("loop", [], [], maxLoopIterations=3, bodyNetwork=body),
        layer("loop", [], [], maxLoopIterations=9, conditionVar="more", conditionNetwork=more, bodyNetwork=body),
        layer("reduceMax", ["x"], ["top"], reduceAll=True),
        layer("branch", ["top"], [], ifBranch=other, elseBranch=body),
        layer("activation", ["y"], ["out"], linear={"alpha": 1.0}),
    ]
    return network(layers, [4, 6], ["out"])


def shapes() -> Fields:
    """Layers whose parameters are sizes, amounts and places."""
    layers = chain(
        ("reshapeStatic", {"targetShape": [2, 3, 4]}),
        ("tile", {"reps": [1, 2, 2]}),
        ("constantPad", {"value": 0.5, "padAmounts": [0, 0, 1, 2, 0, 3]}),
        ("sliceStatic", {"beginIds": [0, 1, -5], "endIds": [2, 9, -1], "strides": [1, 2, 1], "beginMasks": [False] * 3, "endMasks": [True, False, False]}),
        ("transpose", {"axes": [1, 0, 2]}),
        ("expandDims", {"axes": [0]}),
        ("broadcastToStatic", {"targetShape": [2, 4, 2, 4]}),
        ("slidingWindows", {"axis": 1, "windowSize": 3, "step": 1}),
        ("cumSum", {"axis": 0}),
        ("rankPreservingReshape", {"targetShape": [2, 2, -1, 2, 1]}),
        ("flattenTo2D", {"axis": 1}),
        ("matrixBandPart", {"numLower": 1, "numUpper": -1}),
    )
    flat = layers[-1]["output"][0]
    layers += [
        layer("splitND", [flat], ["left", "right"], axis=-1, numSplits=2),
        layer("stack", ["left", "right"], ["stacked"], axis=1),
        layer("topK", ["stacked"], ["best", "places"], axis=-1, K=3),
        layer("oneHot", ["places"], ["hot"], oneHotVectorSize=40, axis=-1, onValue=1.0),
        layer("rangeStatic", [], ["counted"], endValue=4.0, startValue=0.0, stepSizeValue=2.0),
        layer("gather", ["stacked", "counted"], ["picked"], axis=2),
        layer("fillStatic", [], ["filled"], value=2.0, targetShape=[2, 2, 2]),
        layer("concatND", ["picked", "filled"], ["joined"], axis=0),
        layer("randomNormalStatic", [], ["noise"], seed=1, mean=0.0, stdDev=1.0, outputShape=[2, 2]),
        layer("scatter", ["joined", "counted", "picked"], ["spread"], axis=2, mode="SCATTER_ADD"),
        layer("reduceSum", ["hot"], ["heat"], axes=[-1], keepDims=True),
    ]
    layers[-2]["input"] = ["joined", "one", "part"]
    layers[-2:-2] = [
        layer("loadConstantND", [], ["one"], shape=[1], data={"floatValue": [1.0]}),
        layer("sliceStatic", ["joined"], ["part"], beginIds=[0, 0, 0], endIds=[4, 2, 1], strides=[1, 1, 1], beginMasks=[False] * 3, endMasks=[False] * 3),
    ]
    return network(layers, [4, 6], ["spread", "heat", "noise", "best"])


def computed() -> Fields:
    """Sizes and places that are values of the network."""
    layers = [
        layer("getShape", ["x"], ["sizes"]),
        layer("loadConstantND", [], ["two"], shape=[2], data={"floatValue": [2, 1]}),
        layer("multiplyBroadcastable", ["sizes", "two"], ["doubled"]),
        layer("fillDynamic", ["doubled"], ["filled"], value=1.0),
        layer("tile", ["x", "two"], ["tiled"]),
        layer("addBroadcastable", ["filled", "tiled"], ["sum"]),
        layer("whereNonZero", ["sum"], ["found"]),
        layer("gatherND", ["sum", "found"], ["values"]),
        layer("reshapeDynamic", ["x", "turned"], ["other"]),
        layer("batchedMatmul", ["x", "other"], ["product"]),
        layer("argSort", ["product"], ["order"], axis=-1),
        layer("gatherAlongAxis", ["product", "order"], ["sorted"], axis=1),
        layer("layerNormalization", ["sorted"], ["out"], normalizedShape=[4], eps=1e-5, gamma=weights(4), beta=weights(4)),
    ]
    layers.insert(8, layer("reverse", ["sizes"], ["turned"], reverseDim=[True]))
    return network(layers, [4, 6], ["values", "out"])


def detection() -> Fields:
    """Boxes that are cut out of pictures, and those that are kept."""
    layers = [
        layer("loadConstantND", [], ["boxes"], shape=[1, 3, 4], data={"floatValue": [0.1, 0.1, 0.5, 0.5, 0.1, 0.1, 0.6, 0.5, 0.7, 0.7, 0.2, 0.2]}),
        layer("loadConstantND", [], ["marks"], shape=[1, 3, 2], data={"floatValue": [0.9, 0.1, 0.8, 0.2, 0.3, 0.7]}),
        layer("NonMaximumSuppression", ["boxes", "marks"], ["kept", "scores", "places", "count"], iouThreshold=0.3, scoreThreshold=0.2, maxBoxes=4),
        layer("loadConstantND", [], ["corners"], shape=[2, 1, 4, 1, 1], data={"floatValue": [0, 0, 4, 4, 1, 1, 6, 5]}),
        layer("expandDims", ["x"], ["picture"], axes=[0]),
        layer("cropResize", ["picture", "corners"], ["cut"], targetSize=[3, 4], spatialScale=1.0),
    ]
    return network(layers, [1, 3, 8, 8], ["kept", "places", "count", "cut"])


def quantized() -> Fields:
    """Weights in every form that is not float32."""
    dynamic = {"int8RawValue": levels(24)["rawValue"], "quantization": {"numberOfBits": 8, "linearQuantization": {"scale": [0.1]}}}
    table = {"lookupTableQuantization": {"floatValue": [0.5, -0.5, 1.0, 2.0] * 64}}
    layers = chain(
        ("innerProduct", {"inputChannels": 6, "outputChannels": 4, "weights": levels(24, linearQuantization={"scale": [0.1] * 4, "bias": [-0.2] * 4})}),
        ("innerProduct", {"inputChannels": 4, "outputChannels": 6, "weights": levels(24, **table), "hasBias": True, "bias": halves(6)}),
        ("innerProduct", {"inputChannels": 6, "outputChannels": 4, "weights": dynamic, "int8DynamicQuantize": True}),
        ("embeddingND", {"vocabSize": 3, "embeddingSize": 2, "weights": halves(6)}),
    )
    layers[-1]["input"] = ["whole"]
    layers.insert(-1, layer("clip", layers[2]["output"], ["near"], minVal=0.0, maxVal=2.0))
    layers.insert(-1, layer("round", ["near"], ["rounded"]))
    layers.insert(-1, layer("expandDims", ["rounded"], ["whole"], axes=[2]))
    return network(layers, [4, 6], layers[-1]["output"])


def custom() -> Fields:
    """A custom layer between two others."""
    inner = {"className": "Double", "parameters": {"times": {"doubleValue": 2.0}}, "weights": [weights(3)]}
    layers = chain(("unary", {"type": "EXP", "scale": 1.0}), ("custom", inner), ("softmaxND", {"axis": -1}))
    return network(layers, [4, 6], layers[-1]["output"])


def flexible() -> Fields:
    """A picture of any size, in a regressor."""
    layers = chain(
        ("convolution", {"outputChannels": 2, "kernelChannels": 3, "nGroups": 1, **SQUARE, "valid": {}, "weights": weights(2, 3, 3, 3)}),
        ("upsample", {"scalingFactor": [2, 2]}),
        ("pooling", {"type": "L2", "kernelSize": [2, 2], "stride": [2, 2], "valid": {}}),
        ("reduceMean", {"axes": [1, 2, 3]}),
    )
    made = network(layers, [1, 3, 8, 8], layers[-1]["output"], kind="neuralNetworkRegressor")
    made["description"]["predictedFeatureName"] = layers[-1]["output"][0]
    ranges = [{"lowerBound": 1, "upperBound": 1}, {"lowerBound": 3, "upperBound": 3}, *[{"lowerBound": 4, "upperBound": -1}] * 2]
    made["description"]["input"][0]["type"]["multiArrayType"]["shapeRange"] = {"sizeRanges": ranges}
    return made


BUILT = [convolutions, volumes, photo, portrait, legacy, recurrent, loops, shapes, computed, detection, quantized, custom, flexible]
FED = {
    **dict.fromkeys(["photo", "portrait"], np.full((8, 8, 3), 7, np.uint8)),
    **dict.fromkeys(["convolutions", "detection", "flexible"], IMAGE),
    "volumes": RANDOM.standard_normal((1, 1, 3, 4, 4)).astype(np.float32),
    "legacy": IMAGE[0, :, :4, :4],
    "recurrent": RANDOM.standard_normal((5, 2, 3, 1, 1)).astype(np.float32),
}
NETWORKS = {build.__name__: (build(), {"x": FED.get(build.__name__, ROWS)}) for build in BUILT}
"""Name -> the network as protobuf's JSON, and what it is fed."""
