"""What a run over recipes comes to: the reports, what became of each task, and the exit code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from mlpipe.exit_codes import ExitCode


@dataclass(frozen=True)
class RecipeResult:
    """One recipe's part of a run."""

    name: str
    recipe: str
    """The recipe's file."""
    report: dict[str, Any] | None
    """report.json; None where the run was partial."""
    report_folder: str
    """Where report.json, report.md and junit.xml lie, with the models."""
    gated: bool

    @property
    def passed(self) -> bool:
        """Whether everything that was asked for passed; an ungated recipe passes, and says that it is ungated."""
        return self.report is not None and bool(self.report["passed"])


@dataclass(frozen=True)
class RunReport:
    """The result of `mlpipe run`, as an object. Everything in it is JSON-able."""

    recipes: tuple[RecipeResult, ...]
    tasks: Mapping[str, Mapping[str, Any]]
    """By name: outcome, why, seconds, cpu_seconds (of the step, when it ran), notes, log, error; judged, a gate's verdict (verdict.json)."""
    exit_code: ExitCode
    partial: bool = False
    """Only selected tasks ran: this is never a pass."""
    nothing_to_do: bool = field(default=False, compare=False)

    @property
    def passed(self) -> bool:
        """Whether every task has its result and every gate passes."""
        return self.exit_code is ExitCode.DONE and not self.partial

    def __getitem__(self, name: str) -> RecipeResult:
        """Return one recipe's result by name. Errors: KeyError."""
        return {recipe.name: recipe for recipe in self.recipes}[name]

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON form, which `from_dict` reads."""
        return asdict(self) | {"exit_code": int(self.exit_code), "passed": self.passed, "recipes": [asdict(recipe) for recipe in self.recipes]}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], *, nothing_to_do: bool) -> RunReport:
        """Return what `as_dict` wrote."""
        recipes = tuple(RecipeResult(**recipe) for recipe in data["recipes"])
        return cls(recipes, data["tasks"], ExitCode(data["exit_code"]), data["partial"], nothing_to_do)
