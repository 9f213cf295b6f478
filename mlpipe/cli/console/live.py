"""Progress on a terminal: a live line for each running task, and above them a line for each that is done. rich is imported when there is something to show."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, TextIO

from mlpipe.cli.console.plain import PlainReporter, progress_text
from mlpipe.cli.console.streams import duration, encodable, has_colour

if TYPE_CHECKING:
    from mlpipe.engine.outcome import TaskResult

_REFRESHES_PER_SECOND = 4


@dataclass
class _Running:
    started: float
    progress: str = ""


class LiveReporter:
    """A RunReporter for terminals: what PlainReporter writes, in colour, and the running tasks below it."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lines = PlainReporter(stream, self._write)
        self._running: dict[str, _Running] = {}
        self._console: Any = None
        self._live: Any = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *exception: object) -> None:
        """Take the live lines away, and sum up."""
        self._running.clear()
        if self._live is not None:
            self._live.stop()
            self._live = None
        self._lines.__exit__(kind, *exception)

    def __rich_console__(self, console: Any, _options: Any) -> Iterator[Any]:
        """Yield the running tasks' lines; rich calls this a few times a second."""
        from rich.text import Text

        now = time.monotonic()
        for task, running in tuple(self._running.items()):
            line = f"  {task}  {duration(now - running.started)}  {running.progress}".rstrip()
            yield Text(encodable(line, self._stream), no_wrap=True, overflow="ellipsis" if console.encoding.startswith("utf") else "crop")

    def waiting(self, what: str) -> None:
        """Say what the run waits for."""
        self._lines.waiting(what)

    def started(self, task: str) -> None:
        """Show a task's line."""
        self._running[task] = _Running(time.monotonic())
        if self._live is None:
            from rich.live import Live

            self._live = Live(
                self, console=self._rich_console(), refresh_per_second=_REFRESHES_PER_SECOND, transient=True, redirect_stdout=False, redirect_stderr=False
            )
            self._live.start()

    def progress(self, task: str, done: float, total: float, what: str) -> None:
        """Show how far a task is, with the next refresh."""
        if task in self._running:
            self._running[task].progress = progress_text(done, total, what)

    def finished(self, result: TaskResult) -> None:
        """Replace a task's live line by a lasting one."""
        self._running.pop(result.task, None)
        self._lines.finished(result)

    def _rich_console(self) -> Any:
        if self._console is None:
            from rich.console import Console

            self._console = Console(file=self._stream, no_color=not has_colour(self._stream), highlight=False)
        return self._console

    def _write(self, text: str, style: str) -> None:
        if self._live is None and not style:
            self._stream.write(encodable(text, self._stream) + "\n")
            return
        from rich.text import Text

        self._rich_console().print(Text.from_ansi(encodable(text, self._stream), style=style), soft_wrap=True)
