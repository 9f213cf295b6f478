"""Progress: lines where stderr is piped, live lines on a terminal (a real one: a pty)."""

from __future__ import annotations

import io
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mlpipe.cli.console.plain import PlainReporter, progress_text
from mlpipe.cli.console.streams import duration
from mlpipe.engine.outcome import Outcome, TaskResult

RUN = """
import sys, time
from mlpipe.cli.console.reporter import make_reporter
from mlpipe.engine.outcome import Outcome, TaskResult
with make_reporter() as reporter:
    reporter.finished(TaskResult("r:source", Outcome.UP_TO_DATE))
    if "work" in sys.argv:
        reporter.started("r:convert")
        reporter.started("r:predict")
        for done in range(3):
            reporter.progress("r:predict", done, 3, "samples")
            time.sleep(0.3)
        reporter.finished(TaskResult("r:convert", Outcome.RAN, seconds=1.25, notes=("a layer was skipped",)))
    if "interrupt" in sys.argv:
        raise KeyboardInterrupt
    if "work" in sys.argv:
        error = {"what": "no [bold]such[/bold] op", "where": None, "why": None, "fix": "lower it"}
        reporter.finished(TaskResult("r:predict", Outcome.FAILED, seconds=0.9, error=error))
print("rich" in sys.modules)
"""


def on_a_terminal(*arguments: str, **environment: str) -> tuple[str, str]:
    """Return what the program wrote to stdout (a pipe) and to stderr (a terminal of 60 columns)."""
    ours, theirs = pty.openpty()
    values = {"TERM": "xterm-256color", "COLUMNS": "60", "LINES": "20", "PYTHONUTF8": "1"} | environment
    inherited = {name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "FORCE_COLOR"}}
    process = subprocess.Popen([sys.executable, "-c", RUN, *arguments], stdout=subprocess.PIPE, stderr=theirs, env=inherited | values)
    os.close(theirs)
    written = b""
    while True:
        try:
            part = os.read(ours, 4096)
        except OSError:  # how Linux says that the other side is closed
            break
        if not part:
            break
        written += part
    out, _ = process.communicate()
    os.close(ours)
    return out.decode(), written.decode()


def without_escapes(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text).replace("\r", "")


def test_a_terminal_shows_running_tasks_and_keeps_finished_ones() -> None:
    out, err = on_a_terminal("work")
    assert out == "True\n"
    assert "\x1b[" in err
    shown = without_escapes(err)
    assert re.search(r"  r:convert  0\.\d s\n", shown)
    assert re.search(r"  r:predict  0\.\d s  1 of 3 samples", shown)
    assert "✓ r:convert  1.2 s\n" in shown
    assert "✗ r:predict  failed after 0.9 s\n    error: no [bold]such[/bold] op\n      fix: lower it\n" in shown
    assert shown.endswith("note: r:convert: a layer was skipped\n3 tasks: 1 up to date, 1 ran, 1 failed\n")
    assert err.count("\x1b[?25l") == err.count("\x1b[?25h") == 1  # the cursor comes back


def test_a_terminal_without_colour_gets_none() -> None:
    _, err = on_a_terminal("work", NO_COLOR="1")
    assert "\x1b[32m" not in err
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", err)
    assert "✓ r:convert  1.2 s" in without_escapes(err)


def test_a_dumb_terminal_gets_plain_lines() -> None:
    out, err = on_a_terminal("work", TERM="dumb")
    assert "\x1b" not in err
    assert out == "False\n"


def test_an_interrupt_takes_the_live_lines_away_and_sums_up_nothing() -> None:
    _, err = on_a_terminal("work", "interrupt")
    assert err.count("\x1b[?25h") == 1
    assert "tasks:" not in err


def test_nothing_to_show_imports_no_rich() -> None:
    out, err = on_a_terminal()
    assert out == "False\n"
    assert without_escapes(err) == "1 task: 1 up to date\n"


def test_piped_progress_is_plain_and_imports_no_rich() -> None:
    done = subprocess.run([sys.executable, "-c", RUN, "work"], capture_output=True, text=True, check=True, env=os.environ | {"PYTHONUTF8": "1"})
    assert done.stdout == "False\n"
    assert done.stderr == (
        "✓ r:convert  1.2 s\n✗ r:predict  failed after 0.9 s\n    error: no [bold]such[/bold] op\n      fix: lower it\n"
        "note: r:convert: a layer was skipped\n3 tasks: 1 up to date, 1 ran, 1 failed\n"
    )


def test_a_pipe_without_unicode_gets_ascii() -> None:
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, "-c", RUN, "work"], capture_output=True, text=True, check=True, env=environment)
    assert done.stderr.splitlines()[:2] == ["+ r:convert  1.2 s", "x r:predict  failed after 0.9 s"]


@pytest.mark.parametrize(
    ("result", "expected"),
    [
        (TaskResult("r:a", Outcome.UP_TO_DATE, notes=("seen before",)), ""),
        (TaskResult("r:a", Outcome.RESTORED), "↺ r:a  restored from the cache\n"),
        (TaskResult("r:a", Outcome.RAN, seconds=61.0), "✓ r:a  1 min 01 s\n"),
        (TaskResult("r:a", Outcome.NOT_RUN, "not run because r:b failed"), "- r:a  not run because r:b failed\n"),
        (
            TaskResult("r:a", Outcome.FAILED, seconds=2.0, log=Path("/logs/a.log"), error={"what": "w", "where": "here", "why": "y", "fix": "f"}),
            "✗ r:a  failed after 2.0 s\n    here: w\n      why: y\n      fix: f\n      log: /logs/a.log\n",
        ),
    ],
)
def test_plain_lines(result: TaskResult, expected: str) -> None:
    stream = io.StringIO()
    PlainReporter(stream).finished(result)
    assert stream.getvalue() == expected


def test_plain_progress_of_a_long_task_is_written_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    reporter = PlainReporter(stream)
    monkeypatch.setattr("mlpipe.cli.console.plain.SECONDS_BETWEEN_LINES", 0.0)
    reporter.started("r:a")
    monkeypatch.setattr("mlpipe.cli.console.plain.SECONDS_BETWEEN_LINES", 10.0)
    for done in range(5):
        reporter.progress("r:a", done, 5, "samples")
    assert stream.getvalue() == "  r:a: 0 of 5 samples\n"


@pytest.mark.parametrize(
    ("done", "total", "what", "expected"),
    [(3, 9, "layers", "3 of 9 layers"), (0, 0, "loading\nthe model", "loading the model"), (0.5, 1, "", "0.5 of 1")],
)
def test_progress_text(done: float, total: float, what: str, expected: str) -> None:
    assert progress_text(done, total, what) == expected


@pytest.mark.parametrize(("seconds", "expected"), [(0, "0.0 s"), (9.94, "9.9 s"), (9.96, "10 s"), (59.6, "1 min 00 s"), (125, "2 min 05 s")])
def test_duration(seconds: float, expected: str) -> None:
    assert duration(seconds) == expected
