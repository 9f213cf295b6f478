"""The exit codes of every mlpipe command, in one place."""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum


class ExitCode(IntEnum):
    """What a command's exit status means."""

    DONE = 0
    GATE_FAILED = 1
    RECIPE_WRONG = 2
    STEP_FAILED = 3
    MISMATCH = 4
    ENVIRONMENT_LACKS_TOOL = 5
    BUG = 70
    INTERRUPTED = 130


_MOST_IMPORTANT_FIRST = (
    ExitCode.INTERRUPTED,
    ExitCode.BUG,
    ExitCode.RECIPE_WRONG,
    ExitCode.ENVIRONMENT_LACKS_TOOL,
    ExitCode.MISMATCH,
    ExitCode.STEP_FAILED,
    ExitCode.GATE_FAILED,
)


def combine(codes: Iterable[ExitCode]) -> ExitCode:
    """Return the code a command ends with when several things happened: the most important one."""
    seen = set(codes)
    return next((code for code in _MOST_IMPORTANT_FIRST if code in seen), ExitCode.DONE)
