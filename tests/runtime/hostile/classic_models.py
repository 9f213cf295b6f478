"""Classic models and pipelines to be damaged."""

from __future__ import annotations

from typing import Any

import numpy as np
from models import NUMBER, RANDOM, SHARES, TEXT, WHOLE, Fields, array, chain, layer, model, network, weights

POINTS = RANDOM.standard_normal((6, 3)).round(2).tolist()
VECTOR = {"x": np.array([0.5, -1.0, 2.0], np.float32)}
CLASSIFIES = {"predictedFeatureName": "label", "predictedProbabilitiesName": "scores"}
LABELS = {"stringClassLabels": {"vector": ["a", "b", "c"]}}


def classifier(parameters: Fields) -> Fields:
    """Return a classifier of three numbers."""
    return model(parameters, {"x": array(3)}, {"label": TEXT, "scores": SHARES}, **CLASSIFIES)


def regressor(parameters: Fields) -> Fields:
    """Return a regressor of three numbers."""
    return model(parameters, {"x": array(3)}, {"y": NUMBER}, predictedFeatureName="y")


def converter(parameters: Fields, given: Fields, made: Fields) -> Fields:
    """Return a model of one input and one output."""
    return model(parameters, {"x": given}, {"y": made})


def _tree(number: int, dimensions: int) -> list[Fields]:
    def branch(place: int, feature: int, behavior: str, split: float) -> Fields:
        children = {"trueChildNodeId": 2 * place + 1, "falseChildNodeId": 2 * place + 2}
        return {"treeId": number, "nodeId": place, "nodeBehavior": behavior, "branchFeatureIndex": feature, "branchFeatureValue": split, **children}

    leaves = [
        {
            "treeId": number,
            "nodeId": place,
            "nodeBehavior": "LeafNode",
            "evaluationInfo": [{"evaluationIndex": d, "evaluationValue": 0.1 * place + d} for d in range(dimensions)],
        }
        for place in (2, 3, 4)
    ]
    return [branch(0, 0, "BranchOnValueLessThanEqual", 0.3), branch(1, 2, "BranchOnValueGreaterThan", 1.0), *leaves]


def trees(dimensions: int) -> Fields:
    """Return an ensemble of three trees."""
    nodes = [node for number in range(3) for node in _tree(number, dimensions)]
    return {"nodes": nodes, "numPredictionDimensions": dimensions, "basePredictionValue": [0.5] * dimensions}


def _dense(rows: Any) -> Fields:
    return {"vectors": [{"values": row} for row in rows]}


def _sparse(rows: Any) -> Fields:
    return {"vectors": [{"nodes": [{"index": place + 1, "value": value} for place, value in enumerate(row)]} for row in rows]}


SVM = {
    "kernel": {"rbfKernel": {"gamma": 0.5}},
    "numberOfSupportVectorsPerClass": [2, 2, 2],
    "denseSupportVectors": _dense(POINTS),
    "coefficients": [{"alpha": [0.5, 0.2, -0.3, 0.4, -0.5, 0.1]}] * 2,
    "rho": [0.1, 0.2, 0.3],
    "probA": [-1.0, -2.0, -1.5],
    "probB": [0.1, 0.0, 0.2],
    **LABELS,
}
POLYNOMIAL = {
    "kernel": {"polyKernel": {"degree": 3, "c": 1.0, "gamma": 0.5}},
    "sparseSupportVectors": _sparse(POINTS),
    "coefficients": {"alpha": [0.5] * 6},
    "rho": 0.1,
}
NEIGHBORS = {
    "nearestNeighborsIndex": {
        "numberOfDimensions": 3,
        "floatSamples": [{"vector": point} for point in POINTS],
        "singleKdTreeIndex": {"leafSize": 3},
        "squaredEuclideanDistance": {},
    },
    "numberOfNeighbors": {"defaultValue": 3, "range": {"minValue": 1, "maxValue": 5}},
    "stringClassLabels": {"vector": ["a", "b", "c", "a", "b", "c"]},
    "inverseDistanceWeighting": {},
}
LINEAR = {
    "weights": [{"value": point} for point in POINTS[:3]],
    "offset": [0.1, 0.2, 0.3],
    "postEvaluationTransform": "Logit",
    "classEncoding": "OneVsRest",
    **LABELS,
}
BOXES = {
    **dict.fromkeys(["confidenceInputFeatureName", "confidenceOutputFeatureName"], "confidence"),
    **dict.fromkeys(["coordinatesInputFeatureName", "coordinatesOutputFeatureName"], "coordinates"),
    "pickTop": {"perClass": True},
    "iouThreshold": 0.5,
    "confidenceThreshold": 0.2,
    "iouThresholdInputFeatureName": "iou",
    "stringClassLabels": {"vector": ["a", "b"]},
}
FEW = {"multiArrayType": {"dataType": "DOUBLE", "shapeRange": {"sizeRanges": [{"upperBound": -1}, {"lowerBound": 4, "upperBound": 4}]}}}
FOUND = {"confidence": array(3, 2), "coordinates": array(3, 4), "iou": {"doubleType": {}, "isOptional": True}}
KEPT = {"confidence": {"multiArrayType": {"dataType": "DOUBLE"}}, "coordinates": FEW}
SCALED = converter({"scaler": {"shiftValue": [1, 2, 3], "scaleValue": [0.5]}}, array(3), array(3))
NETWORK = network(
    chain(("softmaxND", {"axis": -1}), ("innerProduct", {"inputChannels": 3, "outputChannels": 3, "weights": weights(3, 3)}), first="y"),
    [3],
    ["innerProduct_1"],
)
NETWORK["description"]["input"][0]["name"] = "y"
LAST = classifier({"glmClassifier": LINEAR})
LAST["description"]["input"][0]["name"] = "innerProduct_1"
STAGES = {"models": [SCALED, NETWORK, LAST], "names": ["scaler", "network", "classifier"]}
NESTED = {"models": [converter({"pipeline": {"models": [SCALED]}}, array(3), array(3)), NETWORK]}
WITH_CUSTOM = network([layer("custom", ["x"], ["y"], className="Double", parameters={"times": {"doubleValue": 2.0}})], [3], ["y"])
FORESTS = {"models": [WITH_CUSTOM, {**regressor({"treeEnsembleRegressor": {"treeEnsemble": trees(1)}})}]}
FORESTS["models"][1]["description"]["input"][0]["name"] = "y"
FORESTS["models"][1]["description"]["output"][0]["name"] = "z"
FORESTS["models"][1]["description"]["predictedFeatureName"] = "z"

MODELS: dict[str, tuple[Fields, Fields]] = {
    "forest": (classifier({"treeEnsembleClassifier": {"treeEnsemble": trees(3), "postEvaluationTransform": "Classification_SoftMax", **LABELS}}), VECTOR),
    "boosted": (regressor({"treeEnsembleRegressor": {"treeEnsemble": trees(1), "postEvaluationTransform": "Regression_Logistic"}}), VECTOR),
    "linear_classifier": (classifier({"glmClassifier": LINEAR}), VECTOR),
    "linear": (regressor({"glmRegressor": {"weights": [{"value": POINTS[0]}], "offset": [0.5], "postEvaluationTransform": "Probit"}}), VECTOR),
    "machines": (classifier({"supportVectorClassifier": SVM}), VECTOR),
    "machine": (regressor({"supportVectorRegressor": POLYNOMIAL}), VECTOR),
    "neighbors": (classifier({"kNearestNeighborsClassifier": NEIGHBORS}), VECTOR),
    "boxes": (model({"nonMaximumSuppression": BOXES}, FOUND, KEPT), {"confidence": np.eye(3, 2), "coordinates": np.ones((3, 4)), "iou": 0.3}),
    "dictionary": (converter({"dictVectorizer": {"stringToIndex": {"vector": ["a", "b"]}}}, SHARES, array(2)), {"x": {"a": 1.0, "c": 2.0}}),
    "hot": (converter({"oneHotEncoder": {"stringCategories": {"vector": ["a", "b"]}, "handleUnknown": "IgnoreUnknown"}}, TEXT, array(2)), {"x": "b"}),
    "hot_sparse": (
        converter({"oneHotEncoder": {"int64Categories": {"vector": [1, 7]}, "outputSparse": True}}, WHOLE, {"dictionaryType": {"int64KeyType": {}}}),
        {"x": 7},
    ),
    "columns": (
        model(
            {"featureVectorizer": {"inputList": [{"inputColumn": "x", "inputDimensions": 3}, {"inputColumn": "n", "inputDimensions": 1}]}},
            {"x": array(3), "n": NUMBER},
            {"y": array(4)},
        ),
        {**VECTOR, "n": 2.0},
    ),
    "imputer": (converter({"imputer": {"imputedDoubleArray": {"vector": [1, 2, 3]}, "replaceDoubleValue": 2.0}}, array(3), array(3)), VECTOR),
    "normalizer": (converter({"normalizer": {"normType": "L2"}}, array(3), array(3)), VECTOR),
    "scaler": (SCALED, VECTOR),
    "extractor": (converter({"arrayFeatureExtractor": {"extractIndex": [2, 0]}}, array(3), array(2)), VECTOR),
    "mapping": (converter({"categoricalMapping": {"stringToInt64Map": {"map": {"a": 1}}, "int64Value": 5}}, TEXT, WHOLE), {"x": "z"}),
    "identity": (converter({"identity": {}}, array(3), array(3)), VECTOR),
    "own": (converter({"customModel": {"className": "Own", "parameters": {"times": {"doubleValue": 2.0}}}}, array(3), array(3)), VECTOR),
    "pipeline": (model({"pipelineClassifier": {"pipeline": STAGES}}, {"x": array(3)}, {"label": TEXT, "scores": SHARES}, **CLASSIFIES), VECTOR),
    "nested": (model({"pipeline": NESTED}, {"x": array(3)}, {"innerProduct_1": array(3)}), VECTOR),
    "forests": (model({"pipelineRegressor": {"pipeline": FORESTS}}, {"x": array(3)}, {"z": NUMBER}, predictedFeatureName="z"), VECTOR),
}
"""Name -> the model as protobuf's JSON, and what it is fed."""
