"""`quantize:`, the compressed variants."""

from __future__ import annotations

from typing import Literal

from mlpipe.recipe.schema.base import Field, FunctionReference, Section

Method = Literal["float16", "linear", "kmeans", "lut"]
Granularity = Literal["per_tensor", "per_channel", "per_block", "per_grouped_channel"]


class QuantizeStep(Section):
    """One compression of the weights, every value explicit."""

    method: Method = Field(description="How weights are stored: halves, integers with a scale, or a table.")
    bits: int = Field(8, ge=1, le=16, description="1..8; 16 with float16.")
    symmetric: bool | None = Field(None, description="linear: symmetric about zero; default true for ML Program.")
    granularity: Granularity | None = Field(None, description="Default: per_channel for linear, per_tensor for look-up tables.")
    block_size: int | None = Field(None, ge=1, description="per_block: weights that share a scale; default 32.")
    group_size: int | None = Field(None, ge=1, description="per_grouped_channel: channels that share a table; default 32.")
    function: FunctionReference | None = Field(None, description="lut: function(weights, bits, name) -> table, or table and indices, as file.py:function.")
    minimum_elements: int = Field(0, ge=0, description="Smaller weights stay as they are (named in the record).")
    skip: list[str] = Field(default_factory=list, description="Globs over weight or layer names that stay as they are.")
    minimum_snr_db: float | None = Field(None, description="A weight that decodes below it fails the step; default: by scheme.")
