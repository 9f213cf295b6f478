"""TensorFlow operations that coremltools 9.0 does not know or converts inexactly, as compositions of those that Core ML has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np


def register_operations() -> None:
    """Let coremltools convert the operations of this file in the way that is written here."""
    from coremltools.converters.mil.frontend.tensorflow.tf_op_registry import _TF_OPS_REGISTRY

    for kind, compose in _COMPOSITIONS.items():
        _TF_OPS_REGISTRY[kind] = _handler(compose)
    for kind, same in _SAME_AS.items():
        _TF_OPS_REGISTRY[kind] = _TF_OPS_REGISTRY[same]


def _handler(compose: Callable[..., Any]) -> Callable[[Any, Any], None]:
    def handler(context: Any, node: Any) -> None:
        from coremltools.converters.mil.mil import Builder

        made = compose(Builder, node, *(context[name] for name in node.inputs))
        context.add(node.name, made)

    return handler


def _like(tensor: Any, value: float) -> Any:
    """Return a number of the tensor's type."""
    from coremltools.converters.mil.mil import types

    return types.nptype_from_builtin(tensor.dtype)(value)


def _erfc(mb: Any, node: Any, x: Any) -> Any:
    return mb.sub(x=_like(x, 1), y=mb.erf(x=x), name=node.name)


def _expm1(mb: Any, node: Any, x: Any) -> Any:
    return mb.sub(x=mb.exp(x=x), y=_like(x, 1), name=node.name)


def _asinh(mb: Any, node: Any, x: Any) -> Any:
    """sign(x) log(|x| + sqrt(x^2 + 1)): without the sign, large negative numbers cancel."""
    size = mb.abs(x=x)
    root = mb.sqrt(x=mb.add(x=mb.mul(x=x, y=x), y=_like(x, 1)))
    return mb.mul(x=mb.sign(x=x), y=mb.log(x=mb.add(x=size, y=root)), name=node.name)


def _acosh(mb: Any, node: Any, x: Any) -> Any:
    root = mb.sqrt(x=mb.sub(x=mb.mul(x=x, y=x), y=_like(x, 1)))
    return mb.log(x=mb.add(x=x, y=root), name=node.name)


def _reciprocal(mb: Any, node: Any, x: Any) -> Any:
    """Without the epsilon of 1e-4 that coremltools leaves in it, which is an error of 0.1 % at x = 0.1."""
    return mb.real_div(x=_like(x, 1), y=x, name=node.name)


def _log1p(mb: Any, node: Any, x: Any) -> Any:
    """By an addition: coremltools puts it into the logarithm's epsilon, which a NeuralNetwork's logarithm does not have."""
    return mb.log(x=mb.add(x=x, y=_like(x, 1)), name=node.name)


def _roll(mb: Any, node: Any, x: Any, shift: Any, axis: Any) -> Any:
    """Cut each axis in two and swap the parts; shifts and sizes are constant."""
    if shift.val is None or axis.val is None:
        raise NotImplementedError("Roll by an amount that is computed")
    for amount, along in zip(np.atleast_1d(shift.val).tolist(), np.atleast_1d(axis.val).tolist(), strict=True):
        size = x.shape[along]
        if not isinstance(size, int | np.integer):
            raise NotImplementedError("Roll along an axis whose size varies")
        cut = int(-amount % size)
        if cut:
            x = mb.concat(values=mb.split(x=x, split_sizes=[cut, int(size) - cut], axis=along)[::-1], axis=along)
    return mb.identity(x=x, name=node.name)


def _bucketize(mb: Any, node: Any, x: Any) -> Any:
    """How many of the boundaries a number reaches."""
    boundaries = np.asarray(node.attr["boundaries"], np.float32)
    number = x if x.dtype.__name__ == "fp32" else mb.cast(x=x, dtype="fp32")
    reached = mb.cast(x=mb.greater_equal(x=mb.expand_dims(x=number, axes=[-1]), y=boundaries), dtype="int32")
    return mb.reduce_sum(x=reached, axes=[-1], keep_dims=False, name=node.name)


def _scatter_update(mb: Any, node: Any, data: Any, indices: Any, updates: Any) -> Any:
    return mb.scatter_nd(data=data, indices=indices, updates=updates, mode="update", name=node.name)


_COMPOSITIONS: Mapping[str, Callable[..., Any]] = {
    "Acosh": _acosh,
    "Asinh": _asinh,
    "Bucketize": _bucketize,
    "Erfc": _erfc,
    "Expm1": _expm1,
    "Inv": _reciprocal,
    "Log1p": _log1p,
    "Reciprocal": _reciprocal,
    "Roll": _roll,
    "TensorScatterUpdate": _scatter_update,
}
"""TensorFlow operation -> its composition, a function of the builder, the node and its operands."""

_SAME_AS: Mapping[str, str] = {
    "BatchMatMulV3": "BatchMatMulV2",
    "CheckNumerics": "Identity",
    "EnsureShape": "Identity",
    "PreventGradient": "Identity",
    "Rint": "Round",
    "Snapshot": "Identity",
}
"""TensorFlow operation -> one that coremltools knows and that computes the same."""
