"""Images sampled at computed places: against padding that is written out, one sample at a time."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from mlpipe.errors import NotExecutable

RANDOM = np.random.default_rng(13)
X = RANDOM.standard_normal((2, 3, 4, 5)).astype(np.float32)
AROUND = RANDOM.uniform(-1.6, 1.6, (2, 6, 7, 2)).astype(np.float32)
"""Normalized coordinates in and around the image."""

NUMPY_MODES = {"constant": "constant", "border": "edge", "reflection": "reflect", "symmetric": "symmetric"}
BORDER = 24
"""More than any place of these tests is beyond the image, and a multiple of what the mirrored ones repeat after."""

RANGES = {
    # Coordinates of the range's ends in pixels: the centres of border pixels where corners are aligned, else their edges.
    ("normalized_minus_one_to_one", True): lambda value, size: np.interp(value, [-9, 9], [-4 * (size - 1), 5 * (size - 1)]),
    ("normalized_minus_one_to_one", False): lambda value, size: np.interp(value, [-9, 9], [-4 * size - 0.5, 5 * size - 0.5]),
    ("normalized_zero_to_one", True): lambda value, size: np.interp(value, [-9, 9], [-9 * (size - 1), 9 * (size - 1)]),
    ("normalized_zero_to_one", False): lambda value, size: np.interp(value, [-9, 9], [-9 * size - 0.5, 9 * size - 0.5]),
}


def in_pixels(value, size, mode, *, align):
    return float(value) if mode == "unnormalized" else float(RANGES[mode, align](value, size))


def sample(padded, row, column, sampling):
    if sampling == "nearest":
        return padded[:, round(row) + BORDER, round(column) + BORDER]
    top, left = int(np.floor(row)), int(np.floor(column))
    down, along = row - top, column - left
    window = padded[:, top + BORDER : top + BORDER + 2, left + BORDER : left + BORDER + 2]
    return np.einsum("chw,h,w->c", window, [1 - down, down], [1 - along, along])


def resampled(x, coordinates, *, sampling_mode, padding_mode, padding_value, coordinates_mode, align_corners):
    result = np.zeros((len(x), x.shape[1], *coordinates.shape[1:3]))
    more = {"constant_values": padding_value} if padding_mode == "constant" else {}
    for n, image in enumerate(x.astype(np.float64)):
        padded = np.pad(image, [(0, 0), (BORDER, BORDER + 1), (BORDER, BORDER + 1)], mode=NUMPY_MODES[padding_mode], **more)
        for i, j in np.ndindex(coordinates.shape[1:3]):
            pairs = zip(coordinates[n, i, j], x.shape[:1:-1], strict=True)
            column, row = (in_pixels(place, size, coordinates_mode, align=align_corners) for place, size in pairs)
            result[n, :, i, j] = sample(padded, row, column, sampling_mode)
    return result


def options_of(sampling="bilinear", padding="border", mode="unnormalized", **more):
    """Return the operation's parameters."""
    chosen = {"sampling_mode": sampling, "padding_mode": padding, "padding_value": np.float32(0), "coordinates_mode": mode, "align_corners": True}
    return {**chosen, **more}


def written(mode):
    """Return coordinates around the image in a mode's units."""
    if mode == "unnormalized":
        return ((AROUND + 1) / 2 * [4, 3]).astype(np.float32)
    return AROUND if mode == "normalized_minus_one_to_one" else ((AROUND + 1) / 2).astype(np.float32)


@pytest.mark.parametrize("align", [True, False], ids=["centres", "edges"])
@pytest.mark.parametrize("mode", ["unnormalized", "normalized_minus_one_to_one", "normalized_zero_to_one"])
@pytest.mark.parametrize("padding", NUMPY_MODES)
@pytest.mark.parametrize("sampling", ["bilinear", "nearest"])
def test_resample(run, sampling, padding, mode, align) -> None:
    options = options_of(sampling, padding, mode, padding_value=np.float32(6.25), align_corners=align)
    (result,) = run(lambda mb, x, coordinates: mb.resample(x=x, coordinates=coordinates, **options), {"x": X, "coordinates": written(mode)})
    np.testing.assert_allclose(result, resampled(X, written(mode), **options), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("padding", NUMPY_MODES)
@pytest.mark.parametrize("sampling", ["bilinear", "nearest"])
def test_places_far_outside(run, sampling, padding) -> None:
    far = np.asarray([[-7, 9], [11, -6], [2, 12], [-np.inf, 1]], np.float32).reshape(1, 1, 4, 2)
    options = options_of(sampling, padding, padding_value=np.float32(-2))
    (result,) = run(lambda mb, x, coordinates: mb.resample(x=x, coordinates=coordinates, **options), {"x": X[:1], "coordinates": far})
    np.testing.assert_allclose(result[..., :3], resampled(X[:1], far[:, :, :3], **options), rtol=1e-4, atol=1e-5)
    beyond = {"constant": np.full(3, -2), "border": X[0, :, 1, 0]}
    if padding in beyond:
        np.testing.assert_allclose(result[0, :, 0, 3], beyond[padding])


def test_the_nearest_of_two_pixels_is_the_even_one(run) -> None:
    ties = np.asarray([[0.5, 0], [1.5, 0], [2.5, 0], [3.5, 0]], np.float32).reshape(1, 1, 4, 2)
    (result,) = run(lambda mb, x, coordinates: mb.resample(x=x, coordinates=coordinates, **options_of("nearest")), {"x": X[:1], "coordinates": ties})
    np.testing.assert_array_equal(result[0, :, 0], X[0, :, 0, [0, 2, 2, 4]].T)


@pytest.mark.parametrize("padding", NUMPY_MODES)
def test_an_image_of_one_pixel(run, padding) -> None:
    x = X[:1, :, :1, :1]
    places = np.asarray([[0, 0], [0.5, -3], [7, 2]], np.float32).reshape(1, 1, 3, 2)
    options = options_of("nearest", padding, padding_value=np.float32(1.5))
    (result,) = run(lambda mb, x, coordinates: mb.resample(x=x, coordinates=coordinates, **options), {"x": x, "coordinates": places})
    expected = np.stack([x[0, :, 0, 0]] * 3, -1)
    if padding == "constant":
        expected[:, 1:] = 1.5
    np.testing.assert_array_equal(result[0, :, 0], expected)


@pytest.mark.parametrize(
    ("dtype", "opset"), [("int8", "iOS17"), ("uint8", "iOS17"), ("int16", "iOS17"), ("uint16", "iOS17"), ("int32", "iOS15"), ("fp16", "iOS16")]
)
def test_types_of_coordinates(run, dtype, opset) -> None:
    places = np.stack(np.meshgrid(range(5), range(4)), -1)[None].repeat(2, 0).astype(np.int32)[:, ::-1, ::2]

    def body(mb, x, coordinates):
        given = coordinates if dtype == "int32" else mb.cast(x=coordinates, dtype=dtype)
        return mb.resample(x=x, coordinates=given, **options_of())

    (result,) = run(body, {"x": X, "coordinates": places}, opset=opset)
    np.testing.assert_array_equal(result, X[:, :, ::-1, ::2])


def test_resample_of_sizes_that_vary(mil, run) -> None:
    sizes = {"x": (2, 3, None, None), "coordinates": (2, None, None, 2)}
    feed = {"x": X, "coordinates": AROUND}
    shapes = {name: tuple(mil.symbol() if size is None else size for size in given) for name, given in sizes.items()}
    ranges = {
        name: [mil.ct.RangeDim(1, 9, default=size) if vary is None else size for vary, size in zip(sizes[name], feed[name].shape, strict=True)] for name in feed
    }
    inputs = [mil.ct.TensorType(name, shape=mil.ct.Shape(tuple(given))) for name, given in ranges.items()]
    options = options_of(padding="symmetric", mode="normalized_minus_one_to_one", align_corners=False)
    (result,) = run(lambda mb, x, coordinates: mb.resample(x=x, coordinates=coordinates, **options), feed, shapes=shapes, inputs=inputs)
    np.testing.assert_allclose(result, resampled(X, AROUND, **options), rtol=1e-4, atol=1e-5)


def test_resample_as_coremltools_tests_it(run) -> None:
    x = np.asarray([11, 22, 33, 44], np.float32).reshape(1, 1, 2, 2)
    places = np.asarray([-1.0, -2.0, -3.7, -1.0, 0.0, 0.0, 3.5, 1.2], np.float32).reshape(1, 2, 2, 2)
    cases = [
        (("bilinear", "constant", "normalized_minus_one_to_one"), {"padding_value": np.float32(6.17)}, [8.585, 6.17, 27.5, 6.17]),
        (("nearest", "border", "unnormalized"), {"align_corners": False}, [11, 11, 11, 44]),
        (("bilinear", "reflection", "normalized_zero_to_one"), {}, [22, 36.3, 11, 34.1]),
        (("nearest", "symmetric", "normalized_zero_to_one"), {"align_corners": False}, [22, 33, 11, 33]),
    ]

    def body(mb, x, coordinates):
        return tuple(mb.resample(x=x, coordinates=coordinates, **options_of(*modes, **more)) for modes, more, _ in cases)

    for result, (_, _, expected) in zip(run(body, {"x": x, "coordinates": places}), cases, strict=True):
        np.testing.assert_allclose(result.reshape(-1), expected, rtol=1e-5)


MATRICES = np.asarray([[0.9, -0.3, 0.1, 0.2, 1.3, -0.4], [-1, 0.2, 0.3, 0.1, -0.7, 0.5]], np.float32)


def mapped(matrices, height, width, *, align):
    """Return the coordinates that matrices map the pixels of a result to."""

    def places(count):
        return np.linspace(-1, 1, count) * (1 if align else (count - 1) / count) if count > 1 else np.zeros(1)

    result = np.zeros((2, height, width, 2))
    for n, (i, row), (j, column) in itertools.product(range(2), enumerate(places(height)), enumerate(places(width))):
        result[n, i, j] = matrices[n % len(matrices)].reshape(2, 3).astype(np.float64) @ [column, row, 1]
    return result


AFFINE = options_of("bilinear", "constant", "normalized_minus_one_to_one")


@pytest.mark.parametrize("align", [True, False], ids=["centres", "edges"])
@pytest.mark.parametrize("matrices", [MATRICES, MATRICES[:1]], ids=["each", "one for all"])
@pytest.mark.parametrize("size", [(6, 3), (1, 5), (4, 1)], ids=str)
@pytest.mark.parametrize("computed", [True, False], ids=["computed", "constant"])
def test_affine(run, align, matrices, size, computed) -> None:
    def body(mb, x, matrix=matrices):
        return mb.affine(x=x, transform_matrix=matrix, output_height=size[0], output_width=size[1], **AFFINE | {"align_corners": align})

    (result,) = run(body, {"x": X, "matrix": matrices} if computed else {"x": X})
    expected = resampled(X, mapped(matrices, *size, align=align), **AFFINE | {"align_corners": align})
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-5)


def test_affine_as_coremltools_tests_it(run) -> None:
    x = np.asarray([11, 22, 33, 44], np.float32).reshape(1, 1, 2, 2)
    matrix = np.asarray([[-1.0, -2.0, -3.7, -1.0, 3.5, 1.2]], np.float32)
    (result,) = run(lambda mb, x: mb.affine(x=x, transform_matrix=matrix, output_height=2, output_width=5, **AFFINE), {"x": x})
    np.testing.assert_allclose(result.reshape(-1), [10.7525, 5.94, 2.5025, 0.44, 0, 0, 0, 0, 0, 0], rtol=1e-5, atol=1e-6)


def test_float16_is_rounded_once_after_the_sampling(run) -> None:
    options = options_of(padding="symmetric", mode="normalized_minus_one_to_one")

    def body(mb, x, coordinates):
        half = mb.cast(x=x, dtype="fp16")
        return mb.cast(x=mb.resample(x=half, coordinates=coordinates, **options | {"padding_value": np.float16(0)}), dtype="fp32")

    (rounded,) = run(body, {"x": X, "coordinates": AROUND}, precision="float16")
    np.testing.assert_array_equal(rounded, rounded.astype(np.float16).astype(np.float32))
    np.testing.assert_allclose(rounded, resampled(X.astype(np.float16), AROUND, **options), rtol=2**-11 + 2**-16, atol=2**-18)


def replaced(name, value):
    """Return an edit of a file that gives each constant string of this value another."""

    def edit(spec):
        (function,) = spec.mlProgram.functions.values()
        (block,) = function.block_specializations.values()
        found = 0
        for operation in block.operations:
            bindings = [binding.value for argument in operation.inputs.values() for binding in argument.arguments]
            for constant in [*bindings, operation.attributes["val"]] if operation.type == "const" else bindings:
                strings = constant.immediateValue.tensor.strings.values
                if list(strings) == [name]:
                    strings[0] = value
                    found += 1
        assert found

    return edit


@pytest.mark.parametrize("name", ["bilinear", "border", "unnormalized"])
def test_modes_that_are_not_known(run, name) -> None:
    with pytest.raises(NotExecutable, match="'cubic' is not known"):
        run(lambda mb, x, coordinates: mb.resample(x=x, coordinates=coordinates, **options_of()), {"x": X, "coordinates": AROUND}, edit=replaced(name, "cubic"))


@pytest.mark.parametrize("name", ["bilinear", "constant", "normalized_minus_one_to_one"])
def test_modes_of_affine_that_are_not_documented(run, name) -> None:
    def body(mb, x):
        return mb.affine(x=x, transform_matrix=MATRICES, output_height=2, output_width=2, **AFFINE)

    with pytest.raises(NotExecutable, match="are not documented"):
        run(body, {"x": X}, edit=replaced(name, "nearest"))
