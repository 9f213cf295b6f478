"""Operations on each element of one tensor."""

from __future__ import annotations

import numpy as np

from mlpipe.runtime.lowered import UnsupportedLayerError
from mlpipe.runtime.mlprogram.op import Build, op
from mlpipe.runtime.mlprogram.values import STORAGE, Tensor

SAME = {
    "acos": "Acos",
    "asin": "Asin",
    "atan": "Atan",
    "atanh": "Atanh",
    "cos": "Cos",
    "cosh": "Cosh",
    "erf": "Erf",
    "exp": "Exp",
    "sin": "Sin",
    "sinh": "Sinh",
    "sqrt": "Sqrt",
    "tan": "Tan",
    "tanh": "Tanh",
}
"""Operations that ONNX has under another spelling; integers are computed in float32."""

SAME_ON_GRID = {"abs": "Abs", "ceil": "Ceil", "floor": "Floor", "round": "Round", "sign": "Sign"}
"""The same, where a float16 number gives a float16 number."""


def _define(name: str, onnx_op: str, *, keeps_grid: bool) -> None:
    @op(name, keeps_grid=keeps_grid)
    def function(build: Build, x: Tensor) -> str:
        if x.is_float or onnx_op in ("Abs", "Sign"):
            return build.add(onnx_op, x)
        return build.add(onnx_op, build.graph.cast(x.name, np.float32))


for _name, _onnx_op in SAME.items():
    _define(_name, _onnx_op, keeps_grid=False)
for _name, _onnx_op in SAME_ON_GRID.items():
    _define(_name, _onnx_op, keeps_grid=True)


@op("exp2")
def exp2(build: Build, x: Tensor) -> str:
    """Return 2 to the power of x."""
    return build.add("Pow", build.floats(2.0), build.graph.cast(x.name, np.float32))


@op("square")
def square(build: Build, x: Tensor) -> str:
    """Return x times x."""
    return build.add("Mul", x, x)


@op("inverse")
def inverse(build: Build, x: Tensor, epsilon: float = 1e-4) -> str:
    """Return 1 / (x + epsilon)."""
    return build.add("Reciprocal", build.add("Add", x, build.number(epsilon, x)))


@op("log")
def log(build: Build, x: Tensor, epsilon: float = 1e-45) -> str:
    """Return the natural logarithm of x + epsilon."""
    return build.add("Log", build.add("Add", x, build.number(epsilon, x)))


@op("rsqrt")
def rsqrt(build: Build, x: Tensor, epsilon: float = 1e-12) -> str:
    """Return 1 / sqrt(x + epsilon)."""
    return build.add("Reciprocal", build.add("Sqrt", build.add("Add", x, build.number(epsilon, x))))


@op("clip")
def clip(build: Build, x: Tensor, alpha: float, beta: float) -> str:
    """Return x held between alpha and beta."""
    return build.add("Clip", x, build.number(alpha, x), build.number(beta, x))


@op("threshold")
def threshold(build: Build, x: Tensor, alpha: float) -> str:
    """Return the larger of x and alpha."""
    return build.add("Max", x, build.number(alpha, x))


@op("logical_not", keeps_grid=True)
def logical_not(build: Build, x: Tensor) -> str:
    """Return whether x is false."""
    return build.add("Not", build.graph.cast(x.name, np.bool_))


@op("identity", keeps_grid=True)
def identity(build: Build, x: Tensor) -> str:
    """Return x."""
    return build.add("Identity", x)


INTEGERS = {"int8": np.int8, "uint8": np.uint8, "int16": np.int16, "uint16": np.uint16, "int32": np.int32}


@op("cast")
def cast(build: Build, x: Tensor, dtype: str) -> str:
    """Return x in another type: towards zero for integers, different from zero for booleans. Rounding to float16 follows.

    A narrow integer keeps the low bits of a number that is too large, as numpy's does.
    """
    if dtype not in STORAGE:
        raise UnsupportedLayerError(f"a cast to {dtype} is not supported")
    if dtype in INTEGERS:
        # By way of int32: what a processor makes of a real number that a narrow type cannot hold differs from one to the other.
        narrow = build.graph.cast(build.graph.cast(x.name, np.int32), INTEGERS[dtype])
        return build.graph.cast(narrow, np.int32)
    return build.graph.cast(x.name, STORAGE[dtype])
