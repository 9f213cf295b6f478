"""Arithmetic with sizes that may only be known when the graph runs."""

from __future__ import annotations

from mlpipe.runtime.mlprogram.op import Build
from mlpipe.runtime.mlprogram.values import Tensor

Size = int | str
"""A number, or the name of an int64 vector with one element."""


def size_of(build: Build, x: Tensor, axis: int) -> Size:
    """Return a size of a tensor."""
    where = x.axis(axis)
    size = x.shape[where]
    return size if isinstance(size, int) else build.add("Shape", x, start=where, end=where + 1)


def scaled(build: Build, size: Size, *, plus: int = 0, times: int = 1, over: int = 1) -> Size:
    """Return `(size + plus) * times // over`, for results that are not negative."""
    if isinstance(size, int):
        return (size + plus) * times // over
    for op, number, neutral in (("Add", plus, 0), ("Mul", times, 1), ("Div", over, 1)):
        size = size if number == neutral else build.add(op, size, build.int64(number))
    return size


def vector(build: Build, *sizes: Size) -> str:
    """Return the sizes as one int64 vector, as ONNX wants shapes."""
    if all(isinstance(size, int) for size in sizes):
        return build.int64(*(int(size) for size in sizes))
    return build.add("Concat", *(build.int64(size) if isinstance(size, int) else size for size in sizes), axis=0)


def scalar(build: Build, size: Size) -> str:
    """Return a size as an int64 value without dimensions."""
    return build.graph.constant(size, "int64") if isinstance(size, int) else build.add("Squeeze", size, build.int64(0))
