"""How pixels become the numbers that a source model is fed: one table, used by the conversion, the source's run and calibration alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from mlpipe.errors import RecipeError
from mlpipe.recipe.schema.base import Color
from mlpipe.recipe.schema.convert import ImageInput, Input


@dataclass(frozen=True)
class ResolvedImage:
    """One image input, every value explicit: the source is fed `pixel * scale[c] + bias[c]`."""

    color: Color
    scale: tuple[float, ...]
    bias: tuple[float, ...]
    layout: Literal["nhwc", "nchw"]
    height: int | None
    """None where the source's size is flexible."""
    width: int | None


def resolve_image_inputs(inputs: Mapping[str, Input], described: Sequence[Mapping[str, Any]]) -> dict[str, ResolvedImage]:
    """Return the image inputs by source input name.

    `described` is the `inputs` list of a description (name, shape, dtype); shapes are of rank 4 with the batch first.
    Errors: RecipeError for an input that the source does not have, or whose shape or channel count does not fit the colour.
    """
    shapes = {entry["name"]: entry["shape"] for entry in described}
    resolved = {}
    for name, declared in inputs.items():
        if name not in shapes:
            known = ", ".join(sorted(shapes))
            raise RecipeError(f"convert.inputs.{name}: the source has no such input", fix=f"its inputs are: {known}")
        if declared.image is not None:
            resolved[name] = _resolve(name, declared, declared.image, shapes[name])
    return resolved


def _resolve(name: str, declared: Input, image: ImageInput, source_shape: Sequence[int | None]) -> ResolvedImage:
    channels = 1 if image.color == "grayscale" else 3
    shape: list[int | None] = list(source_shape)
    if declared.shape is not None:
        shape = [size if isinstance(size, int) else size.default for size in declared.shape]
    if len(shape) != 4:
        raise RecipeError(f"convert.inputs.{name}.image: an image input has four dimensions, this one has shape {shape}")
    layout = image.layout or ("nhwc" if shape[3] == channels else "nchw" if shape[1] == channels else None)
    if layout is None:
        raise RecipeError(
            f"convert.inputs.{name}.image: shape {shape} has no axis of {channels} channel(s) for color {image.color}",
            fix="change `color`, or say `layout: nhwc` or `nchw`",
        )
    height, width = (shape[1], shape[2]) if layout == "nhwc" else (shape[2], shape[3])
    scale, bias = _affine(name, image, channels)
    return ResolvedImage(image.color, scale, bias, layout, height, width)


def _affine(name: str, image: ImageInput, channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return per-channel scale and bias. Source: (pixel * scale - mean) / std = pixel * (scale / std) - mean / std."""
    std = _per_channel(name, "std", 1.0 if image.std is None else image.std, channels)
    scale = tuple(image.scale / value for value in std)
    if image.mean is None and image.std is None:
        return scale, _per_channel(name, "bias", image.bias, channels)
    mean = _per_channel(name, "mean", 0.0 if image.mean is None else image.mean, channels)
    return scale, tuple(-center / value for center, value in zip(mean, std, strict=True))


def _per_channel(name: str, key: str, value: float | Sequence[float], channels: int) -> tuple[float, ...]:
    values = (float(value),) * channels if isinstance(value, int | float) else tuple(float(item) for item in value)
    if len(values) != channels:
        raise RecipeError(f"convert.inputs.{name}.image.{key}: {len(values)} values for {channels} channel(s)")
    return values
