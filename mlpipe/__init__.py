"""mlpipe: a build system for Core ML models, with gates that run on Linux."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlpipe.api import export, inspect, load_model, plan, predict, run

__version__ = "0.1.0"
__all__ = ["__version__", "export", "inspect", "load_model", "plan", "predict", "run"]


def __getattr__(name: str) -> Any:
    """Return a function of the Python interface; it is imported when it is first asked for, so that `mlpipe --help` stays light."""
    if name in __all__:
        from mlpipe import api

        return getattr(api, name)
    raise AttributeError(f"module 'mlpipe' has no attribute {name!r}")
