"""`convert:`, how the source becomes a Core ML model."""

from __future__ import annotations

from typing import Literal

from mlpipe.recipe.schema.base import Color, DType, Field, Name, Section

Target = Literal["neuralnetwork", "mlprogram"]


class ImageInput(Section):
    """An input that the app feeds as an image: `value = pixel * scale + bias`, or `(pixel * scale - mean) / std` per channel."""

    color: Color = "rgb"
    scale: float = 1.0
    bias: float | list[float] = 0.0
    mean: list[float] | None = Field(None, description="Per channel, after `scale`; excludes `bias`.")
    std: list[float] | None = Field(None, description="Per channel, after `scale` and `mean`.")
    layout: Literal["nhwc", "nchw"] | None = Field(None, description="Of the source's input; default: what its shape says.")


class DimensionRange(Section):
    """A flexible size: from `min` to `max` (null: unbounded, NeuralNetwork only), `default` when none is asked for."""

    min: int = 1
    max: int | None = None
    default: int | None = None


class Input(Section):
    """One input of the Core ML model, under the source's name for it."""

    image: ImageInput | None = None
    shape: list[int | DimensionRange] | None = None
    enumerated_shapes: list[list[int]] | None = None
    default_shape: list[int] | None = Field(None, description="Which of the enumerated shapes is the default.")
    dtype: DType | None = None
    rename: Name | None = None


class ImageOutput(Section):
    """An output that the app gets as an image."""

    color: Color = "rgb"
    clip: bool = Field(default=True, description="Clip to 0..255 before the conversion to pixels.")
    scale: float = Field(1.0, description="Multiplies the values before they become pixels.")


class Output(Section):
    """One output of the Core ML model, under the source's name for it."""

    image: ImageOutput | None = None
    dtype: DType | None = None
    rename: Name | None = None


class Classifier(Section):
    """Makes the model a classifier."""

    class_labels: str | list[str] | list[int] = Field(description="A text file, one label a line, or the labels themselves.")
    predicted_feature_name: Name = "classLabel"
    probabilities: str | None = Field(None, description="Which output holds the scores; default: the only one.")


class KeepFloat32(Section):
    """What stays in float32 in a float16 ML Program."""

    names: list[str] = Field(default_factory=list, description="Globs over operation names.")
    types: list[str] = Field(default_factory=list, description="Operation types, e.g. softmax.")


class Metadata(Section):
    """What the model file says of itself; stamped last, so editing it reruns nothing heavy."""

    author: str | None = None
    license: str | None = None
    version: str | None = None
    description: str | None = None
    inputs: dict[str, str] = Field(default_factory=dict, description="Descriptions of inputs.")
    outputs: dict[str, str] = Field(default_factory=dict, description="Descriptions of outputs.")
    user_defined: dict[str, str] = Field(default_factory=dict)
    preview_type: str | None = Field(None, description="com.apple.coreml.model.preview.type, e.g. imageSegmenter.")


class Convert(Section):
    """How the source becomes the variant `converted`."""

    to: Target = "mlprogram"
    minimum_deployment_target: str | None = Field(None, description="E.g. iOS16 or macOS13; default iOS13 / iOS16.")
    compute_precision: Literal["float16", "float32"] | None = Field(None, description="ML Program; default float16.")
    keep_float32: KeepFloat32 = Field(default_factory=KeepFloat32)
    inputs: dict[str, Input] = Field(default_factory=dict)
    outputs: dict[str, Output] = Field(default_factory=dict)
    classifier: Classifier | None = None
    metadata: Metadata = Field(default_factory=Metadata)
