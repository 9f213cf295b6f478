"""onnxruntime, imported with its usage reporting switched off: mlpipe sends nothing anywhere, and neither does what it uses."""

from __future__ import annotations

import os
from typing import Any


def import_onnxruntime() -> Any:
    """Return the onnxruntime module. From 1.32 on its import starts a reporting thread unless this variable is set."""
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime

    return onnxruntime
