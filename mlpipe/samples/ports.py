"""What each input of a model wants: one table made from its description, the declared images and the recipe's samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlpipe.errors import SampleUnreadable
from mlpipe.recipe.image_inputs import ResolvedImage
from mlpipe.recipe.schema.compare import Samples

Array = np.ndarray[Any, np.dtype[Any]]

_NO_NUMBERS = ("string", "dictionary", "sequence")
"""Types of inputs of Core ML models that no array of numbers feeds."""


@dataclass(frozen=True)
class Port:
    """One input of the source model."""

    name: str
    shape: tuple[int | None, ...]
    """Of one sample, without the batch axis; None is a size that may vary."""
    default_shape: tuple[int | None, ...]
    """The same with the sizes that synthetic samples have."""
    batched: bool
    dtype: np.dtype[Any]
    image: ResolvedImage | None
    """How pixels become the source's numbers; None where the input is fed arrays."""
    takes_pixels: bool
    """Whether the Core ML model takes the pixels themselves: a declared image."""


def ports_of(described: Sequence[Mapping[str, Any]], images: Mapping[str, ResolvedImage], samples: Samples) -> dict[str, Port]:
    """Return the inputs by the source's names, in its order.

    `described` is the `inputs` list of a description; an entry may have `default_shape`, its shape with flexible sizes filled in.
    Errors: SampleUnreadable where an input has no known shape, and where image files feed an input that pixels do not fit.
    """
    ports = {entry["name"]: _port(entry, images.get(entry["name"])) for entry in described}
    fed = fed_input(samples, ports) if samples.images is not None else None
    if fed is not None and not ports[fed].takes_pixels:
        ports[fed] = _with_pixels(ports[fed], samples)
    return ports


def fed_input(samples: Samples, ports: Mapping[str, Port]) -> str:
    """Return the input that image files or a .npy feed. Errors: SampleUnreadable where it does not exist, or others would stay empty."""
    if len(ports) != 1:
        raise SampleUnreadable(
            f"the model has the inputs {', '.join(ports)}, and images or a .npy feed only one",
            fix="give an .npz with one array an input",
        )
    name = next(iter(ports))
    if samples.input not in {None, name}:
        raise SampleUnreadable(f"samples.input: the model has no input {samples.input!r}", fix=f"its input is {name!r}")
    return name


def _port(entry: Mapping[str, Any], image: ResolvedImage | None) -> Port:
    if entry["dtype"] in _NO_NUMBERS:
        why = "samples of recipes are images and arrays of numbers"
        fix = "mlpipe predict --samples feeds such inputs, a .json a sample; a recipe without compare.samples packages the model"
        raise SampleUnreadable(f"input {entry['name']!r} takes a {entry['dtype']}", why=why, fix=fix)
    default = entry.get("default_shape") or entry["shape"]
    if default is None:
        raise SampleUnreadable(f"the source does not say which shape input {entry['name']!r} has", fix=f"say convert.inputs.{entry['name']}.shape")
    shape, default = tuple(entry["shape"] or (None,) * len(default)), tuple(default)
    batched = bool(shape) and shape[0] in {None, 1}
    start = 1 if batched else 0
    return Port(entry["name"], shape[start:], default[start:], batched, np.dtype(entry["dtype"]), image, image is not None)


def _with_pixels(port: Port, samples: Samples) -> Port:
    """Return an input that is no declared image as one that image files can feed, by its shape and the samples' colour, scale and bias."""
    shape, layout = port.shape, None
    for channels, colors in ((1, ("grayscale",)), (3, ("rgb", "bgr"))):
        for axis, name in ((2, "nhwc"), (0, "nchw")):
            if layout is None and len(shape) == 3 and shape[axis] == channels and samples.color in {None, *colors}:
                layout, color = name, samples.color or colors[0]
    if layout is None:
        wanted = "" if samples.color is None else f" of color {samples.color}"
        raise SampleUnreadable(
            f"input {port.name!r} has shape {list(shape)} a sample, which images{wanted} do not fit",
            fix="say samples.color, or give the samples as arrays",
        )
    return _as_image(port, samples, layout, color)


def _as_image(port: Port, samples: Samples, layout: Any, color: Any) -> Port:
    channels = 1 if color == "grayscale" else 3
    height, width = (port.shape[0], port.shape[1]) if layout == "nhwc" else (port.shape[1], port.shape[2])
    image = ResolvedImage(color, (samples.scale,) * channels, (samples.bias,) * channels, layout, height, width)
    return Port(port.name, port.shape, port.default_shape, port.batched, port.dtype, image, takes_pixels=False)


def numbers_of(port: Port, pixels: Array) -> Array:
    """Return what the source is fed for some pixels: `pixel * scale + bias` per channel, in its own layout and type, without the batch axis."""
    image = port.image
    assert image is not None
    ordered = pixels[:, :, ::-1] if image.color == "bgr" else pixels
    values = ordered.astype(np.float64) * np.asarray(image.scale) + np.asarray(image.bias)
    return as_type(port, values if image.layout == "nhwc" else values.transpose(2, 0, 1))


def as_type(port: Port, values: Array) -> Array:
    """Return values in the input's type. Errors: SampleUnreadable where whole numbers are wanted and they are not, or do not fit the type."""
    if port.dtype.kind in "iub":
        cast = values.astype(port.dtype)
        if not np.array_equal(cast.astype(np.float64), values.astype(np.float64)):
            raise SampleUnreadable(f"input {port.name!r} takes {port.dtype.name}, and the sample has values that are not of that type")
        return np.asarray(cast, order="C")
    return np.asarray(values.astype(port.dtype), order="C")


def fits(shape: Sequence[int], wanted: Sequence[int | None]) -> bool:
    """Whether a sample's shape is one that the input takes."""
    return len(shape) == len(wanted) and all(want is None or size == want for size, want in zip(shape, wanted, strict=True))
