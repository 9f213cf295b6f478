from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from mlpipe.errors import RecipeError
from mlpipe.recipe.schema.source import Source

FORMATS = ("neuralnetwork", "mlprogram")
PIXELS = np.random.default_rng(4).integers(0, 256, (8, 8, 3), np.uint8)
"""Red first, as images are fed."""

SCALINGS: dict[str, tuple[dict[str, Any], list[float], list[float]]] = {
    "plain": ({}, [1, 1, 1], [0, 0, 0]),
    "scale": ({"scale": 0.0625}, [0.0625] * 3, [0, 0, 0]),
    "scale and one bias": ({"scale": 1 / 127.5, "bias": -1.0}, [1 / 127.5] * 3, [-1, -1, -1]),
    "bias by channel": ({"scale": 2.0, "bias": [-10.0, 20.0, 30.0]}, [2.0] * 3, [-10, 20, 30]),
    "mean": ({"mean": [103.9, 116.8, 123.7]}, [1, 1, 1], [-103.9, -116.8, -123.7]),
    "mean and std": ({"scale": 1 / 255, "mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}, [], []),
}
"""What the recipe says -> the factors and summands by channel; the last are worked out below."""
_STD, _MEAN = np.array([0.229, 0.224, 0.225]), np.array([0.485, 0.456, 0.406])
SCALINGS["mean and std"][1].extend((1 / 255 / _STD).tolist())
SCALINGS["mean and std"][2].extend((-_MEAN / _STD).tolist())


@pytest.mark.parametrize(
    ("scaling", "color", "to"),
    [
        *((scaling, "rgb", to) for scaling in SCALINGS for to in FORMATS),
        *((scaling, "bgr", to) for scaling in ("bias by channel", "mean and std") for to in FORMATS),
    ],
)
def test_pixels_become_what_the_source_is_fed(scaling: str, color: str, to: str, tools: Any, small_cnn: Source) -> None:
    declared, scale, bias = SCALINGS[scaling]
    made = tools.convert(small_cnn, to=to, inputs={"image": {"image": {"color": color, **declared}}})
    pixels = PIXELS if color == "rgb" else PIXELS[:, :, ::-1]
    fed = (pixels * np.array(scale) + np.array(bias)).astype(np.float32)[None]
    expected = tools.predict(small_cnn, {"image": fed})["scores"]
    assert tools.snr_db(expected, made.run({"image": PIXELS})["scores"].reshape(expected.shape)) > 90
    image = made.data["images"]["image"]
    np.testing.assert_allclose(image["scale"], scale, rtol=1e-12)
    np.testing.assert_allclose(image["bias"], bias, rtol=1e-12)
    assert (image["color"], image["layout"], image["height"], image["width"]) == (color, "nhwc", 8, 8)
    feature = made.spec.description.input[0].type.imageType
    assert feature.colorSpace == {"rgb": 20, "bgr": 30}[color]


@pytest.fixture(scope="module")
def channels_first(keras_file: Callable[..., Source]) -> Source:
    """A network whose image has its channels first."""
    keras.utils.set_random_seed(7)
    image = keras.Input((1, 6, 5), name="image")
    moved = keras.layers.Permute((2, 3, 1))(image)
    return keras_file(keras.Model(image, keras.layers.Dense(2, name="result")(keras.layers.Flatten()(keras.layers.Conv2D(3, 3)(moved)))))


@pytest.mark.parametrize("to", FORMATS)
def test_grayscale_and_channels_first(to: str, tools: Any, channels_first: Source) -> None:
    pixels = PIXELS[:6, :5, 0]
    made = tools.convert(channels_first, to=to, inputs={"image": {"image": {"color": "grayscale", "scale": 1 / 255, "bias": -0.5}}})
    expected = tools.predict(channels_first, {"image": (pixels / 255 - 0.5).astype(np.float32)[None, None]})["result"]
    assert tools.snr_db(expected, made.run({"image": pixels})["result"].reshape(expected.shape)) > 90
    image = made.spec.description.input[0].type.imageType
    assert (image.colorSpace, image.height, image.width) == (10, 6, 5)
    assert made.data["images"]["image"]["layout"] == "nchw"


def test_sixteen_bit_grayscale(tools: Any, channels_first: Source) -> None:
    pixels = (PIXELS[:6, :5, 0] / 255).astype(np.float16)
    made = tools.convert(channels_first, inputs={"image": {"image": {"color": "grayscale"}, "dtype": "float16"}}, minimum_deployment_target="iOS16")
    assert made.spec.description.input[0].type.imageType.colorSpace == 40
    expected = tools.predict(channels_first, {"image": pixels.astype(np.float32)[None, None]})["result"]
    assert tools.snr_db(expected, made.run({"image": pixels})["result"].reshape(expected.shape)) > 90


@pytest.mark.parametrize("to", FORMATS)
@pytest.mark.parametrize(("color", "clip", "scale"), [("rgb", True, 1.0), ("bgr", True, 2.0), ("rgb", False, 0.5)])
def test_an_output_becomes_an_image(color: str, clip: bool, scale: float, to: str, tools: Any, image_to_image: Source) -> None:
    shape = [1, 8, 8, 3]
    made = tools.convert(
        image_to_image, to=to, inputs={"picture": {"shape": shape}}, outputs={"styled": {"image": {"color": color, "clip": clip, "scale": scale}}}
    )
    value = PIXELS.astype(np.float32)[None]
    expected = tools.predict(image_to_image, {"picture": value})["styled"] * scale
    assert expected.min() < 0 or expected.max() > 255, "nothing to clip"
    if clip:
        expected = np.clip(expected, 0, 255)
    result = made.run({"picture": value})["styled"]
    assert tools.snr_db(expected, result.reshape(1, 3, 8, 8).transpose(0, 2, 3, 1)) > 90
    image = made.spec.description.output[0].type.imageType
    assert (image.colorSpace, image.height, image.width) == ({"rgb": 20, "bgr": 30}[color], 8, 8)
    assert made.data["image_outputs"] == {"styled": {"color": color, "clip": clip, "scale": scale, "layout": "nhwc", "height": 8, "width": 8}}


@pytest.mark.parametrize("to", FORMATS)
def test_sizes_in_a_range(to: str, tools: Any, image_to_image: Source) -> None:
    size = {"min": 4, "max": 32, "default": 8}
    made = tools.convert(image_to_image, to=to, inputs={"picture": {"shape": [1, size, size, 3]}})
    ranges = made.spec.description.input[0].type.multiArrayType.shapeRange.sizeRanges
    assert [(entry.lowerBound, entry.upperBound) for entry in ranges] == [(1, 1), (4, 32), (4, 32), (3, 3)]
    for height, width in ((8, 8), (5, 19)):
        value = np.random.default_rng(0).normal(0, 1, (1, height, width, 3)).astype(np.float32)
        expected = tools.predict(image_to_image, {"picture": value})["styled"]
        assert tools.snr_db(expected, made.run({"picture": value})["styled"].reshape(expected.shape)) > 100


@pytest.mark.parametrize("to", FORMATS)
def test_sizes_of_an_image_in_a_list(to: str, tools: Any, image_to_image: Source) -> None:
    shapes = [[1, 8, 8, 3], [1, 6, 12, 3]]
    made = tools.convert(image_to_image, to=to, inputs={"picture": {"image": {}, "enumerated_shapes": shapes, "default_shape": [1, 6, 12, 3]}})
    image = made.spec.description.input[0].type.imageType
    assert (image.height, image.width) == (6, 12)
    assert {(size.height, size.width) for size in image.enumeratedSizes.sizes} >= {(8, 8)}
    for height, width in ((8, 8), (6, 8 * 12 // 8)):
        pixels = np.random.default_rng(1).integers(0, 256, (height, width, 3), np.uint8)
        expected = tools.predict(image_to_image, {"picture": pixels.astype(np.float32)[None]})["styled"]
        assert tools.snr_db(expected, made.run({"picture": pixels})["styled"].reshape(expected.shape)) > 100


def test_unbounded_sizes_are_for_neural_networks(tools: Any, image_to_image: Source) -> None:
    shape = [1, {"min": 1}, {"min": 1}, 3]
    made = tools.convert(image_to_image, to="neuralnetwork", inputs={"picture": {"shape": shape}})
    assert made.spec.description.input[0].type.multiArrayType.shapeRange.sizeRanges[1].upperBound == -1
    with pytest.raises(RecipeError, match="upper bound"):
        tools.convert(image_to_image, to="mlprogram", inputs={"picture": {"shape": shape}})


def test_an_open_size_must_be_declared(tools: Any, image_to_image: Source) -> None:
    with pytest.raises(RecipeError, match=r"convert\.inputs\.picture: the source's shape \[None, None, None, 3\] leaves sizes open"):
        tools.convert(image_to_image)
