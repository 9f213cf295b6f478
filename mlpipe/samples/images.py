"""Image files as 8-bit pixels of the size and colours that a model wants."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from mlpipe.errors import SampleUnreadable
from mlpipe.recipe.image_inputs import ResolvedImage
from mlpipe.recipe.schema.compare import Samples
from mlpipe.samples.ports import Array

if TYPE_CHECKING:
    from PIL import Image

_CHANNELS: dict[str, Literal["L", "RGB"]] = {"grayscale": "L", "rgb": "RGB", "bgr": "RGB"}
_REFUSED = {
    "CMYK": "its colours depend on a printing profile",
    "YCbCr": "its colours depend on a conversion that the file does not state",
    "LAB": "its colours depend on a white point",
    "HSV": "its colours are hue, saturation and value",
    "I": "its values are 32-bit integers without a known range",
    "F": "its values are floating-point numbers without a known range",
}


def read_image(path: Path) -> Image.Image:
    """Return an image file as a Pillow image of mode L or RGB, upright.

    16-bit values become their upper 8 bits, so that p * 257 gives p. A palette is resolved; an alpha channel is dropped where it is opaque everywhere.
    Errors: SampleUnreadable for a damaged file, several frames, transparency, and colours that are not plainly gray or RGB.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(path) as image:
            image.load()
            frames = getattr(image, "n_frames", 1)
            if frames > 1 and image.format != "MPO":  # a phone's JPEG: the picture, then its depth map or preview
                raise SampleUnreadable(f"{path.name} has {frames} frames", fix="save the frame that counts as an image of its own")
            return _plain(path.name, ImageOps.exif_transpose(image))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise SampleUnreadable(f"{path.name} cannot be read as an image", why=str(error)) from error


def _plain(name: str, image: Image.Image) -> Image.Image:
    from PIL import Image

    mode = image.mode
    if mode in _REFUSED:
        raise SampleUnreadable(f"{name} is an image of mode {mode}", why=_REFUSED[mode], fix="save it as gray or RGB")
    if mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("LA" if mode in {"1", "L", "LA"} else "RGBA")
    elif mode in {"1", "P"}:
        image = image.convert("L" if mode == "1" else "RGB")
    if image.mode in {"LA", "RGBA"}:
        if np.asarray(image.getchannel("A")).min() < 255:
            raise SampleUnreadable(f"{name} has transparent pixels", why="what shows through them is not known", fix="flatten it on a background")
        image = image.convert(image.mode[:-1])
    if image.mode not in {"L", "RGB"}:
        raise SampleUnreadable(f"{name} is an image of mode {mode}", fix="save it as gray or RGB")
    return image


def pixels_of(image: Image.Image, wanted: ResolvedImage, samples: Samples) -> Array:
    """Return the pixels as uint8, in the size and colours that an input wants, as the samples' `fit` and `resampling` say.

    Shapes: height x width x 1 for grayscale (ITU-R 601 luma of colour images), x 3 in the order red, green, blue for rgb and bgr alike.
    Errors: SampleUnreadable where the size does not agree and `fit` is exact, or is unknown and `fit` is not.
    """
    pixels = np.asarray(_fitted(image.convert(_CHANNELS[wanted.color]), wanted.height, wanted.width, samples))
    return pixels[:, :, np.newaxis] if pixels.ndim == 2 else pixels


def _fitted(image: Image.Image, height: int | None, width: int | None, samples: Samples) -> Image.Image:
    from PIL import Image

    fit = samples.fit
    if fit == "exact":
        if (height or image.height, width or image.width) != (image.height, image.width):
            raise SampleUnreadable(
                f"the image is {image.height} x {image.width} (height x width), the model takes {height or 'any'} x {width or 'any'}",
                fix="say `fit: stretch`, `crop` or `pad`",
            )
        return image
    if height is None or width is None:
        raise SampleUnreadable(f"the model takes images of any size, so there is none to {fit} to", fix="say `fit: exact`, or give the input a shape")
    method = Image.Resampling[samples.resampling.upper()]
    if fit == "stretch":
        return image.resize((width, height), method)
    if fit == "crop":
        # One resize of the largest centred box of the right shape: shrinking the short side first and cropping afterwards, without its rounding.
        ratio = min(image.width / width, image.height / height) * samples.crop_fraction
        left, top = (image.width - width * ratio) / 2, (image.height - height * ratio) / 2
        box = (max(0.0, left), max(0.0, top), min(float(image.width), left + width * ratio), min(float(image.height), top + height * ratio))
        return image.resize((width, height), method, box=box)
    ratio = min(width / image.width, height / image.height)
    inner = image.resize((max(1, round(image.width * ratio)), max(1, round(image.height * ratio))), method)
    canvas = Image.new(image.mode, (width, height))  # black
    canvas.paste(inner, ((width - inner.width) // 2, (height - inner.height) // 2))
    return canvas
