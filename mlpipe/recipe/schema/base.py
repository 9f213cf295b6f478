"""What every section of a recipe shares: strict, frozen, and with every key spelled out."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=100)]
"""A name that becomes a file name: letters, digits, dot, dash and underscore, so that it cannot leave `build/`."""

Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Color = Literal["rgb", "bgr", "grayscale"]
DType = Literal["float32", "float16", "float64", "int32", "int64", "bool"]
FunctionReference = Annotated[str, StringConstraints(pattern=r"^[^:]+\.py:[A-Za-z_]\w*$")]
"""`file.py:function`, the file relative to the recipe."""


class Section(BaseModel):
    """A part of a recipe: unknown keys are errors, values are not coerced across types, instances are immutable."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True, allow_inf_nan=False)


__all__ = ["Color", "DType", "Field", "FunctionReference", "Name", "Section", "Sha256"]
