"""Progress as plain lines on stderr, one for each task that did something; what is up to date is only counted."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Self, TextIO

from mlpipe.cli.console.errors import error_lines, shorten
from mlpipe.cli.console.streams import duration, write_line

if TYPE_CHECKING:
    from mlpipe.engine.outcome import Outcome, TaskResult

Write = Callable[[str, str], None]
SECONDS_BETWEEN_LINES = 10.0
"""Of progress of one task: enough for a log to show that it is alive."""


class PlainReporter:
    """A RunReporter that writes lines. As a context, it ends with the notes of the steps and how many tasks did what."""

    def __init__(self, stream: TextIO, write: Write | None = None) -> None:
        """Write lines with `write(text, style)`, by default to the stream as they are."""
        self.stream = stream
        self._write = write or self._write_plain
        self.counts: Counter[Outcome] = Counter()
        self._notes: list[str] = []
        self._next_line: dict[str, float] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        """Sum up, unless the run was broken off."""
        if kind is not None or not self.counts:
            return
        for line in (*self._notes, summary(self.counts)):
            self._write(line, "")

    def waiting(self, what: str) -> None:
        """Say what the run waits for."""
        self._write(what, "")

    def started(self, task: str) -> None:
        """Remember when, so that short tasks write one line only."""
        self._next_line[task] = time.monotonic() + SECONDS_BETWEEN_LINES

    def progress(self, task: str, done: float, total: float, what: str) -> None:
        """Write how far a long task is, now and then."""
        now = time.monotonic()
        if now >= self._next_line.get(task, 0.0):
            self._next_line[task] = now + SECONDS_BETWEEN_LINES
            self._write(f"  {task}: {progress_text(done, total, what)}", "")

    def finished(self, result: TaskResult) -> None:
        """Write what became of a task; nothing where nothing had to be done."""
        from mlpipe.engine.outcome import Outcome  # here, so that a run with nothing to do does not pay for it

        self.counts[result.outcome] += 1
        self._next_line.pop(result.task, None)
        if result.outcome is Outcome.UP_TO_DATE:
            return
        self._notes += [f"note: {result.task}: {note}" for note in result.notes]
        first, *rest = result_lines(result, self.stream)
        self._write(first, result.outcome.style)
        for line in rest:
            self._write(line, "")

    def _write_plain(self, text: str, _style: str) -> None:
        write_line(text, self.stream)


def result_lines(result: TaskResult, stream: TextIO) -> list[str]:
    """Return the line that says what became of a task, and for a failure what it was and where its log is."""
    from mlpipe.engine.outcome import Outcome

    outcome = result.outcome
    head = f"{outcome.symbol} {result.task}"
    if outcome is Outcome.RAN:
        return [f"{head}  {duration(result.seconds)}"]
    if outcome is Outcome.NOT_RUN:
        return [f"{head}  {result.why or outcome.description}"]
    if outcome is not Outcome.FAILED or result.error is None:
        return [f"{head}  {outcome.description}"]
    lines = [f"{head}  failed after {duration(result.seconds)}", *(f"    {line}" for line in error_lines(result.error, stream))]
    return [*lines, f"      log: {shorten(str(result.log))}"] if result.log else lines


def progress_text(done: float, total: float, what: str) -> str:
    """Return how far a task is: `120 of 360 samples`, or only what it does where the total is unknown."""
    what = " ".join(what.split())
    return f"{done:g} of {total:g} {what}".rstrip() if total > 0 else what


def summary(counts: Counter[Outcome]) -> str:
    """Return how many tasks did what, in one line."""
    from mlpipe.engine.outcome import Outcome

    total = sum(counts.values())
    parts = [f"{counts[outcome]} {outcome.description}" for outcome in Outcome if counts[outcome]]
    return f"{total} task{'s' if total != 1 else ''}: {', '.join(parts)}"
