"""Why a test says nothing about the runtime: it stops before any prediction, at something that is not mlpipe's."""

from __future__ import annotations

import re
from typing import Any

from oracle.apple import NOT_REACHABLE
from oracle.no_network import REASON as NO_NETWORK

APPLE = "a part of Apple's framework that is no prediction"

NOT_RUNNABLE: tuple[tuple[str, str], ...] = (
    (NOT_REACHABLE, APPLE),
    (r"Skip all tests on Apple Intel Macs|xcodebuild not available|\.mlmodelc/model\.mil", APPLE),
    (r"time\.time", "times coremltools with a stop-watch"),
    (NO_NETWORK, "downloads something"),
    (r"Conversion for TF op '\w+' not implemented", "coremltools does not convert what today's TensorFlow builds"),
    (r"TensorFlow 1\.x not found|Test (only )?for TF ?1|only (supported|works) (in|with) TF ?1", "needs TensorFlow 1"),
    (r"PyTorch not found|Torch not found|name 'torch' is not defined|could not import 'torch'|No module named 'torch", "needs PyTorch"),
    (r"could not import '(\w+)'|No module named '(\w+)", "needs a package that is not installed"),
)
"""Patterns of reasons; the first that is found decides."""


def not_runnable(result: dict[str, Any]) -> str | None:
    """Return what a test that did not predict needs, None where the test is to be counted."""
    if result.get("predict_calls") or result["outcome"] not in ("failed", "skipped", "not collected"):
        return None
    return next((why for pattern, why in NOT_RUNNABLE if re.search(pattern, result["reason"])), None)
