"""`pipeline.yaml`, the workspace: which recipes, and what they share."""

from __future__ import annotations

from typing import Any, Literal

from mlpipe.recipe.schema.base import Field, Section
from mlpipe.recipe.schema.recipe import VariableName
from mlpipe.recipe.schema.workers import Size, Workers


class Cache(Section):
    """The store."""

    size_bytes: Size | None = Field(None, alias="size", description="Its limit, e.g. 20 GB.")


class Pipeline(Section):
    """A workspace."""

    mlpipe: Literal[1] = Field(1, description="The format, as in recipes.")
    recipes: list[str] = Field(default_factory=list, description="Globs of recipe files.")
    defaults: dict[str, Any] = Field(default_factory=dict, description="Merged under each recipe, key by key; lists are replaced.")
    cache: Cache = Field(default_factory=Cache, description="The store of artifacts.")
    env: list[VariableName] = Field(default_factory=list, description="Environment variables that every recipe may read.")
    workers: Workers = Field(default_factory=Workers, description="How much of the machine a run may use.")
