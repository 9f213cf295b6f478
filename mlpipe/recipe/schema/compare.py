"""`compare:`, the samples that the models see and the metrics between their outputs."""

from __future__ import annotations

from typing import Literal

from mlpipe.recipe.schema.base import Color, Field, Section

Fit = Literal["exact", "stretch", "crop", "pad"]
Resampling = Literal["nearest", "bilinear", "bicubic", "lanczos"]
Precision = Literal["auto", "float32", "float16", "band"]


class Synthetic(Section):
    """Seeded random samples, for models that have no data yet."""

    count: int = 16
    seed: int = 0
    distribution: Literal["uniform", "normal"] = "uniform"
    low: float = 0.0
    high: float = 1.0


class Samples(Section):
    """Where samples come from: exactly one of `images`, `arrays`, `synthetic`."""

    images: str | list[str] | None = Field(None, description="Globs of image files.")
    arrays: str | None = Field(None, description="A .npy or .npz; samples along the first axis.")
    synthetic: Synthetic | None = None
    input: str | None = Field(None, description="Which input the images or the .npy feed; default: the only one.")
    keys: dict[str, str] = Field(default_factory=dict, description="Input name -> key of the .npz; default: the same name.")
    fit: Fit = Field("exact", description="exact: sizes must agree; crop: short side to size, centre crop; pad: letterbox.")
    crop_fraction: float = Field(1.0, description="With crop: the central part kept, e.g. 0.875.")
    resampling: Resampling = "bilinear"
    color: Color | None = Field(None, description="How to read images for a source whose input is no declared image.")
    scale: float = Field(1.0, description="Multiplies pixels or arrays on the way to inputs that are not images.")
    bias: float = Field(0.0, description="Added after `scale`.")
    ground_truth: str | None = Field(None, description="A .csv with columns file (or index) and label; or key:NAME of the .npz.")
    labels: str | list[str] | None = Field(None, description="Label names by index; default: the classifier's.")
    limit: int | None = Field(None, description="At most so many, in order.")


class MetricSpec(Section):
    """A metric with its parameters."""

    name: str
    k: int | None = Field(None, description="topk_agreement: how many; default 5.")
    peak: float | None = Field(None, description="psnr_db: the peak value, always declared.")


class Compare(Section):
    """What is compared, and by which metrics."""

    samples: Samples | None = None
    metrics: list[MetricSpec] = Field(default_factory=list)
    outputs: list[str] | None = Field(None, description="Which outputs; default: all.")
    precision: Precision = Field("auto", description="auto: a band for files that may run in fp16, float32 for float32 ML Programs.")
