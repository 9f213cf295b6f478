from __future__ import annotations

from .relu import relu

OPS = {"relu": relu}
