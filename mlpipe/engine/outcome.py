"""What became of a task, and of a run; shared by the console, JSON and the reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Protocol, Self

from mlpipe.engine.explain import Change
from mlpipe.engine.files import Signature
from mlpipe.steps.step import Json


class Outcome(Enum):
    """What became of a task. The value is its name in JSON."""

    symbol: str
    description: str
    planned: str
    style: str

    UP_TO_DATE = ("up_to_date", "·", "up to date", "up to date", "dim")
    RESTORED = ("restored", "↺", "restored from the cache", "from the cache", "cyan")
    RAN = ("ran", "✓", "ran", "would run", "green")
    FAILED = ("failed", "✗", "failed", "would fail", "bold red")
    NOT_RUN = ("not_run", "-", "not run", "would not run", "yellow")

    def __new__(cls, value: str, symbol: str, description: str, planned: str, style: str) -> Self:
        """Give each outcome its symbol, its description (`planned` in a dry run) and its style (in rich's terms)."""
        member = object.__new__(cls)
        member._value_ = value
        member.symbol, member.description, member.planned, member.style = symbol, description, planned, style
        return member

    @property
    def is_good(self) -> bool:
        """Whether the task's result is there."""
        return self not in {Outcome.FAILED, Outcome.NOT_RUN}


@dataclass(frozen=True)
class TaskResult:
    """What became of one task."""

    task: str
    outcome: Outcome
    why: str = ""
    """Why it ran, would run or was not run: the fields of its key that changed, old -> new."""
    changes: tuple[Change, ...] = ()
    """The same as data."""
    seconds: float = 0.0
    """Of this run: near 0 where nothing ran."""
    values: Json = None
    artifact: str | None = None
    """Digest; None where there is no result, in a dry run also where it is not known yet."""
    folder: Path | None = None
    """The artifact's files, in the store: read-only."""
    notes: tuple[str, ...] = ()
    record: str | None = None
    """Id of its record, see records.py."""
    log: Path | None = None
    """The log of its last run in this workspace."""
    error: dict[str, Json] | None = None
    """`MlpipeError.as_dict()` with `exit_code` and `kind`: expected, bug, signal, timeout or memory."""


@dataclass(frozen=True)
class RunResult:
    """What became of all tasks of a run, in topological order."""

    tasks: Mapping[str, TaskResult]
    partial: bool = False
    """Only selected tasks ran."""
    watched: tuple[tuple[str, Signature | None], ...] = field(default=(), repr=False)
    """Every file that the results rest on or consist of, as it was when it was last known to be right, None for absent; for the snapshot."""
    listed: tuple[str, ...] = field(default=(), repr=False)
    """mlpipe's own files and the folders with the tools' installations; for the snapshot."""

    @property
    def ok(self) -> bool:
        """Whether every task has its result; gates may have failed nevertheless."""
        return all(result.outcome.is_good for result in self.tasks.values())

    @property
    def failed(self) -> tuple[TaskResult, ...]:
        """Return the tasks that failed themselves."""
        return tuple(result for result in self.tasks.values() if result.outcome is Outcome.FAILED)

    def count(self, outcome: Outcome) -> int:
        """Return how many tasks had an outcome."""
        return sum(result.outcome is outcome for result in self.tasks.values())


class RunReporter(Protocol):
    """What shows a run to somebody. All calls come from the main thread."""

    def waiting(self, what: str) -> None:
        """Another process holds the workspace; `what` is a sentence that says so."""

    def started(self, task: str) -> None:
        """A task's step starts; not called for what is up to date or restored."""

    def progress(self, task: str, done: float, total: float, what: str) -> None:
        """A running step tells how far it is."""

    def finished(self, result: TaskResult) -> None:
        """A task is done, whatever became of it."""


class Silent:
    """A reporter that shows nothing."""

    def waiting(self, what: str) -> None:
        """Show nothing."""

    def started(self, task: str) -> None:
        """Show nothing."""

    def progress(self, task: str, done: float, total: float, what: str) -> None:
        """Show nothing."""

    def finished(self, result: TaskResult) -> None:
        """Show nothing."""
