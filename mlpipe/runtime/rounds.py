"""How often a loop may go round: a model whose loop never ends must not hang whoever runs it."""

from __future__ import annotations

import numpy as np

from mlpipe.runtime.onnx_graph import Graph

LARGEST_ROUNDS = 1_000_000


def within_limit(body: Graph, iteration: str, again: str) -> str:
    """Return whether a loop goes on; beyond the limit the read of a table fails, and with it the prediction."""
    allowed = body.add("Gather", body.constant(np.ones(LARGEST_ROUNDS, np.bool_), hint="rounds"), iteration)
    return body.add("And", again, allowed)


def went_on(message: str) -> bool:
    """Return whether ONNX Runtime's message says that a loop exceeded the limit."""
    return f"idx={LARGEST_ROUNDS} must be within" in message
