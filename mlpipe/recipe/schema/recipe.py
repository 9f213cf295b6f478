"""The Recipe as it is written; `expand` turns it into a Plan."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, StringConstraints, Tag

from mlpipe.recipe.schema.base import Field, Name, Section
from mlpipe.recipe.schema.compare import Compare
from mlpipe.recipe.schema.convert import Convert
from mlpipe.recipe.schema.gate import Release
from mlpipe.recipe.schema.source import ReferenceOutputs, Source
from mlpipe.recipe.schema.workers import Workers

VARIABLE_NAME = r"[A-Za-z_][A-Za-z0-9_]*"
VariableName = Annotated[str, StringConstraints(pattern=rf"^{VARIABLE_NAME}$")]


def _reference_tag(written: Any) -> str:
    has_arrays = "npz" in written if isinstance(written, dict) else isinstance(written, ReferenceOutputs)
    return "outputs" if has_arrays else "model"


Reference = Annotated[Annotated[ReferenceOutputs, Tag("outputs")] | Annotated[Source, Tag("model")], Discriminator(_reference_tag)]


class Recipe(Section):
    """A recipe: the model, how it is converted and compressed, and what the result must reach."""

    mlpipe: Literal[1] = Field(1, description="The recipe format.")
    name: Name = Field(description="Of the folder under build/; default: the recipe's folder, or its file name.")
    description: str | None = Field(None, description="A sentence for reports.")
    vars: dict[VariableName, Any] = Field(default_factory=dict, description="Values to use as ${name}.")
    env: list[VariableName] = Field(default_factory=list, description="Environment variables that ${env.NAME:-default} may read.")
    source: Source = Field(description="The model that everything starts from.")
    reference: Reference | None = Field(None, description="What a `coreml:` source is held against: another model, or {npz: file}.")
    convert: Convert | None = Field(None, description="How the source becomes the variant `converted`.")
    quantize: dict[str, Any] = Field(default_factory=dict, description="The compressed variants by name: a step, a list of steps, or a matrix.")
    compare: Compare = Field(default_factory=Compare, description="Samples and metrics.")
    gate: dict[str, dict[str, Any]] | None = Field(None, description="Bounds by variant; keys may be globs, '*' is every variant but `converted`.")
    release: Release | None = Field(None, description="The variant that ships.")
    workers: Workers = Field(default_factory=Workers, description="How much of the machine a run may use.")
