"""What happened between one test and the runtime."""

from __future__ import annotations

import traceback
from dataclasses import dataclass, field


@dataclass
class Record:
    """The notes of the running test; `clear` starts the next one."""

    precision: str = "float32"
    test: str = ""
    calls: int = 0
    predictions: int = 0
    missing: list[str] = field(default_factory=list)
    """Why the runtime could not execute a model."""
    refusals: list[str] = field(default_factory=list)
    """Feeds and files that the runtime refused as wrong; tests of wrong feeds expect that."""
    crashes: list[str] = field(default_factory=list)
    """Errors that the runtime raises nowhere on purpose."""

    float16_tolerance: bool = False
    """Whether the test passed with the tolerance that its float16 tensors allow, see `oracle.tolerance`."""

    far_in_float16: str = ""
    """How a float16 program differs by more than that from what the test expects, though it passes."""

    wrong_literal: bool = False
    """Whether the test passed with the deviation that `wrong_literals.yaml` allows it."""

    def clear(self, test: str) -> None:
        """Forget the last test and begin another."""
        self.test, self.wrong_literal = test, False
        self.float16_tolerance, self.far_in_float16 = False, ""
        self.calls = self.predictions = 0
        self.missing, self.refusals, self.crashes = [], [], []

    def predict_called(self) -> None:
        """Note that the test asked for a prediction."""
        self.calls += 1

    def predicted(self) -> None:
        """Note that it got one."""
        self.predictions += 1

    def unsupported(self, why: str) -> None:
        """Note a model that cannot be executed."""
        self.missing.append(why)

    def refused(self, why: str) -> None:
        """Note a feed or file that is wrong."""
        self.refusals.append(why)

    def crashed(self, error: Exception) -> None:
        """Note an error that is a defect, with the place where it was raised."""
        place = traceback.extract_tb(error.__traceback__)[-1]
        self.crashes.append(f"{type(error).__name__}: {error} ({place.filename.rpartition('/')[2]}:{place.lineno})")


RECORD = Record()
"""Of the process: coremltools constructs the proxies itself, and pytest runs one test at a time."""
