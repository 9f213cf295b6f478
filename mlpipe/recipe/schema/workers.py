"""`workers:`, how much of the machine a run may use. Not part of any key."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator

from mlpipe.recipe.schema.base import Field, Section
from mlpipe.recipe.units import parse_duration, parse_size

StepName = Literal["source", "convert", "quantize", "package", "predict", "compare", "gate", "release", "report", "*"]
Size = Annotated[int, BeforeValidator(parse_size, json_schema_input_type=int | str)]
Duration = Annotated[float, BeforeValidator(parse_duration, json_schema_input_type=float | str)]


def _timeouts_as_written(written: Any) -> Any:
    """Return one duration for all steps in the long form."""
    return written if isinstance(written, dict) else {"*": written}


Timeouts = Annotated[dict[StepName, Duration], BeforeValidator(_timeouts_as_written, json_schema_input_type=dict[StepName, Duration] | Duration)]


class Workers(Section):
    """Limits of the processes that run the steps."""

    jobs: int | None = Field(None, ge=1, description="Tasks at once; default: one a core.")
    memory_bytes: Size | None = Field(None, alias="memory", description="E.g. 4 GB, for all tasks at once; default: the machine's.")
    timeout_seconds: Timeouts = Field(
        default_factory=dict, alias="timeout", description="Seconds or e.g. 30m, for every step or by step name; '*' for all others."
    )
