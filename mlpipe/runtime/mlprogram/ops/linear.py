"""Matrix products."""

from __future__ import annotations

from mlpipe.runtime.lowered import UnsupportedLayerError
from mlpipe.runtime.mlprogram.op import Build, op
from mlpipe.runtime.mlprogram.values import Tensor


@op("linear")
def linear(build: Build, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> str:
    """Return x times the transposed weight, plus bias."""
    product = build.add("MatMul", x, build.add("Transpose", weight, perm=[1, 0]))
    return product if bias is None else build.add("Add", product, bias)


@op("matmul")
def matmul(build: Build, x: Tensor, y: Tensor, transpose_x: bool = False, transpose_y: bool = False) -> str:
    """Return the matrix product over the last two dimensions, either side transposed first."""
    return build.add("MatMul", _transposed(build, x, transpose_x), _transposed(build, y, transpose_y))


@op("einsum")
def einsum(build: Build, values: tuple[Tensor, ...], equation: str) -> str:
    """Return the sum over products that the equation describes."""
    terms = equation.replace(" ", "").split("->")[0].split(",")
    if any(len(set(term)) != len(term) for term in terms):
        raise UnsupportedLayerError(f"an equation that takes a diagonal is not supported: {equation!r}")
    return build.add("Einsum", *values, equation=equation)


def _transposed(build: Build, tensor: Tensor, transpose: bool) -> str:
    if not transpose:
        return tensor.name
    if tensor.rank < 2:
        raise UnsupportedLayerError("a vector cannot be transposed")
    order = list(range(tensor.rank))
    order[-2:] = order[-1], order[-2]
    return build.add("Transpose", tensor, perm=order)
