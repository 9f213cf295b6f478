"""Feeds are held against what a model declares, and become exactly the arrays that its graph takes."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from mlpipe.errors import InvalidInput
from mlpipe.model_files.protobuf import model_pb2
from mlpipe.runtime.features import Feature, Sizes, features
from mlpipe.runtime.feeding import prepare

ARRAY = Feature("x", "array", "float32", Sizes((2, 3)))
WHOLE = Feature("x", "array", "int32", Sizes((3,)))
RANGE = Feature("x", "array", "float32", Sizes((1, 4), ranges=((1, 1), (2, None))))
CHOICE = Feature("x", "array", "float32", Sizes((4,), enumerated=((4,), (8,))))
COLOR = Feature("x", "image", sizes=Sizes((2, 3)), color="rgb")
REVERSED = Feature("x", "image", sizes=Sizes((2, 3)), color="bgr")
GRAY = Feature("x", "image", sizes=Sizes((2, 3)), color="grayscale")
FLOAT_GRAY = Feature("x", "image", sizes=Sizes((2, 3)), color="grayscale_float16")
PIXELS = np.arange(18, dtype=np.uint8).reshape(2, 3, 3)


@pytest.mark.parametrize(
    ("feature", "value", "message"),
    [
        (ARRAY, np.zeros((3, 2)), "expected float32 array 2x3, got shape 3x2"),
        (ARRAY, np.zeros(6), "got shape 6"),
        (ARRAY, 1.0, r"got shape \(\) \(a single number\)"),
        (ARRAY, [["a", "b", "c"]] * 2, "got an array of <U1"),
        (ARRAY, [[1, 2, 3], [4, 5]], r"got list \(setting an array element with a sequence"),
        (ARRAY, {"a": 1}, "got an array of object"),
        (ARRAY, None, "input 'x' is missing"),
        (WHOLE, [0.5, 1, 2], "expected int32 array 3, got numbers that are not whole"),
        (WHOLE, [0, np.nan, 2], "got numbers that are not whole"),
        (WHOLE, [2**31, 0, 0], "got numbers from 0 to 2147483648"),
        (Feature("x", "array", "int8", Sizes((2,))), [0, 128], "expected int8 array 2, got numbers from 0 to 128"),
        (Feature("x", "array", "float32", Sizes(()), optional=True), None, "got nothing, and it declares no default value"),
        (Feature("x", "image", sizes=Sizes((2, 3)), color="rgb", optional=True), None, "got nothing"),
        (RANGE, np.zeros((1, 1)), r"expected float32 array 1x2\.\., got shape 1x1"),
        (RANGE, np.zeros((2, 4)), "got shape 2x4"),
        (CHOICE, np.zeros(6), r"expected float32 array 4 or 8, got shape 6 \(MultiArray Shape \(6\) was not in enumerated set of allowed shapes\)"),
        (
            Feature("x", "array", "float32", Sizes((), ranges=((1, 1), (3, 5)))),
            np.zeros((1, 2)),
            r"Size \(2\) of dimension \(1\) is not in allowed range \(3\.\.5\)",
        ),
        (COLOR, np.zeros((2, 3), np.uint8), "expected rgb image 2x3"),
        (COLOR, PIXELS.astype(np.float32), "got an array of float32; feed uint8 pixels"),
        (COLOR, PIXELS[:, :2], r"got 2x2 \(height x width\)"),
        (COLOR, PIXELS.transpose(1, 0, 2), "got 3x2"),
        (COLOR, Image.fromarray(PIXELS[..., 0]), "got a Pillow image of mode 'L'"),
        (GRAY, Image.fromarray(PIXELS), "mode 'RGB'"),
        (GRAY, "cat.png", "got str"),
        (FLOAT_GRAY, PIXELS[..., 0], "feed floats"),
    ],
)
def test_what_does_not_fit_is_refused(feature, value, message) -> None:
    with pytest.raises(InvalidInput, match=message):
        prepare((feature,), {"x": value})


def test_an_unknown_input_is_refused() -> None:
    with pytest.raises(InvalidInput, match="no input 'y'; its inputs are 'x'"):
        prepare((ARRAY,), {"x": np.zeros((2, 3)), "y": 1})


@pytest.mark.parametrize(
    ("feature", "value", "expected"),
    [
        (ARRAY, [[1, 2, 3], [4, 5, 6]], np.asarray([[1, 2, 3], [4, 5, 6]], np.float32)),
        (ARRAY, [[True] * 3] * 2, np.ones((2, 3), np.float32)),
        (Feature("x", "array", "float16", Sizes((2,))), [1e-9, 70000.0], np.asarray([0, np.inf], np.float32)),
        (Feature("x", "array", "float64", Sizes((1,))), [0.1], np.asarray([0.1], np.float32)),
        (WHOLE, np.asarray([1.0, 2.0, -3.0]), np.asarray([1, 2, -3], np.int32)),
        (RANGE, np.ones((1, 9)), np.ones((1, 9), np.float32)),
        (CHOICE, np.ones(8), np.ones(8, np.float32)),
        (COLOR, PIXELS, PIXELS.transpose(2, 0, 1)[None].astype(np.float32)),
        (REVERSED, Image.fromarray(PIXELS), PIXELS[..., ::-1].transpose(2, 0, 1)[None].astype(np.float32)),
        (GRAY, PIXELS[..., 1], PIXELS[None, None, ..., 1].astype(np.float32)),
        (FLOAT_GRAY, Image.fromarray(np.full((2, 3), 0.1, np.float32)), np.full((1, 1, 2, 3), np.float16(0.1), np.float32)),
        (Feature("x", "array", "float32", Sizes((2,)), optional=True, default=1.5), None, np.asarray([1.5, 1.5], np.float32)),
        (Feature("x", "array", "float16", Sizes((1,)), optional=True, default=0.1), None, np.asarray([np.float16(0.1)], np.float32)),
        (Feature("x", "array", "int32", Sizes((2, 1)), optional=True, default=7), None, np.asarray([[7], [7]], np.int32)),
        (Feature("x", "array", "float32", Sizes((2,)), optional=True), None, np.zeros(2, np.float32)),
        (Feature("x", "array", "int8", Sizes((2,))), np.asarray([-128, 127]), np.asarray([-128, 127], np.int32)),
        (Feature("x", "array", "float32", Sizes((1,))), 2.5, np.asarray([2.5], np.float32)),
        (Feature("x", "array", "float32", Sizes(())), np.ones((2, 1)), np.ones((2, 1), np.float32)),
        (COLOR, np.dstack([PIXELS, PIXELS[..., :1]]), PIXELS.transpose(2, 0, 1)[None].astype(np.float32)),
        (Feature("x", "int64"), 7, np.asarray([7], np.int32)),
        (Feature("x", "double"), 0.5, np.asarray([0.5], np.float32)),
    ],
)
def test_what_fits_becomes_the_graphs_array(feature, value, expected) -> None:
    result = prepare((feature,), {} if value is None else {"x": value})["x"]
    assert result.dtype == expected.dtype
    np.testing.assert_array_equal(result, expected)


BOTH = (
    Feature("a", "array", "float32", Sizes((2,), enumerated=((2,), (3,), (3,)))),
    Feature("b", "image", sizes=Sizes((1, 2), enumerated=((1, 2), (1, 3), (1, 2))), color="rgb"),
)


@pytest.mark.parametrize(("length", "width", "fits"), [(2, 2, True), (3, 3, True), (3, 2, True), (2, 3, False)])
def test_enumerated_shapes_of_several_inputs_go_together_by_their_place(length, width, fits) -> None:
    feed = {"a": np.zeros(length), "b": np.zeros((1, width, 3), np.uint8)}
    if fits:
        assert prepare(BOTH, feed)["b"].shape == (1, 3, 1, width)
        return
    with pytest.raises(InvalidInput, match=r"do not go together: \(a 2, b 1x3\); feed \(a 2, b 1x2\) or \(a 3, b 1x3\) or \(a 3, b 1x2\)"):
        prepare(BOTH, feed)


def test_features_are_read_from_the_specification() -> None:
    description = model_pb2().Model().description
    array = description.input.add(name="a").type.multiArrayType
    array.dataType = 65552
    array.shape[:] = [1, 8]
    for low, high in ((1, 1), (4, -1)):
        array.shapeRange.sizeRanges.add(lowerBound=low, upperBound=high)
    image = description.input.add(name="b").type.imageType
    image.width, image.height, image.colorSpace = 6, 4, 30
    image.enumeratedSizes.sizes.add(width=6, height=4)
    image.enumeratedSizes.sizes.add(width=12, height=4)
    description.input.add(name="c").type.dictionaryType.int64KeyType.SetInParent()
    unsaid = description.input.add(name="d").type.multiArrayType
    unsaid.dataType = 131080
    unsaid.intDefaultValue = -3
    for length in (5, 4):
        unsaid.enumeratedShapes.shapes.add().shape.append(length)
    tall = description.input.add(name="e").type.imageType
    tall.colorSpace = 40
    tall.imageSizeRange.heightRange.lowerBound, tall.imageSizeRange.heightRange.upperBound = 3, 9
    tall.imageSizeRange.widthRange.lowerBound, tall.imageSizeRange.widthRange.upperBound = 4, -1
    state = description.state.add(name="s").type.stateType.arrayType
    state.dataType, state.shape[:] = 65552, [2, 3]
    a, b, c, d, e = features(description.input)
    assert d == Feature("d", "array", "int8", Sizes((5,), enumerated=((5,), (4,))), default=-3)
    assert e == Feature("e", "image", sizes=Sizes((3, 4), ranges=((3, 9), (4, None))), color="grayscale_float16")
    assert features(description.state) == (Feature("s", "state", "float16", Sizes((2, 3))),)
    assert a == Feature("a", "array", "float16", Sizes((1, 8), ranges=((1, 1), (4, None))))
    assert a.sizes.dims() == (1, None)
    assert b == Feature("b", "image", sizes=Sizes((4, 6), enumerated=((4, 6), (4, 12))), color="bgr")
    assert b.sizes.dims() == (4, None)
    assert (c.kind, c.dtype) == ("dictionary", "int64")
