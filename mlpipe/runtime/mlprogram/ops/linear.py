"""Matrix products."""

from __future__ import annotations

import numpy as np

from mlpipe.runtime.lowered import UnsupportedLayerError
from mlpipe.runtime.mlprogram.op import Build, op
from mlpipe.runtime.mlprogram.values import Tensor
from mlpipe.runtime.onnx_graph import Dim


@op("linear")
def linear(build: Build, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> str:
    """Return x times the transposed weight, plus bias."""
    if _is_stored(weight) and x.is_float and x.rank > 1:
        return _without_transposing(build, x, weight, bias)
    left, right = _alike(build, x.name, build.add("Transpose", weight, perm=[1, 0]))
    product = build.add("MatMul", left, right)
    return product if bias is None else build.add("Add", *_alike(build, product, bias.name))


def _is_stored(weight: Tensor) -> bool:
    return weight.value is not None and weight.is_float and weight.rank == 2


def _without_transposing(build: Build, x: Tensor, weight: Tensor, bias: Tensor | None) -> str:
    """Return the same as a Gemm, which reads the weight as it is stored: large ones are not held twice."""
    if x.rank == 2:
        return build.add("Gemm", x, weight, bias, transB=1)
    width = weight.size(0, "linear")
    product = build.add("Gemm", build.add("Reshape", x, build.int64(-1, weight.size(1, "linear"))), weight, bias, transB=1)
    outer = [size for size in x.shape[:-1] if isinstance(size, int)]
    if len(outer) == x.rank - 1:
        return build.add("Reshape", product, build.int64(*outer, width))
    sizes = build.add("Slice", build.add("Shape", x), build.int64(0), build.int64(-1))
    return build.add("Reshape", product, build.add("Concat", sizes, build.int64(width), axis=0))


@op("matmul")
def matmul(build: Build, x: Tensor, y: Tensor, transpose_x: bool = False, transpose_y: bool = False) -> str:
    """Return the matrix product over the last two dimensions, either side transposed first; a vector cannot be."""
    if transpose_y and not transpose_x and _is_stored(y) and x.is_float and x.rank > 1:
        return _without_transposing(build, x, y, None)
    return build.add("MatMul", *_alike(build, _transposed(build, x, transpose_x), _transposed(build, y, transpose_y)))


@op("einsum")
def einsum(build: Build, values: tuple[Tensor, ...], equation: str) -> str:
    """Return the sum over products that the equation describes; a size of 1 is repeated to that of the other value."""
    terms = equation.replace(" ", "").split("->")[0].split(",")
    if len(terms) != len(values) or any(len(term) != value.rank for term, value in zip(terms, values, strict=True)):
        raise UnsupportedLayerError(f"its equation {equation!r} does not fit its values")
    sizes: dict[str, Dim] = {}
    for term, value in zip(terms, values, strict=True):
        for letter, size in zip(term, value.shape, strict=True):
            if sizes.get(letter, 1) == 1:
                sizes[letter] = size
    # onnx infers the wrong shape where sizes are repeated, so that they are repeated before.
    repeated = [_repeated(build, value, [sizes[letter] for letter in term]) for term, value in zip(terms, values, strict=True)]
    return build.add("Einsum", *repeated, equation=equation)


def _repeated(build: Build, value: Tensor, wanted: list[Dim]) -> str:
    target = [size if own == 1 and isinstance(size, int) else 1 for own, size in zip(value.shape, wanted, strict=True)]
    return value.name if set(target) <= {1} else build.add("Expand", value, build.int64(*target))


def _transposed(build: Build, tensor: Tensor, transpose: bool) -> str:
    if not transpose or tensor.rank < 2:
        return tensor.name
    order = list(range(tensor.rank))
    order[-2:] = order[-1], order[-2]
    return build.add("Transpose", tensor, perm=order)


def _alike(build: Build, x: str, y: str) -> tuple[str, str]:
    """Return both in one type: since iOS17 a constant may be of another one than the result, which is made whole afterwards where it is declared so."""
    if build.graph.dtype(x) == build.graph.dtype(y):
        return x, y
    return build.graph.cast(x, np.float32), build.graph.cast(y, np.float32)
