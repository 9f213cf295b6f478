"""What a caller feeds, checked against the declared features and turned into the arrays that the graph takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from mlpipe.errors import InvalidInput
from mlpipe.runtime.features import Feature

if TYPE_CHECKING:
    from PIL.Image import Image

IMAGE_MODES = {"grayscale": ("L",), "rgb": ("RGB", "RGBA"), "bgr": ("RGB", "RGBA"), "grayscale_float16": ("F",)}
"""Modes of Pillow images that a colour space takes; an alpha channel is ignored."""

STORAGE: dict[str, type[np.generic]] = {"float16": np.float32, "float32": np.float32, "float64": np.float32, "int32": np.int32, "int8": np.int32}
"""Element types of features -> what the graph holds them in. Core ML itself computes a float64 feature in float32 or less."""


def prepare(features: Sequence[Feature], feed: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Return the arrays of the graph's inputs, by feature name.

    Shapes: arrays as declared; images 1 x channels x height x width, in the order of the model's colour space.
    Errors: InvalidInput where an input is missing, unknown, or does not fit its type, shape or range.
    """
    names = [feature.name for feature in features]
    for name in feed:
        if name not in names:
            raise InvalidInput(f"the model has no input {name!r}", fix=f"its inputs are {', '.join(map(repr, names))}" if names else "it takes none")
    arrays = {feature.name: _prepare_one(feature, feed.get(feature.name)) for feature in features}
    _check_combination([feature for feature in features if feature.sizes.enumerated], arrays)
    return arrays


def check_limits(limits: Mapping[str, np.dtype[Any]], arrays: Mapping[str, np.ndarray]) -> None:
    """Refuse numbers that the model's own type of an input does not hold.

    Errors: InvalidInput.
    """
    for name, dtype in limits.items():
        array, held = arrays[name], np.iinfo(dtype)
        if array.size and not (held.min <= array.min() and array.max() <= held.max):
            raise InvalidInput(f"input {name!r} does not fit: the model holds it as {dtype}, got numbers from {array.min()} to {array.max()}")


def _check_combination(features: Sequence[Feature], arrays: Mapping[str, np.ndarray]) -> None:
    """Refuse shapes from different places of their enumerations: Core ML takes the first of each input together, the second of each, and so on.

    Source: coremltools' guide on flexible input shapes. Enumerations of different lengths, which it does not allow, say nothing.
    """
    if len({len(feature.sizes.enumerated) for feature in features}) != 1:
        return
    fed = tuple(arrays[feature.name].shape[2 if feature.kind == "image" else 0 :] for feature in features)
    allowed = list(zip(*(feature.sizes.enumerated for feature in features), strict=True))
    if fed not in allowed:
        choices = " or ".join(_listed(features, shapes) for shapes in dict.fromkeys(allowed))
        raise InvalidInput(f"the shapes of the inputs do not go together: {_listed(features, fed)}", fix=f"feed {choices}")


def _listed(features: Sequence[Feature], shapes: Sequence[tuple[int, ...]]) -> str:
    pairs = (f"{feature.name} {'x'.join(map(str, shape))}" for feature, shape in zip(features, shapes, strict=True))
    return f"({', '.join(pairs)})"


def _prepare_one(feature: Feature, value: Any) -> np.ndarray:
    if value is None:
        if not feature.optional:
            raise InvalidInput(f"input {feature.name!r} is missing", why=f"expected {feature}")
        if feature.kind != "array" or not feature.sizes.default:
            raise _invalid(feature, "nothing, and it declares no default value")
        # Zero is what the specification's default value replaced: "non-zero default values for optional inputs" came with version 5.
        return graph_array(feature, np.full(feature.sizes.default, feature.default or 0))
    if feature.kind == "image":
        return _image(feature, value)
    if feature.kind == "array":
        return graph_array(feature, value)
    if feature.kind in ("int64", "double"):
        return _scalar(feature, value)
    raise _invalid(feature, f"a model input of kind {feature.kind}, which the portable runtime does not take")


def graph_array(feature: Feature, value: Any) -> np.ndarray:
    """Return an array of the feature's type and shape as the graph holds it.

    Errors: InvalidInput where it does not fit.
    """
    # Tensors of torch that are being trained refuse to be numpy arrays before they are detached.
    value = value.detach() if hasattr(value, "detach") else value
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise _invalid(feature, type(value).__name__, why=str(error)) from error
    if array.dtype.kind not in "biuf":
        raise _invalid(feature, f"an array of {array.dtype}")
    if array.shape == () and feature.sizes.accept((1,)):
        array = array.reshape(1)
    if not feature.sizes.accept(array.shape):
        raise _invalid(feature, f"shape {'x'.join(map(str, array.shape)) or '() (a single number)'}", why=feature.sizes.refuses(array.shape))
    storage = STORAGE[feature.dtype]
    if storage is np.int32:
        _check_integers(feature, array)
    if feature.dtype == "float16":
        with np.errstate(over="ignore"):
            array = array.astype(np.float16)
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(array, storage)


def _check_integers(feature: Feature, array: np.ndarray) -> None:
    limits = np.iinfo(feature.dtype)
    if array.dtype.kind == "f" and not np.array_equal(array, np.trunc(array)):
        raise _invalid(feature, "numbers that are not whole")
    if array.size and not (limits.min <= array.min() and array.max() <= limits.max):
        raise _invalid(feature, f"numbers from {array.min()} to {array.max()}")


def _scalar(feature: Feature, value: Any) -> np.ndarray:
    array = np.asarray(value)
    if array.size != 1 or array.dtype.kind not in "biuf":
        raise _invalid(feature, f"{type(value).__name__} of {array.size} elements")
    if feature.kind == "double":
        return np.asarray([array.item()], np.float32)
    _check_integers(Feature(feature.name, "int64", "int32"), array)
    return np.asarray([array.item()], np.int32)


def _image(feature: Feature, value: Any) -> np.ndarray:
    pixels = _pixels_of_array(feature, value) if isinstance(value, np.ndarray) else _pixels_of_pil(feature, value)
    if not feature.sizes.accept(pixels.shape[:2]):
        raise _invalid(feature, f"{pixels.shape[0]}x{pixels.shape[1]} (height x width)")
    if feature.color == "bgr":
        pixels = pixels[:, :, ::-1]
    return np.ascontiguousarray(pixels.transpose(2, 0, 1)[None], np.float32)


def _pixels_of_pil(feature: Feature, image: Image | Any) -> np.ndarray:
    assert feature.color is not None
    modes = IMAGE_MODES[feature.color]
    mode = getattr(image, "mode", None)
    if mode is None:
        raise _invalid(feature, type(image).__name__)
    if mode not in modes:
        raise _invalid(feature, f"a Pillow image of mode {mode!r}", fix=f"convert it: image.convert({modes[0]!r})")
    pixels = np.asarray(image)
    if mode == "F":
        with np.errstate(over="ignore"):
            pixels = pixels.astype(np.float16)
    return pixels[:, :, :3] if pixels.ndim == 3 else pixels[:, :, None]


def _pixels_of_array(feature: Feature, array: np.ndarray) -> np.ndarray:
    """Return height x width x channels, red first, as Pillow has it."""
    pixels = array[:, :, None] if array.ndim == 2 else array
    if pixels.ndim == 3 and feature.channels == 3 and pixels.shape[2] == 4:
        pixels = pixels[:, :, :3]
    if pixels.ndim != 3 or pixels.shape[2] != feature.channels:
        raise _invalid(feature, f"an array of shape {array.shape}", fix=f"feed height x width x {feature.channels}")
    if feature.color == "grayscale_float16":
        if pixels.dtype.kind != "f":
            raise _invalid(feature, f"an array of {array.dtype}", fix="feed floats")
        with np.errstate(over="ignore"):
            return pixels.astype(np.float16)
    if pixels.dtype != np.uint8:
        raise _invalid(feature, f"an array of {array.dtype}", fix="feed uint8 pixels")
    return pixels


def _invalid(feature: Feature, got: str, fix: str | None = None, why: str | None = None) -> InvalidInput:
    what = "state" if feature.kind == "state" else "input"
    return InvalidInput(f"{what} {feature.name!r} does not fit: expected {feature}, got {got}", why=why, fix=fix)
