"""How one test ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from oracle.record import Record

LONGEST = 600
FAILURES = ("unsupported", "failed", "wrong output", "crashed", "not collected")


def outcome_of(reports: Sequence[Any], record: Record) -> dict[str, Any]:
    """Return the outcome and its reason.

    A model that could not be executed fails the test, whether or not the test noticed: `pytest.raises(Exception)` swallows everything.
    """
    outcome, reason, where = _ended(reports)
    if record.missing:
        outcome, reason = "unsupported", record.missing[0]
    elif record.crashes:
        outcome, reason = "failed", record.crashes[0]
    elif outcome == "passed":
        outcome = "passed with a prediction" if record.predictions else "passed without"
    elif outcome == "failed" and reason.startswith("AssertionError") and record.predictions:
        outcome = "wrong output"
    elif outcome == "failed" and record.refusals:
        reason = record.refusals[0]
    seconds = round(sum(report.duration for report in reports), 2)
    notes: dict[str, Any] = {"float16_tolerance": True} if record.float16_tolerance else {}
    notes |= {"wrong_literal": True} if record.wrong_literal else {}
    notes |= {"far_in_float16": " ".join(record.far_in_float16.split())[:LONGEST]} if record.far_in_float16 else {}
    return {"outcome": outcome, "reason": reason[:LONGEST], "where": where, "predict_calls": record.calls, "seconds": seconds} | notes


def _ended(reports: Sequence[Any]) -> tuple[str, str, str]:
    for report in reports:
        if report.failed:
            crash = getattr(report.longrepr, "reprcrash", None)
            message = str(crash.message if crash else report.longrepr)
            entries = getattr(getattr(report.longrepr, "reprtraceback", None), "reprentries", [])
            last = next((entry.reprfileloc for entry in reversed(entries) if getattr(entry, "reprfileloc", None)), None)
            return "failed", " ".join(message.split()), f"{last.path}:{last.lineno}" if last else ""
        if report.skipped:
            expected = hasattr(report, "wasxfail")
            reason = report.wasxfail if expected else report.longrepr[2]
            return "expected failure" if expected else "skipped", str(reason), ""
    return "passed", "", ""
