"""The classic model types and what executes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mlpipe.errors import NotExecutable
from mlpipe.runtime.classic import detection, features, linear, neighbors, support_vectors, trees
from mlpipe.runtime.classic.columns import Transform, refused
from mlpipe.runtime.classic.custom_model import custom_model
from mlpipe.runtime.custom_layers import References
from mlpipe.runtime.features import Interface

MODELS: dict[str, Callable[[Any, Interface], Transform]] = {
    "arrayFeatureExtractor": features.array_feature_extractor,
    "categoricalMapping": features.categorical_mapping,
    "classConfidenceThresholding": features.class_confidence_thresholding,
    "dictVectorizer": features.dict_vectorizer,
    "featureVectorizer": features.feature_vectorizer,
    "glmClassifier": linear.classifier,
    "glmRegressor": linear.regressor,
    "identity": features.identity,
    "imputer": features.imputer,
    "kNearestNeighborsClassifier": neighbors.classifier,
    "nonMaximumSuppression": detection.non_maximum_suppression,
    "normalizer": features.normalizer,
    "oneHotEncoder": features.one_hot_encoder,
    "scaler": features.scaler,
    "supportVectorClassifier": support_vectors.classifier,
    "supportVectorRegressor": support_vectors.regressor,
    "treeEnsembleClassifier": trees.classifier,
    "treeEnsembleRegressor": trees.regressor,
}
"""The specification's name of a model type -> the function that makes a transform of its parameters."""

ONLY_APPLE = {
    "audioFeaturePrint": "its network is part of Apple's systems, not of the file",
    "bayesianProbitRegressor": "its inference is not in the specification",
    "gazetteer": "Apple's Natural Language framework evaluates it",
    "itemSimilarityRecommender": "the specification does not define how similarities become scores",
    "linkedModel": "it names another compiled model, which is not in the file",
    "serializedModel": "its content is private to Apple",
    "soundAnalysisPreprocessing": "its signal processing is part of Apple's systems, not of the file",
    "textClassifier": "Apple's Natural Language framework evaluates it",
    "visionFeaturePrint": "its network is part of Apple's systems, not of the file",
    "wordEmbedding": "Apple's Natural Language framework evaluates it",
    "wordTagger": "Apple's Natural Language framework evaluates it",
}
"""Model types that nothing but Apple's systems can execute, and why."""


def transform_of(spec: Any, interface: Interface, references: References) -> Transform:
    """Return what executes a classic model, of its `Model` message; `references` stand in for the classes of custom models.

    Errors: NotExecutable for a type that is not executed, or parameters that do not fit each other.
    """
    kind = str(spec.WhichOneof("Type"))
    if kind == "customModel":
        return custom_model(spec.customModel, interface, references)
    if kind not in MODELS:
        raise NotExecutable(f"the portable runtime does not execute models of kind {kind!r}", why=ONLY_APPLE.get(kind))
    with refused():
        return MODELS[kind](getattr(spec, kind), interface)
