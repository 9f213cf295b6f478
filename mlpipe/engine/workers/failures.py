"""Why a job failed, as JSON-able data: from an exception inside the worker, or from the way in which its process ended."""

from __future__ import annotations

import errno
import signal
import traceback
from pathlib import Path
from typing import Any, Literal

from mlpipe.engine.workers.user_code import is_user_file
from mlpipe.errors import Location, MlpipeError, StepFailed
from mlpipe.exit_codes import ExitCode

Kind = Literal["expected", "bug", "signal", "timeout", "memory"]


def as_failure(error: MlpipeError, kind: Kind = "expected") -> dict[str, Any]:
    """Return the error's parts with its exit code and kind."""
    return error.as_dict() | {"exit_code": int(error.exit_code), "kind": kind}


def from_exception(error: BaseException, folder: Path) -> dict[str, Any]:
    """Return what an exception in a step means: the user's own code, the machine's memory, or a bug in mlpipe."""
    if isinstance(error, MlpipeError):
        return as_failure(error)
    if isinstance(error, MemoryError):
        return as_failure(StepFailed("out of memory", why=_text(error) or None, fix="lower `workers: jobs`, or use a machine with more memory"), "memory")
    what = f"{type(error).__name__}: {_text(error)}"
    place = _user_place(error, folder)
    if place is not None:
        return as_failure(StepFailed(what, where=place, why="the recipe's own code raised it"))
    if isinstance(error, OSError) and error.errno in _MACHINE:
        where = error.filename2 or error.filename
        failed = StepFailed(error.strerror or _text(error), where=where and str(where), fix="free disk space, or mend the permissions, and run again")
        return as_failure(failed)
    return as_failure(MlpipeError(what, why="this is a bug in mlpipe; the log holds the traceback"), "bug") | {"exit_code": int(ExitCode.BUG)}


def from_status(status: int, *, memory_killed: bool | None, timeout_seconds: float | None) -> dict[str, Any]:
    """Return why a process that gave no answer ended.

    `status` is as from `os.waitstatus_to_exitcode`; `timeout_seconds` is set where we killed it; `memory_killed` is None where the kernel does not say.
    """
    if timeout_seconds is not None:
        return as_failure(StepFailed(f"stopped after its timeout of {timeout_seconds:g} s", fix="raise `workers: timeout:` for this step"), "timeout")
    if status >= 0:
        return as_failure(StepFailed(f"the step's process ended itself with status {status}", why="some code that it called ended the process"), "signal")
    name = _signal_name(-status)
    if -status == signal.SIGKILL and memory_killed is not False:
        why = "the kernel ran out of memory" if memory_killed else "the machine may have run out of memory"
        error = StepFailed(f"killed by {name}", why=why, fix="lower `workers: jobs`, or use a machine with more memory")
        return as_failure(error, "memory" if memory_killed else "signal")
    return as_failure(StepFailed(f"killed by {name}", why="native code crashed" if -status in _CRASHES else "something sent it this signal"), "signal")


def from_server(detail: str) -> dict[str, Any]:
    """Return the failure of a job whose parent process died under it."""
    return as_failure(StepFailed("the process that starts workers died", why=detail), "signal")


_MACHINE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO}
"""What the machine refused: neither mlpipe nor the recipe is to blame."""
_CRASHES = {signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGABRT, signal.SIGTRAP}


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as failure:  # noqa: BLE001 - a user's __str__ may do anything
        return f"(its message cannot be shown: {type(failure).__name__})"


def _user_place(error: BaseException, folder: Path) -> Location | None:
    if isinstance(error, SyntaxError) and error.filename and is_user_file(error.filename, folder):
        return Location(error.filename, error.lineno, error.offset)
    frames = traceback.extract_tb(error.__traceback__)
    return next((Location(frame.filename, frame.lineno) for frame in reversed(frames) if is_user_file(frame.filename, folder)), None)
