"""How features become tensors and tensors become outputs: mappings, preprocessing, classifiers, flexible sizes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from google.protobuf.json_format import ParseDict
from PIL import Image

from mlpipe.errors import ModelFileInvalid, NotExecutable

IDENTITY = ("activation", ["x"], ["y"], {"linear": {"alpha": 1}})
SHAPE = ("getShape", ["x"], ["y"], {})


@pytest.mark.parametrize(("declared", "mapped"), [((5,), (1, 1, 5, 1, 1)), ((3, 4, 5), (1, 1, 3, 4, 5))])
def test_rank_5_mapping(nn: Any, declared: tuple[int, ...], mapped: tuple[int, ...]) -> None:
    spec = nn.specification([SHAPE], {"x": declared}, ["y"], legacy=True)
    assert tuple(nn.model(spec).predict({"x": np.zeros(declared)})["y"]) == mapped


def test_exact_mapping(nn: Any) -> None:
    spec = nn.specification([SHAPE], {"x": (3, 4)}, ["y"])
    assert tuple(nn.model(spec).predict({"x": np.zeros((3, 4))})["y"]) == (3, 4)


def test_rank_5_mapping_takes_no_rank_2(nn: Any) -> None:
    with pytest.raises(NotExecutable, match="rank 2"):
        nn.model(nn.specification([IDENTITY], {"x": (3, 4)}, ["y"], legacy=True)).compile()


@pytest.mark.parametrize("kind", ["int64Type", "doubleType", "stringType", "dictionaryType"])
def test_inputs_that_networks_do_not_have_are_refused(nn: Any, kind: str) -> None:
    spec = nn.specification([IDENTITY], {"x": (3,)}, ["y"])
    getattr(spec.description.input[0].type, kind).SetInParent()
    with pytest.raises(NotExecutable, match="a network input of kind"):
        nn.model(spec).compile()


def test_an_array_without_a_shape_is_refused(nn: Any) -> None:
    with pytest.raises(NotExecutable, match="without a shape"):
        nn.model(nn.specification([IDENTITY], {"x": ()}, ["y"])).compile()


@pytest.mark.parametrize("number", [65600, 131104])
def test_arrays_of_other_types_are_computed_as_float32(nn: Any, number: int) -> None:
    spec = nn.specification([("multiply", ["x"], ["y"], {"alpha": 0.5})], {"x": (3,)}, ["y"])
    spec.description.input[0].type.multiArrayType.dataType = number
    assert nn.model(spec).predict({"x": np.asarray([1, 2, 5])})["y"].tolist() == [0.5, 1, 2.5]


def image_model(nn: Any, color: int, *layers: Any, mapping: int = 1, preprocessing: list[dict[str, Any]] | None = None) -> Any:
    spec = nn.specification(list(layers) or [IDENTITY], {"x": (1,)}, ["y"])
    image = spec.description.input[0].type.imageType
    image.height, image.width, image.colorSpace = 2, 3, color
    spec.neuralNetwork.imageInputShapeMapping = mapping
    for entry in preprocessing or []:
        ParseDict(entry, spec.neuralNetwork.preprocessing.add())
    return nn.model(spec)


GRAY, RGB, BGR = 10, 20, 30
PIXELS = np.arange(18, dtype=np.uint8).reshape(2, 3, 3) * 10
PICTURE = Image.fromarray(PIXELS)
PLANES = PIXELS.transpose(2, 0, 1)[None].astype(np.float32)


@pytest.mark.parametrize(("mapping", "rank"), [(0, 5), (1, 4)])
def test_image_mapping(nn: Any, mapping: int, rank: int) -> None:
    y = image_model(nn, RGB, SHAPE, mapping=mapping).predict({"x": PICTURE})["y"]
    assert tuple(y) == (1,) * (rank - 3) + (3, 2, 3)


@pytest.mark.parametrize("name", ["x", ""])
def test_scaler_adds_each_bias_to_its_colour(nn: Any, name: str) -> None:
    scaler = {"featureName": name, "scaler": {"channelScale": 0.5, "redBias": 1, "greenBias": 2, "blueBias": 3, "grayBias": 9}}
    biases = np.asarray([1, 2, 3]).reshape(3, 1, 1)
    rgb = PLANES * 0.5 + biases
    np.testing.assert_array_equal(image_model(nn, RGB, preprocessing=[scaler]).predict({"x": PICTURE})["y"], rgb)
    np.testing.assert_array_equal(image_model(nn, BGR, preprocessing=[scaler]).predict({"x": PICTURE})["y"], rgb[:, ::-1])
    gray = Image.fromarray(PIXELS[:, :, 0])
    np.testing.assert_array_equal(image_model(nn, GRAY, preprocessing=[scaler]).predict({"x": gray})["y"], PLANES[:, :1] * 0.5 + 9)


def test_mean_image(nn: Any) -> None:
    mean = nn.random(3, 2, 3)
    entry = {"featureName": "x", "meanImage": {"meanImage": mean.reshape(-1).tolist()}}
    nn.close(image_model(nn, RGB, preprocessing=[entry]).predict({"x": PICTURE})["y"], PLANES - mean)


@pytest.mark.parametrize(
    ("entries", "why"),
    [
        ([{"featureName": "z", "scaler": {"channelScale": 1}}], "belongs to no image"),
        ([{"featureName": "x", "scaler": {"channelScale": 1}}] * 2, "more than one preprocessing"),
        ([{"featureName": "x", "scaler": {}}], "no scale"),
        ([{"featureName": "x", "meanImage": {"meanImage": [1, 2]}}], "has 2 values"),
    ],
)
def test_doubtful_preprocessing_is_refused(nn: Any, entries: Any, why: str) -> None:
    with pytest.raises(NotExecutable, match=why):
        image_model(nn, RGB, preprocessing=entries).compile()


@pytest.mark.parametrize(
    ("shape", "stated", "result"),
    [((4,), [], (4,)), ((3, 1, 1), [], (3,)), ((3, 2, 1), [], (3, 2, 1)), ((4,), [4, 1, 1], (4, 1, 1)), ((3, 2, 2), [12], (12,)), ((4,), [5], (4,))],
)
def test_legacy_outputs_have_the_stated_shape_or_the_input_mapping_backwards(nn: Any, shape: Any, stated: list[int], result: Any) -> None:
    spec = nn.specification([IDENTITY], {"x": shape}, ["y"], legacy=True)
    spec.description.output[0].type.multiArrayType.shape.extend(stated)
    x = nn.random(*shape)
    np.testing.assert_array_equal(nn.model(spec).predict({"x": x})["y"], x.reshape(result))


def test_a_legacy_sequence_stays_of_rank_5(nn: Any) -> None:
    spec = nn.specification([("permute", ["x"], ["y"], {"axis": [1, 0, 2, 3]})], {"x": (4,)}, ["y"], legacy=True)
    assert nn.model(spec).predict({"x": np.zeros(4)})["y"].shape == (4, 1, 1, 1, 1)


def test_a_layer_of_the_fourth_specification_ends_the_rule_of_rank_5(nn: Any) -> None:
    spec = nn.specification([("sin", ["x"], ["y"], {})], {"x": (4,)}, ["y"], legacy=True)
    assert nn.model(spec).predict({"x": np.zeros(4)})["y"].shape == (1, 1, 4, 1, 1)


def classifier(nn: Any, labels: dict[str, Any], *, scores: str = "y") -> Any:
    spec = nn.specification([("softmaxND", ["x"], ["y"], {"axis": -1})], {"x": (1, 3)}, [])
    network = spec.neuralNetwork.SerializeToString()
    spec.neuralNetworkClassifier.MergeFromString(network)
    ParseDict(labels, spec.neuralNetworkClassifier)
    spec.neuralNetworkClassifier.labelProbabilityLayerName = scores
    spec.description.predictedFeatureName, spec.description.predictedProbabilitiesName = "label", "probabilities"
    kind = "stringType" if "stringClassLabels" in labels else "int64Type"
    getattr(spec.description.output.add(name="label").type, kind).SetInParent()
    spec.description.output.add(name="probabilities").type.dictionaryType.stringKeyType.SetInParent()
    return spec


@pytest.mark.parametrize(
    ("labels", "values"),
    [({"stringClassLabels": {"vector": ["ant", "bee", "cat"]}}, ["ant", "bee", "cat"]), ({"int64ClassLabels": {"vector": [7, 8, 9]}}, [7, 8, 9])],
)
@pytest.mark.parametrize("scores", ["y", ""])
def test_classifier(nn: Any, labels: Any, values: list[Any], scores: str) -> None:
    x = np.asarray([[0.5, 2, 1]], np.float32)
    model = nn.model(classifier(nn, labels, scores=scores))
    result = model.predict({"x": x})
    expected = np.exp(x[0]) / np.exp(x[0]).sum()
    assert result["label"] == values[1]
    assert list(result["probabilities"]) == values
    np.testing.assert_allclose(list(result["probabilities"].values()), expected, rtol=1e-6)
    np.testing.assert_allclose(model.predict_arrays({"x": x})["probabilities"], expected, rtol=1e-6)


def test_a_classifier_without_labels_or_with_another_number_is_damaged(nn: Any) -> None:
    with pytest.raises(ModelFileInvalid, match="no class labels"):
        nn.model(classifier(nn, {})).compile()
    with pytest.raises(ModelFileInvalid, match="2 class labels"):
        nn.model(classifier(nn, {"stringClassLabels": {"vector": ["ant", "bee"]}})).compile()


def test_a_regressor_is_a_network(nn: Any) -> None:
    spec = nn.specification([IDENTITY], {"x": (2,)}, ["y"])
    network = spec.neuralNetwork.SerializeToString()
    spec.neuralNetworkRegressor.MergeFromString(network)
    assert nn.model(spec).predict({"x": [1, 2]})["y"].tolist() == [1, 2]


def test_outputs_that_no_layer_makes_are_damage(nn: Any) -> None:
    with pytest.raises(ModelFileInvalid, match="'z' that no layer makes"):
        nn.model(nn.specification([IDENTITY], {"x": (2,)}, ["y", "z"])).compile()
    with pytest.raises(ModelFileInvalid, match="'x' that no layer makes"):
        nn.model(nn.specification([IDENTITY], {"x": (2,)}, ["y", "x"])).compile()


@pytest.mark.parametrize("size", [5, 8])
def test_flexible_sizes(nn: Any, size: int) -> None:
    layers = [
        ("convolution", ["x"], ["c"], {"outputChannels": 2, "kernelChannels": 1, "same": {}, "stride": [2, 2], "weights": nn.weights(nn.random(2, 1, 3, 3))}),
        ("batchnorm", ["c"], ["b"], {"channels": 2, **{name: nn.weights([1, 2]) for name in ("gamma", "beta", "mean", "variance")}}),
        ("pooling", ["b"], ["p"], {"globalPooling": True, "type": "AVERAGE", "valid": {}}),
        ("getShape", ["c"], ["s"], {}),
        ("flatten", ["c"], ["f"], {"mode": "CHANNEL_LAST"}),
        ("reshapeLike", ["f", "c"], ["r"], {}),
        ("innerProduct", ["p"], ["y"], {"inputChannels": 2, "outputChannels": 3, "weights": nn.weights(nn.random(3, 2))}),
    ]
    flexible = nn.specification(layers, {"x": (1, 1, 6, 6)}, ["y", "s", "r"])
    ranges = flexible.description.input[0].type.multiArrayType.shapeRange.sizeRanges
    for low, high in ((1, 1), (1, 1), (4, 9), (4, -1)):
        ranges.add(lowerBound=low, upperBound=high)
    fixed = nn.specification(layers, {"x": (1, 1, size, size)}, ["y", "s", "r"])
    feed = {"x": nn.random(1, 1, size, size)}
    expected = nn.model(fixed).predict(feed)
    for name, value in nn.model(flexible).predict(feed).items():
        nn.close(value, expected[name])


def test_flexible_sizes_of_a_legacy_network(nn: Any) -> None:
    kernel = {"outputChannels": 2, "kernelChannels": 3, "same": {}, "weights": nn.weights(nn.random(2, 3, 3, 3))}
    layers = [
        ("convolution", ["x"], ["c"], kernel),
        ("pooling", ["c"], ["p"], {"kernelSize": [2, 2], "stride": [2, 2], "valid": {}}),
        ("softmax", ["p"], ["y"], {}),
    ]
    flexible = nn.specification(layers, {"x": (3, 6, 6)}, ["y"], legacy=True)
    ranges = flexible.description.input[0].type.multiArrayType.shapeRange.sizeRanges
    for low, high in ((3, 3), (4, 20), (4, -1)):
        ranges.add(lowerBound=low, upperBound=high)
    x = nn.random(3, 8, 11)
    fixed = nn.specification(layers, {"x": x.shape}, ["y"], legacy=True)
    result = nn.model(flexible).predict({"x": x})["y"]
    assert result.shape == (2, 4, 5)
    nn.close(result, nn.model(fixed).predict({"x": x})["y"])


def test_a_layer_that_needs_a_fixed_size_is_refused_where_it_is_flexible(nn: Any) -> None:
    pooling = {"type": "MAX", "kernelSize": [2, 2], "stride": [2, 2], "includeLastPixel": {}}
    spec = nn.specification([("pooling", ["x"], ["y"], pooling)], {"x": (1, 1, 6, 6)}, ["y"])
    ranges = spec.description.input[0].type.multiArrayType.shapeRange.sizeRanges
    for low, high in ((1, 1), (1, 1), (4, 9), (6, 6)):
        ranges.add(lowerBound=low, upperBound=high)
    assert "flexible" in nn.model(spec).unsupported()[0].why


@pytest.mark.parametrize(("stated", "result"), [([3, 1, 4], (3, 1, 4)), ([12], (12,)), ([1, 4, 3, 1], (1, 3, 1, 4)), ([5], (1, 3, 1, 4)), ([], (1, 3, 1, 4))])
def test_a_result_of_another_rank_has_the_stated_shape(nn: Any, stated: list[int], result: tuple[int, ...]) -> None:
    spec = nn.specification([("sin", ["x"], ["y"], {})], {"x": (1, 3, 1, 4)}, ["y"])
    spec.description.output[0].type.multiArrayType.shape.extend(stated)
    x = nn.random(1, 3, 1, 4)
    nn.close(nn.model(spec).predict({"x": x})["y"], np.sin(x).reshape(result))
