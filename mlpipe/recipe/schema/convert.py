"""`convert:`, how the source becomes a Core ML model."""

from __future__ import annotations

from typing import Literal

from pydantic import model_validator

from mlpipe.recipe.schema.base import Color, Field, Name, Section

Target = Literal["neuralnetwork", "mlprogram"]
CoreMLType = Literal["float32", "float16", "int32"]


class ImageInput(Section):
    """An input that the app feeds as an image: `value = pixel * scale + bias`, or `(pixel * scale - mean) / std` per channel."""

    color: Color = Field("rgb", description="The order of the channels that the model sees.")
    scale: float = Field(1.0, description="Multiplies every pixel (0..255).")
    bias: float | list[float] = Field(0.0, description="Added after `scale`, one for all channels or one a channel.")
    mean: list[float] | None = Field(None, description="Per channel, after `scale`; excludes `bias`.")
    std: list[float] | None = Field(None, description="Per channel, after `scale` and `mean`.")
    layout: Literal["nhwc", "nchw"] | None = Field(None, description="Of the source's input; default: what its shape says.")

    @model_validator(mode="after")
    def _check(self) -> ImageInput:
        channels = 1 if self.color == "grayscale" else 3
        for key in ("bias", "mean", "std"):
            values = getattr(self, key)
            if isinstance(values, list) and len(values) != channels:
                raise ValueError(f"`{key}` has {len(values)} values, and color {self.color} {channels} channel{'s' * (channels > 1)}")
        if (self.mean is not None or self.std is not None) and self.bias != 0.0:
            raise ValueError("`bias` and `mean`/`std` say the same thing twice: keep one")
        if 0.0 in (self.std or []):
            raise ValueError("`std` divides, so that it cannot be 0")
        return self


class DimensionRange(Section):
    """A flexible size: from `min` to `max` (null: unbounded, NeuralNetwork only), `default` when none is asked for."""

    min: int = Field(1, ge=1, description="The least size.")
    max: int | None = Field(None, description="null: unbounded.")
    default: int | None = Field(None, description="Default: `min`.")

    @model_validator(mode="after")
    def _check(self) -> DimensionRange:
        if self.max is not None and self.max < self.min:
            raise ValueError(f"`max` is {self.max}, less than `min`, {self.min}")
        if self.default is not None and not self.min <= self.default <= (self.max or self.default):
            raise ValueError(f"`default`, {self.default}, lies outside the range")
        return self


class Input(Section):
    """One input of the Core ML model, under the source's name for it."""

    image: ImageInput | None = Field(None, description="Makes it an image.")
    shape: list[int | DimensionRange] | None = Field(None, description="Its shape, batch included; a size may be a range.")
    enumerated_shapes: list[list[int]] | None = Field(None, description="The shapes that it can have.")
    default_shape: list[int] | None = Field(None, description="Which of the enumerated shapes is the default.")
    dtype: CoreMLType | None = Field(None, description="Of the Core ML input; with a grayscale image float16 is Core ML's 16-bit grayscale.")
    rename: Name | None = Field(None, description="Its name in the Core ML model.")

    @model_validator(mode="after")
    def _check(self) -> Input:
        if self.image is not None and self.dtype is not None and (self.image.color, self.dtype) != ("grayscale", "float16"):
            raise ValueError("an image has no dtype, except float16 where its color is grayscale")
        if self.enumerated_shapes is None:
            if self.default_shape is not None:
                raise ValueError("`default_shape` goes with `enumerated_shapes`")
            return self
        if self.shape is not None:
            raise ValueError("`shape` and `enumerated_shapes` exclude each other")
        if len({len(shape) for shape in self.enumerated_shapes}) != 1 or any(size < 1 for shape in self.enumerated_shapes for size in shape):
            raise ValueError("`enumerated_shapes` needs shapes of one length, of sizes from 1")
        if self.default_shape is not None and self.default_shape not in self.enumerated_shapes:
            raise ValueError("`default_shape` is none of `enumerated_shapes`")
        return self


class ImageOutput(Section):
    """An output that the app gets as an image."""

    color: Color = Field("rgb", description="The order of the channels that the model gives.")
    clip: bool = Field(default=True, description="Clip to 0..255 before the conversion to pixels.")
    scale: float = Field(1.0, description="Multiplies the values before they become pixels.")


class Output(Section):
    """One output of the Core ML model, under the source's name for it."""

    image: ImageOutput | None = Field(None, description="Makes it an image.")
    dtype: CoreMLType | None = Field(None, description="Of the Core ML output; with a grayscale image float16 is Core ML's 16-bit grayscale.")
    rename: Name | None = Field(None, description="Its name in the Core ML model.")

    @model_validator(mode="after")
    def _check(self) -> Output:
        if self.image is not None and self.dtype is not None and (self.image.color, self.dtype) != ("grayscale", "float16"):
            raise ValueError("an image has no dtype, except float16 where its color is grayscale")
        return self


class Classifier(Section):
    """Makes the model a classifier."""

    class_labels: str | list[str] | list[int] = Field(description="A text file, one label a line, or the labels themselves.")
    predicted_feature_name: Name = Field("classLabel", description="The name of the output that holds the label.")
    probabilities: str | None = Field(None, description="Which output holds the scores; default: the only one.")


class KeepFloat32(Section):
    """What stays in float32 in a float16 ML Program."""

    names: list[str] = Field(default_factory=list, description="Globs over operation names.")
    types: list[str] = Field(default_factory=list, description="Operation types, e.g. softmax.")


class Metadata(Section):
    """What the model file says of itself; stamped last, so editing it reruns nothing heavy."""

    author: str | None = Field(None, description="Who made it.")
    license: str | None = Field(None, description="Under which licence.")
    version: str | None = Field(None, description="Its version, as text.")
    description: str | None = Field(None, description="What it does.")
    inputs: dict[str, str] = Field(default_factory=dict, description="Descriptions of inputs.")
    outputs: dict[str, str] = Field(default_factory=dict, description="Descriptions of outputs.")
    user_defined: dict[str, str] = Field(default_factory=dict, description="Further keys with text.")
    preview_type: str | None = Field(None, description="com.apple.coreml.model.preview.type, e.g. imageSegmenter.")


class Convert(Section):
    """How the source becomes the variant `converted`."""

    to: Target = Field("mlprogram", description="The file format: neuralnetwork (.mlmodel) or mlprogram (.mlpackage).")
    minimum_deployment_target: str | None = Field(None, description="E.g. iOS16 or macOS13; default iOS14 / iOS16.")
    compute_precision: Literal["float16", "float32"] | None = Field(None, description="ML Program; default float16.")
    keep_float32: KeepFloat32 = Field(default_factory=KeepFloat32, description="Operations that are computed in float32 all the same.")
    inputs: dict[str, Input] = Field(default_factory=dict, description="By the source's names.")
    outputs: dict[str, Output] = Field(default_factory=dict, description="By the source's names.")
    classifier: Classifier | None = Field(None, description="Makes the model a classifier.")
    metadata: Metadata = Field(default_factory=Metadata, description="What the model file says of itself.")
