"""`workers:`, how much of the machine a run may use. Not part of any key."""

from __future__ import annotations

from mlpipe.recipe.schema.base import Field, Section


class Workers(Section):
    """Limits of the processes that run the steps."""

    jobs: int | None = Field(None, description="Tasks at once; default: one a core.")
    memory_bytes: int | None = Field(None, description="For all tasks at once; default: the machine's.")
    timeout_seconds: dict[str, float] = Field(default_factory=dict, description="By step name; '*' for all. Default: none.")
