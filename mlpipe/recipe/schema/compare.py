"""`compare:`, the samples that the models see and the metrics between their outputs."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, model_validator

from mlpipe.recipe.metrics_table import METRICS
from mlpipe.recipe.schema.base import Color, Field, Section

Fit = Literal["exact", "stretch", "crop", "pad"]
Resampling = Literal["nearest", "bilinear", "bicubic", "lanczos"]
Precision = Literal["auto", "float32", "float16", "band"]
MetricName = Literal["top1_agreement", "topk_agreement", "accuracy", "snr_db", "psnr_db", "max_abs_error", "cosine", "size_ratio", "size_bytes"]


class Synthetic(Section):
    """Seeded random samples, for models that have no data yet."""

    count: int = Field(16, ge=1, description="How many samples.")
    seed: int = Field(0, ge=0, description="Of the random numbers.")
    distribution: Literal["uniform", "normal"] = Field("uniform", description="How they are distributed.")
    low: float = Field(0.0, description="uniform: least value; normal: mean minus one standard deviation.")
    high: float = Field(1.0, description="uniform: upper end; normal: mean plus one standard deviation.")

    @model_validator(mode="after")
    def _check(self) -> Synthetic:
        if self.low >= self.high:
            raise ValueError("`low` must be below `high`")
        return self


class Samples(Section):
    """Where samples come from: exactly one of `images`, `arrays`, `synthetic`."""

    images: str | list[str] | None = Field(None, description="Globs of image files.")
    arrays: str | None = Field(None, description="A .npy or .npz; samples along the first axis.")
    synthetic: Synthetic | None = Field(None, description="Seeded random samples.")
    input: str | None = Field(None, description="Which input the images or the .npy feed; default: the only one.")
    keys: dict[str, str] = Field(default_factory=dict, description="Input name -> key of the .npz; default: the same name.")
    fit: Fit = Field("exact", description="exact: sizes must agree; crop: short side to size, centre crop; pad: letterbox.")
    crop_fraction: float = Field(1.0, gt=0, le=1, description="With crop: the central part kept, e.g. 0.875.")
    resampling: Resampling = Field("bilinear", description="How images are resized where `fit` resizes them.")
    color: Color | None = Field(None, description="How to read images for a source whose input is no declared image.")
    scale: float = Field(1.0, description="Multiplies pixels or arrays on the way to inputs that are not images.")
    bias: float = Field(0.0, description="Added after `scale`.")
    ground_truth: str | None = Field(None, description="A .csv with columns file (or index) and label; or key:NAME of the .npz.")
    labels: str | list[str] | None = Field(None, description="Label names by index; default: the classifier's.")
    limit: int | None = Field(None, ge=1, description="At most so many, in order.")

    @model_validator(mode="after")
    def _check(self) -> Samples:
        kinds = [kind for kind in ("images", "arrays", "synthetic") if getattr(self, kind) is not None]
        if len(kinds) != 1:
            raise ValueError(f"expected exactly one of images, arrays and synthetic, got {' and '.join(kinds) or 'none'}")
        return self


class MetricSpec(Section):
    """A metric with its parameters."""

    name: MetricName = Field(description="Which metric.")
    k: int | None = Field(None, ge=1, description="topk_agreement: how many; default 5.")
    peak: float | None = Field(None, gt=0, description="psnr_db: the peak value, always declared.")

    @model_validator(mode="after")
    def _check(self) -> MetricSpec:
        for parameter in ("k", "peak"):
            if getattr(self, parameter) is not None and parameter not in METRICS[self.name].parameters:
                raise ValueError(f"{self.name} has no parameter '{parameter}'")
        if self.name == "psnr_db" and self.peak is None:
            raise ValueError("psnr_db needs the peak value: write {psnr_db: {peak: 1.0}} (or 255 for pixels)")
        return self


class MetricParameters(Section):
    """What may stand below a metric's name."""

    k: int | None = Field(None, description="topk_agreement: how many; default 5.")
    peak: float | None = Field(None, description="psnr_db: the peak value, always declared.")


def _metric_as_written(written: Any) -> Any:
    """Return `top1_agreement` and `{psnr_db: {peak: 1.0}}` in the long form."""
    if isinstance(written, str):
        return {"name": written}
    if isinstance(written, dict) and len(written) == 1 and "name" not in written:
        [(name, parameters)] = written.items()
        if parameters is None or isinstance(parameters, dict):
            return {"name": name, **(parameters or {})}
    return written


MetricAsWritten = Annotated[
    MetricSpec,
    BeforeValidator(_metric_as_written, json_schema_input_type=MetricName | MetricSpec | dict[MetricName, MetricParameters | None]),
]


class Compare(Section):
    """What is compared, and by which metrics."""

    samples: Samples | None = Field(None, description="What the models are fed.")
    metrics: list[MetricAsWritten] = Field(default_factory=list, description="A name, or a name with parameters: {psnr_db: {peak: 1.0}}.")
    outputs: list[str] | None = Field(None, description="Which outputs; default: all.")
    precision: Precision = Field("auto", description="auto: a band for files that may run in fp16, float32 for float32 ML Programs.")
