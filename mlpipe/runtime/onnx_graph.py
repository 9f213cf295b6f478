"""The ONNX graph that a Core ML model is lowered into: nodes, constants, names and types, built one op at a time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

OPSET = 21
"""The operator set of every graph that the runtime builds."""


@dataclass
class Graph:
    """A graph under construction. Value names are strings; every method that makes a value returns its name."""

    nodes: list[tuple[str, list[str], list[str], dict[str, Any], str]] = field(default_factory=list)
    """(op type, inputs, outputs, attributes, domain), in execution order."""
    constants: dict[str, np.ndarray] = field(default_factory=dict)
    inputs: list[tuple[str, np.dtype[Any], list[int | str | None]]] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    _counter: int = 0

    def name(self, hint: str) -> str:
        """Return a fresh value name."""
        self._counter += 1
        return f"{hint}__{self._counter}"

    def add_input(self, name: str, dtype: np.dtype[Any], shape: list[int | str | None]) -> str:
        """Declare a graph input; None and strings in the shape are dynamic sizes."""
        self.inputs.append((name, dtype, shape))
        return name

    def constant(self, value: np.ndarray, hint: str = "const") -> str:
        """Add a constant."""
        name = self.name(hint)
        self.constants[name] = np.asarray(value)
        return name

    def int64(self, *values: int) -> str:
        """Add a 1-D int64 constant, as ONNX wants axes, shapes and pads."""
        return self.constant(np.asarray(values, dtype=np.int64), "i64")

    def add(self, op: str, *inputs: str | None, domain: str = "", **attributes: Any) -> str:
        """Add a node with one output. None is an absent optional input."""
        return self.add_many(op, 1, *inputs, domain=domain, **attributes)[0]

    def add_many(self, op: str, count: int, *inputs: str | None, domain: str = "", **attributes: Any) -> list[str]:
        """Add a node with several outputs."""
        outputs = [self.name(op.lower()) for _ in range(count)]
        self.nodes.append((op, [name or "" for name in inputs], outputs, attributes, domain))
        return outputs
