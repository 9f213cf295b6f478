"""Images for inputs: pixels for image inputs, and numbers made of pixels for inputs that are arrays."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mlpipe.errors import RecipeError, SampleUnreadable
from mlpipe.recipe.image_inputs import ResolvedImage
from mlpipe.recipe.schema.base import Color
from mlpipe.recipe.schema.compare import Samples
from mlpipe.runtime.features import Feature
from mlpipe.samples.images import pixels_of, read_image
from mlpipe.samples.ports import Array, numbers_of, ports_of

if TYPE_CHECKING:
    from PIL.Image import Image

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".heic", ".heif", ".jp2")

FIT = "say --fit stretch, crop or pad (in Python: fit=...)"


def pixels_for(feature: Feature, given: Path | Array, settings: Samples, name: str) -> Array:
    """Return what the runtime is fed for an image file, or for an array of pixels.

    Shapes: height x width x channels in uint8 for an image input; for an array input its own layout, in float32, each pixel times `scale` plus `bias`.
    Errors: SampleUnreadable for a file that is no image, a size that does not agree, and an input that images cannot feed.
    """
    if feature.kind == "image":
        _require_plain(feature, settings)
        if feature.color == "grayscale_float16":
            if isinstance(given, Path):
                raise SampleUnreadable(f"input {feature.name!r} is a {feature}", why=f"{name} has 8-bit pixels", fix="give the values as a .npy of floats")
            return given
        image = _opened(given, name)
        return image if isinstance(image, np.ndarray) else _fitted(image, _wanted(feature, settings), settings, name)
    if feature.kind != "array":
        raise SampleUnreadable(f"input {feature.name!r} is a {feature}, and {name} is an image")
    image = _opened(given, name)
    assert not isinstance(image, np.ndarray), "only image inputs get pixels as arrays"
    return _numbers(feature, image, settings, name)


def _require_plain(feature: Feature, settings: Samples) -> None:
    """Check that pixels are not to be changed on their way to an image input: the model does that itself. Errors: RecipeError."""
    if (settings.scale, settings.bias, settings.color) != (1.0, 0.0, None):
        why = f"{feature.name!r} is a {feature}"
        raise RecipeError("--scale, --bias and --color are for images that feed arrays", why=why, fix="leave them out: image inputs take pixels as they are")


def _opened(given: Path | Array, name: str) -> Image | Array:
    """Return the image; an array that is no pixels is left to the runtime, which says what is wrong with it."""
    from PIL import Image

    if isinstance(given, Path):
        if given.suffix.lower() not in IMAGE_SUFFIXES:
            why = f"images end in {', '.join(IMAGE_SUFFIXES)}; arrays in .npy or .npz; numbers in .json or .txt"
            raise SampleUnreadable(f"{name} is no file that inputs are read from", why=why)
        return read_image(given)
    if given.dtype != np.uint8 or given.ndim not in (2, 3) or (given.ndim == 3 and given.shape[2] not in (1, 3)):
        return given
    return Image.fromarray(np.ascontiguousarray(given[:, :, 0] if given.ndim == 3 and given.shape[2] == 1 else given))


def _wanted(feature: Feature, settings: Samples) -> ResolvedImage:
    height, width = _sizes(feature.sizes.dims(), feature.sizes.default, settings)
    color: Color = "grayscale" if feature.channels == 1 else "rgb"  # the runtime orders channels itself
    return ResolvedImage(color, (1.0,) * feature.channels, (0.0,) * feature.channels, "nhwc", height, width)


def _numbers(feature: Feature, image: Image, settings: Samples, name: str) -> Array:
    sizes = _sizes(feature.sizes.dims(), feature.sizes.default, settings)
    batched = len(sizes) == 4
    entry = {"name": feature.name, "shape": list(sizes if batched else (1, *sizes)), "dtype": "float32"}
    try:
        (port,) = ports_of([entry], {}, settings).values()
    except SampleUnreadable as error:
        fix = "say --color grayscale, rgb or bgr where that is what it takes, else give an array"
        raise SampleUnreadable(f"{name} is an image, and input {feature.name!r} is a {feature}", why=error.what, fix=fix) from error
    assert port.image is not None
    numbers = numbers_of(port, _fitted(image, port.image, settings, name))
    return numbers[None] if batched else numbers


def _sizes(accepted: tuple[int | None, ...], default: tuple[int, ...], settings: Samples) -> tuple[int | None, ...]:
    """Return the sizes that an image must have; where an input takes several and the image is to be fitted, those that the model names as usual."""
    return accepted if settings.fit == "exact" or not all(default) else default


def _fitted(image: Image, wanted: ResolvedImage, settings: Samples, name: str) -> Array:
    try:
        return pixels_of(image, wanted, settings)
    except SampleUnreadable as error:
        raise SampleUnreadable(f"{name}: {error.what}", why=error.why, fix=FIT if settings.fit == "exact" else error.fix) from error
