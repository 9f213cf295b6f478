"""The Plan: a recipe with every value explicit, frozen, and with absolute paths. Made by `expand`, read by everything else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mlpipe.recipe.schema.compare import Compare
from mlpipe.recipe.schema.convert import Convert
from mlpipe.recipe.schema.gate import GateRules, Release
from mlpipe.recipe.schema.quantize import QuantizeStep
from mlpipe.recipe.schema.source import Source
from mlpipe.recipe.schema.workers import Workers

CONVERTED = "converted"
"""The name of the variant that conversion makes."""


@dataclass(frozen=True)
class Variant:
    """A compressed variant: the steps that are applied to `converted`, in order (more than one is a chain)."""

    name: str
    steps: tuple[QuantizeStep, ...]


@dataclass(frozen=True)
class Plan:
    """One recipe, ready to run."""

    name: str
    recipe_path: Path
    folder: Path
    """The recipe's folder; user modules below it belong to the build."""
    source: Source
    """Its paths are absolute."""
    convert: Convert | None
    """None for `coreml:` sources, which have no conversion."""
    reference: Source | None
    reference_outputs: Path | None
    """An .npz of outputs that stands in for a reference model."""
    variants: tuple[Variant, ...]
    compare: Compare
    gates: Mapping[str, GateRules] | None
    """Per variant, `converted` included, merged; None where the recipe has no `gate:` (UNGATED)."""
    release: Release | None
    workers: Workers = field(default_factory=Workers)
    description: str | None = None
    """A sentence for reports."""

    @property
    def variant_names(self) -> tuple[str, ...]:
        """Return every variant, `converted` first."""
        return (CONVERTED, *(variant.name for variant in self.variants))


@dataclass(frozen=True)
class Workspace:
    """What one `mlpipe run` works on: the folder that holds `build/`, the plans, and the shared settings."""

    root: Path
    plans: tuple[Plan, ...]
    workers: Workers
    cache_size_bytes: int | None = None
    """None: the default limit of the store."""
    files: tuple[Path, ...] = ()
    """Every file that was read to make the plans; a run with nothing to do needs only these to be unchanged."""
    recipe_globs: tuple[str, ...] = ()
    """Absolute globs that were expanded to find the recipes, none where they were named: a new file that matches makes a new plan."""
    environment: Mapping[str, str | None] = field(default_factory=dict)
    """Environment variables that the recipes read, and their values then."""
