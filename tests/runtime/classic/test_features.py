"""Models that turn features into other features, a row for each mode, and what they refuse."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from mlpipe.errors import InvalidInput, NotExecutable

NAN = math.nan
Fields = dict[str, Any]


def fill(message: Any, fields: Fields) -> None:
    """Set fields by name: lists extend, dictionaries set fields of messages or entries of maps."""
    for name, value in fields.items():
        if isinstance(value, list):
            getattr(message, name).extend(value)
        elif isinstance(value, dict):
            inner = getattr(message, name)
            inner.SetInParent()
            if "map" in value:
                inner.map.update(value["map"])
            else:
                fill(inner, value)
        else:
            setattr(message, name, value)


CASES: list[tuple[str, Fields, dict[str, str], dict[str, str], Fields, Fields]] = [
    ("identity", {}, {"a": "double", "b": "string"}, {"a": "double", "b": "string"}, {"a": 2.5, "b": "x"}, {"a": 2.5, "b": "x"}),
    ("identity", {}, {"a": "double", "b": "double"}, {"b": "double", "a": "double"}, {"a": 1.0, "b": 2.0}, {"b": 2.0, "a": 1.0}),
    ("identity", {}, {"a": "double", "b": "int64"}, {"c": "double", "d": "int64"}, {"a": 1.5, "b": 2}, {"c": 1.5, "d": 2}),
    ("identity", {}, {"a": "int64{}"}, {"a": "int64{}"}, {"a": {1: 2.5}}, {"a": {1: 2.5}}),
    ("dictVectorizer", {"stringToIndex": {"vector": ["a", "c", "b"]}}, {"x": "string{}"}, {"y": "float64[3]"}, {"x": {"b": 4, "a": 8}}, {"y": [8.0, 0.0, 4.0]}),
    ("dictVectorizer", {"stringToIndex": {"vector": ["a"]}}, {"x": "string{}"}, {"y": "float64[1]"}, {"x": {"unknown": 4}}, {"y": [0.0]}),
    ("dictVectorizer", {"stringToIndex": {"vector": ["a", "c", "b"]}}, {"x": "string{}"}, {"y": "int64{}"}, {"x": {"b": 4, "a": 8}}, {"y": {0: 8.0, 2: 4.0}}),
    ("dictVectorizer", {"int64ToIndex": {"vector": [7, -1]}}, {"x": "int64{}"}, {"y": "float64[2]"}, {"x": {-1: 2.5}}, {"y": [0.0, 2.5]}),
    ("arrayFeatureExtractor", {"extractIndex": [2, 0]}, {"x": "float64[3]"}, {"y": "float64[2]"}, {"x": [1.0, 2.0, 3.0]}, {"y": [3.0, 1.0]}),
    ("arrayFeatureExtractor", {"extractIndex": [1]}, {"x": "float64[3]"}, {"y": "double"}, {"x": [1.0, 2.5, 3.0]}, {"y": 2.5}),
    ("arrayFeatureExtractor", {"extractIndex": [1]}, {"x": "int32[3]"}, {"y": "int64"}, {"x": [1, 2, 3]}, {"y": 2}),
    ("arrayFeatureExtractor", {"extractIndex": [3]}, {"x": "float64[2,2]"}, {"y": "double"}, {"x": [[1.0, 2.0], [3.0, 4.0]]}, {"y": 4.0}),
    ("scaler", {"shiftValue": [1.0], "scaleValue": [2.0]}, {"x": "float64[2]"}, {"y": "float64[2]"}, {"x": [1.0, -3.0]}, {"y": [4.0, -4.0]}),
    ("scaler", {"shiftValue": [1.0, 0.0], "scaleValue": [2.0, -1.0]}, {"x": "float64[2]"}, {"y": "float64[2]"}, {"x": [1.0, -3.0]}, {"y": [4.0, 3.0]}),
    ("scaler", {"shiftValue": [1.0]}, {"x": "double"}, {"y": "double"}, {"x": 0.25}, {"y": 1.25}),
    ("scaler", {"scaleValue": [3.0]}, {"x": "int64"}, {"y": "int64"}, {"x": 5}, {"y": 15}),
    ("scaler", {"scaleValue": [0.5]}, {"x": "int64"}, {"y": "double"}, {"x": 5}, {"y": 2.5}),
    ("normalizer", {"normType": 0}, {"x": "float64[3]"}, {"y": "float64[3]"}, {"x": [-8.0, 2.0, 4.0]}, {"y": [-2.0, 0.5, 1.0]}),
    ("normalizer", {"normType": 1}, {"x": "float64[3]"}, {"y": "float64[3]"}, {"x": [-1.0, 2.0, 1.0]}, {"y": [-0.25, 0.5, 0.25]}),
    ("normalizer", {"normType": 2}, {"x": "float64[2]"}, {"y": "float64[2]"}, {"x": [-3.0, 4.0]}, {"y": [-0.6, 0.8]}),
    ("normalizer", {"normType": 2}, {"x": "float64[2]"}, {"y": "float64[2]"}, {"x": [0.0, 0.0]}, {"y": [0.0, 0.0]}),
    ("imputer", {"imputedDoubleValue": 5.0, "replaceDoubleValue": NAN}, {"x": "double"}, {"y": "double"}, {"x": NAN}, {"y": 5.0}),
    ("imputer", {"imputedDoubleValue": 5.0, "replaceDoubleValue": NAN}, {"x": "double"}, {"y": "double"}, {"x": 1.5}, {"y": 1.5}),
    ("imputer", {"imputedDoubleValue": 5.0}, {"x?": "double"}, {"y": "double"}, {}, {"y": 5.0}),
    (
        "imputer",
        {"imputedDoubleValue": 5.0, "replaceDoubleValue": 0.0},
        {"x": "float64[3]"},
        {"y": "float64[3]"},
        {"x": [0.0, 1.0, 0.0]},
        {"y": [5.0, 1.0, 5.0]},
    ),
    (
        "imputer",
        {"imputedDoubleArray": {"vector": [7.0, 8.0, 9.0]}, "replaceDoubleValue": NAN},
        {"x": "float64[3]"},
        {"y": "float64[3]"},
        {"x": [NAN, 1.0, NAN]},
        {"y": [7.0, 1.0, 9.0]},
    ),
    ("imputer", {"imputedInt64Value": 5, "replaceInt64Value": -1}, {"x": "int64"}, {"y": "int64"}, {"x": -1}, {"y": 5}),
    ("imputer", {"imputedInt64Value": 5, "replaceInt64Value": -1}, {"x": "int64"}, {"y": "int64"}, {"x": 2}, {"y": 2}),
    (
        "imputer",
        {"imputedInt64Array": {"vector": [7, 8]}, "replaceInt64Value": -1},
        {"x": "int32[2]"},
        {"y": "int32[2]"},
        {"x": [3, -1]},
        {"y": [3, 8]},
    ),
    ("imputer", {"imputedStringValue": "no", "replaceStringValue": ""}, {"x": "string"}, {"y": "string"}, {"x": ""}, {"y": "no"}),
    ("imputer", {"imputedStringValue": "no", "replaceStringValue": ""}, {"x": "string"}, {"y": "string"}, {"x": "yes"}, {"y": "yes"}),
    (
        "imputer",
        {"imputedStringDictionary": {"map": {"a": 9.0}}, "replaceDoubleValue": 0.0},
        {"x": "string{}"},
        {"y": "string{}"},
        {"x": {"a": 0.0, "b": 0.0, "c": 1.0}},
        {"y": {"a": 9.0, "b": 0.0, "c": 1.0}},
    ),
    (
        "imputer",
        {"imputedInt64Dictionary": {"map": {2: 9.0}}, "replaceDoubleValue": NAN},
        {"x": "int64{}"},
        {"y": "int64{}"},
        {"x": {2: NAN, 3: 1.0}},
        {"y": {2: 9.0, 3: 1.0}},
    ),
    ("oneHotEncoder", {"stringCategories": {"vector": ["a", "b"]}}, {"x": "string"}, {"y": "float64[2]"}, {"x": "b"}, {"y": [0.0, 1.0]}),
    ("oneHotEncoder", {"int64Categories": {"vector": [5, 7, 9]}}, {"x": "int64"}, {"y": "float64[3]"}, {"x": 5}, {"y": [1.0, 0.0, 0.0]}),
    ("oneHotEncoder", {"int64Categories": {"vector": [5, 7]}, "handleUnknown": 1}, {"x": "int64"}, {"y": "float64[2]"}, {"x": 6}, {"y": [0.0, 0.0]}),
    ("oneHotEncoder", {"int64Categories": {"vector": [5, 7]}, "outputSparse": True}, {"x": "int64"}, {"y": "int64{}"}, {"x": 7}, {"y": {1: 1.0}}),
    (
        "oneHotEncoder",
        {"stringCategories": {"vector": ["a"]}, "outputSparse": True, "handleUnknown": 1},
        {"x": "string"},
        {"y": "int64{}"},
        {"x": "z"},
        {"y": {}},
    ),
    ("categoricalMapping", {"stringToInt64Map": {"map": {"a": 3}}}, {"x": "string"}, {"y": "int64"}, {"x": "a"}, {"y": 3}),
    ("categoricalMapping", {"stringToInt64Map": {"map": {"a": 3}}, "int64Value": -1}, {"x": "string"}, {"y": "int64"}, {"x": "b"}, {"y": -1}),
    ("categoricalMapping", {"int64ToStringMap": {"map": {3: "a"}}}, {"x": "int64"}, {"y": "string"}, {"x": 3}, {"y": "a"}),
    ("categoricalMapping", {"int64ToStringMap": {"map": {3: "a"}}, "strValue": "?"}, {"x": "int64"}, {"y": "string"}, {"x": 4}, {"y": "?"}),
    ("classConfidenceThresholding", {}, {"x": "float32[2]"}, {"y": "float32[2,2]"}, {"x": [0.25, 0.75]}, {"y": [[0.25, 0.75], [1.0, 1.0]]}),
]


@pytest.mark.parametrize(("kind", "fields", "inputs", "outputs", "feed", "expected"), CASES)
def test_each_mode(
    specification: Any, run: Any, kind: str, fields: Fields, inputs: dict[str, str], outputs: dict[str, str], feed: Fields, expected: Fields
) -> None:
    spec = specification(kind, inputs, outputs)
    fill(getattr(spec, kind), fields)
    # Twice at once: a row must not depend on its neighbours.
    for result in run(spec, [feed, feed]):
        assert list(result) == list(outputs)
        for name, value in expected.items():
            if isinstance(value, list):
                np.testing.assert_array_equal(result[name], np.array(value))
                assert str(result[name].dtype) == outputs[name].partition("[")[0]
            else:
                assert result[name] == value
                assert type(result[name]) is type(value)


def test_feature_vectorizer_puts_numbers_arrays_and_dictionaries_side_by_side(specification: Any, run: Any) -> None:
    inputs = {"a": "double", "b": "float64[2]", "c": "int64{}", "d": "int64"}
    spec = specification("featureVectorizer", inputs, {"y": "float64[7]"})
    for name, width in (("c", 3), ("a", 1), ("b", 2), ("d", 1)):
        spec.featureVectorizer.inputList.add(inputColumn=name, inputDimensions=width)
    (first, second) = run(spec, [{"a": 1.5, "b": [2, 3], "c": {2: 9.0}, "d": 4}, {"a": 0, "b": [0, 0], "c": {}, "d": 1}])
    assert first["y"].tolist() == [0, 0, 9, 1.5, 2, 3, 4]
    assert second["y"].tolist() == [0, 0, 0, 0, 0, 0, 1]


REFUSED: list[tuple[str, Fields, dict[str, str], dict[str, str], Fields, type[Exception], str]] = [
    ("oneHotEncoder", {"int64Categories": {"vector": [5]}}, {"x": "int64"}, {"y": "float64[1]"}, {"x": 6}, InvalidInput, "input 'x' is 6"),
    ("categoricalMapping", {"stringToInt64Map": {"map": {"a": 3}}}, {"x": "string"}, {"y": "int64"}, {"x": "b"}, InvalidInput, "input 'x' is 'b'"),
    ("scaler", {"scaleValue": [0.5]}, {"x": "int64"}, {"y": "int64"}, {"x": 5}, InvalidInput, "would be 2.5"),
    ("scaler", {"scaleValue": [0.5, 1.0]}, {"x": "float64[3]"}, {"y": "float64[3]"}, {"x": [1, 2, 3]}, NotExecutable, "2 values to scale 3"),
    ("arrayFeatureExtractor", {"extractIndex": [3]}, {"x": "float64[3]"}, {"y": "double"}, {"x": [1, 2, 3]}, InvalidInput, "element 3"),
    ("arrayFeatureExtractor", {"extractIndex": [0, 1]}, {"x": "float64[3]"}, {"y": "double"}, {"x": [1, 2, 3]}, NotExecutable, "extracts 2"),
    ("imputer", {}, {"x": "double"}, {"y": "double"}, {"x": 1.0}, NotExecutable, "no value to impute"),
    ("imputer", {"imputedDoubleArray": {"vector": [1.0, 2.0]}}, {"x": "float64[3]"}, {"y": "float64[3]"}, {"x": [1, 2, 3]}, NotExecutable, "2 values for 3"),
    ("scaler", {}, {"x": "double"}, {"y": "double"}, {}, InvalidInput, "'x' is missing"),
    ("scaler", {}, {"x": "double"}, {"y": "double"}, {"x": "1"}, InvalidInput, "'x' does not fit"),
    ("scaler", {}, {"x": "double"}, {"y": "double"}, {"x": 1.0, "z": 2.0}, InvalidInput, "no input 'z'"),
    ("scaler", {}, {"x": "float64[2]"}, {"y": "float64[2]"}, {"x": [1.0]}, InvalidInput, "got shape 1"),
    ("scaler", {}, {"x": "int64"}, {"y": "int64"}, {"x": 1.5}, InvalidInput, "got 1.5"),
    ("scaler", {}, {"x": "int64"}, {"y": "int64"}, {"x": NAN}, InvalidInput, "got nan"),
    ("dictVectorizer", {}, {"x": "string{}"}, {"y": "float64[1]"}, {"x": {1: 2.0}}, InvalidInput, "the key 1"),
    ("dictVectorizer", {}, {"x": "int64{}"}, {"y": "float64[1]"}, {"x": {"1": 2.0}}, InvalidInput, "the key '1'"),
    ("dictVectorizer", {}, {"x": "string{}"}, {"y": "float64[1]"}, {"x": {"a": "b"}}, InvalidInput, "the value 'b' of 'a'"),
    ("dictVectorizer", {}, {"x": "string{}"}, {"y": "float64[1]"}, {"x": [1]}, InvalidInput, "'x' does not fit"),
    ("categoricalMapping", {}, {"x": "string"}, {"y": "int64"}, {"x": 3}, InvalidInput, "'x' does not fit"),
    ("scaler", {}, {"x": "double", "z": "double"}, {"y": "double"}, {"x": 1.0, "z": 1.0}, NotExecutable, "takes one input"),
    ("identity", {}, {"x": "double"}, {"y": "double", "z": "double"}, {"x": 1.0}, NotExecutable, "as many outputs"),
    ("linkedModel", {}, {"x": "double"}, {"y": "double"}, {"x": 1.0}, NotExecutable, "linkedModel"),
    ("itemSimilarityRecommender", {}, {"x": "int64{}"}, {"y": "int64{}"}, {"x": {}}, NotExecutable, "itemSimilarityRecommender"),
    ("wordTagger", {}, {"x": "string"}, {"y": "string"}, {"x": ""}, NotExecutable, "wordTagger"),
]


@pytest.mark.parametrize(("kind", "fields", "inputs", "outputs", "feed", "error", "message"), REFUSED)
def test_what_does_not_fit_is_refused(
    specification: Any,
    run: Any,
    kind: str,
    fields: Fields,
    inputs: dict[str, str],
    outputs: dict[str, str],
    feed: Fields,
    error: type[Exception],
    message: str,
) -> None:
    spec = specification(kind, inputs, outputs)
    fill(getattr(spec, kind), fields)
    with pytest.raises(error, match=message.replace("(", r"\(")):
        run(spec, [feed])
