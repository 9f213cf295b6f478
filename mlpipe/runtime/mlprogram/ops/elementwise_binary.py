"""Operations on each pair of elements, with broadcasting as numpy does it."""

from __future__ import annotations

import numpy as np

from mlpipe.runtime.mlprogram.op import Build, op
from mlpipe.runtime.mlprogram.values import Tensor

ARITHMETIC = {"add": "Add", "sub": "Sub", "mul": "Mul"}
CHOICE = {"maximum": "Max", "minimum": "Min"}
COMPARISON = {"equal": "Equal", "greater": "Greater", "greater_equal": "GreaterOrEqual", "less": "Less", "less_equal": "LessOrEqual"}
LOGICAL = {"logical_and": "And", "logical_or": "Or", "logical_xor": "Xor"}


def _define(name: str, onnx_op: str, *, keeps_grid: bool) -> None:
    @op(name, keeps_grid=keeps_grid)
    def function(build: Build, x: Tensor, y: Tensor) -> str:
        return build.add(onnx_op, x, y)


for _name, _onnx_op in ARITHMETIC.items():
    _define(_name, _onnx_op, keeps_grid=False)
for _name, _onnx_op in {**CHOICE, **COMPARISON}.items():
    _define(_name, _onnx_op, keeps_grid=True)


def _define_logical(name: str, onnx_op: str) -> None:
    @op(name, keeps_grid=True)
    def function(build: Build, x: Tensor, y: Tensor) -> str:
        return build.add(onnx_op, build.graph.cast(x.name, np.bool_), build.graph.cast(y.name, np.bool_))


for _name, _onnx_op in LOGICAL.items():
    _define_logical(_name, _onnx_op)


@op("not_equal", keeps_grid=True)
def not_equal(build: Build, x: Tensor, y: Tensor) -> str:
    """Return whether x and y differ."""
    return build.add("Not", build.add("Equal", x, y))


@op("real_div")
def real_div(build: Build, x: Tensor, y: Tensor) -> str:
    """Return x / y; of integers without its fraction."""
    return build.add("Div", x, y) if x.is_float else _in_float64(build, "Div", x, y)


@op("floor_div")
def floor_div(build: Build, x: Tensor, y: Tensor) -> str:
    """Return the largest whole number that is not above x / y."""
    if x.is_float:
        return build.add("Floor", build.add("Div", x, y))
    # ONNX divides integers towards zero; float64 holds every quotient of two of them far enough from the next whole number.
    return build.add("Floor", _in_float64(build, "Div", x, y))


@op("mod")
def mod(build: Build, x: Tensor, y: Tensor) -> str:
    """Return what is left of x after division by y, with the sign of y."""
    if not x.is_float:
        # A division of integers by zero would end the process.
        safe = build.add("Where", build.add("Equal", y, build.number(0, y)), build.number(1, y), y)
        return build.add("Mod", x, safe)
    left = build.add("Mod", x, y, fmod=1)
    zero = build.number(0, x)
    wrong_sign = build.add("Xor", build.add("Less", left, zero), build.add("Less", y, zero))
    wrong = build.add("And", wrong_sign, build.add("Not", build.add("Equal", left, zero)))
    return build.add("Where", wrong, build.add("Add", left, y), left)


@op("pow")
def power(build: Build, x: Tensor, y: Tensor) -> str:
    """Return x to the power of y."""
    return build.add("Pow", x, y) if x.is_float else _in_float64(build, "Pow", x, y)


@op("select", keeps_grid=True)
def select(build: Build, cond: Tensor, a: Tensor, b: Tensor) -> str:
    """Return a where the condition holds, and b elsewhere."""
    return chosen(build, build.graph.cast(cond.name, np.bool_), a.name, b.name)


def chosen(build: Build, condition: str, yes: str, no: str) -> str:
    """Return `yes` where the condition holds, and `no` elsewhere. ONNX Runtime has no such kernel for booleans: they come as integers."""
    if build.graph.dtype(yes) == np.bool_:
        yes, no = build.graph.cast(yes, np.int32), build.graph.cast(no, np.int32)
    return build.add("Where", condition, yes, no)


def _in_float64(build: Build, onnx_op: str, x: Tensor, y: Tensor) -> str:
    return build.add(onnx_op, build.graph.cast(x.name, np.float64), build.graph.cast(y.name, np.float64))
