from __future__ import annotations

import os
import signal
import time

from mlpipe.errors import StepFailed
from mlpipe.steps.step import StepRequest


def behave(request: StepRequest) -> None:
    """Be slow, fail or crash as the parameters say."""
    print(f"this is {request.task}", flush=True)
    for part in range(10):
        request.progress(part, 10, "parts")
        time.sleep(request.parameters.get("seconds", 0) / 10)
    match request.parameters.get("misbehave"):
        case "fail":
            raise StepFailed("it cannot be done", where="here", why="the test says so", fix="ask for something else")
        case "bug":
            raise ZeroDivisionError("a bug")
        case "crash":
            os.kill(os.getpid(), signal.SIGSEGV)
