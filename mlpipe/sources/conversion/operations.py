"""TensorFlow operations that coremltools 9.0 does not know or converts inexactly, as compositions of those that Core ML has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from mlpipe.sources.conversion import growing_lists


def register_operations() -> None:
    """Let coremltools convert the operations of this file in the way that is written here."""
    from coremltools.converters.mil.frontend.tensorflow.tf_op_registry import _TF_OPS_REGISTRY

    if hasattr(_TF_OPS_REGISTRY.get("Erfc"), "mlpipe"):
        return
    for kind, compose in _COMPOSITIONS.items():
        _TF_OPS_REGISTRY[kind] = _handler(compose, _TF_OPS_REGISTRY.get(kind))
    for kind, same in _SAME_AS.items():
        _TF_OPS_REGISTRY[kind] = _TF_OPS_REGISTRY[same]


def _handler(compose: Callable[..., Any], own: Callable[[Any, Any], None] | None) -> Callable[[Any, Any], None]:
    """Return a converter in coremltools' sense; `own` is coremltools' one, used where the composition gives None."""

    def handler(context: Any, node: Any) -> None:
        from coremltools.converters.mil.mil import Builder

        made = compose(Builder, node, *(context[name] for name in node.inputs))
        if made is not None:
            context.add(node.name, made)
        elif own is not None:
            own(context, node)

    handler.mlpipe = True  # type: ignore[attr-defined]
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


def _resize_nearest(mb: Any, node: Any, x: Any, size: Any) -> Any:
    """Rows, then columns, taken by number: Core ML's own operation has no half-pixel centres, so that it takes others where the factor is broken."""
    sizes = x.shape[1:3]
    if size.val is None or not all(isinstance(known, int | np.integer) for known in sizes):
        return None
    align = bool(node.attr.get("align_corners", False))
    if not align and all(new % int(old) == 0 for old, new in zip(sizes, size.val.tolist(), strict=True)):
        return None  # every pixel as often as every other
    for axis, (old, new) in enumerate(zip(sizes, size.val.tolist(), strict=True), start=1):
        name = node.name if axis == 2 else f"{node.name}_rows"
        x = mb.gather(x=x, indices=_nearest(int(old), new, align=align, half=bool(node.attr.get("half_pixel_centers", False))), axis=axis, name=name)
    return x


def _nearest(old: int, new: int, *, align: bool, half: bool) -> Any:
    """Return which of `old` rows each of `new` shows. Source: TensorFlow's kernel, in float32 as there."""
    scale = np.float32(old - 1) / np.float32(new - 1) if align and new > 1 else np.float32(old) / np.float32(new)
    places = (np.arange(new, dtype=np.float32) + np.float32(0.5 if half else 0)) * scale
    numbers = np.floor(places + np.float32(0.5)) if align else np.floor(places)
    return np.minimum(numbers, old - 1).astype(np.int32)


def _mirror_pad(mb: Any, node: Any, x: Any, paddings: Any) -> Any:
    """The mode SYMMETRIC, which repeats the border, row by row: coremltools takes it for REFLECT, which does not."""
    if node.attr.get("mode") not in ("SYMMETRIC", b"SYMMETRIC"):
        return None
    widths = [] if paddings.val is None else paddings.val.tolist()
    padded = [(axis, width) for axis, width in enumerate(widths) if any(width)]
    if paddings.val is None or not all(isinstance(x.shape[axis], int | np.integer) for axis, _ in padded):
        raise NotImplementedError("MirrorPad in the mode SYMMETRIC of sizes that vary")
    for axis, width in padded:
        x = mb.gather(x=x, indices=np.pad(np.arange(x.shape[axis], dtype=np.int32), width, mode="symmetric"), axis=axis)
    return mb.identity(x=x, name=node.name)


def _cast(mb: Any, node: Any, x: Any) -> Any:
    """An input as small integers, which Core ML computes in int32; elsewhere they might wrap around, and coremltools refuses them."""
    from coremltools.converters.mil.mil import types

    if node.attr.get("DstT") not in (types.uint8, types.int8, types.uint16, types.int16) or x.op is not None:
        return None
    return mb.cast(x=x, dtype="int32", name=node.name)


def _select(mb: Any, node: Any, condition: Any, x: Any, y: Any) -> Any:
    """Two numbers by a tensor of conditions, whose result coremltools takes for a number too."""
    if x.val is None or y.val is None or x.rank or y.rank or not all(isinstance(size, int | np.integer) for size in condition.shape):
        return None
    return mb.select(cond=condition, a=np.full(condition.shape, x.val), b=np.full(condition.shape, y.val), name=node.name)


def _scatter_update(mb: Any, node: Any, data: Any, indices: Any, updates: Any) -> Any:
    return mb.scatter_nd(data=data, indices=indices, updates=updates, mode="update", name=node.name)


_COMPOSITIONS: Mapping[str, Callable[..., Any]] = {
    "Acosh": _acosh,
    "Asinh": _asinh,
    "Bucketize": _bucketize,
    "Cast": _cast,
    "Erfc": _erfc,
    "Expm1": _expm1,
    "Inv": _reciprocal,
    "Log1p": _log1p,
    "MirrorPad": _mirror_pad,
    "Reciprocal": _reciprocal,
    "ResizeNearestNeighbor": _resize_nearest,
    "Roll": _roll,
    "Select": _select,
    "SelectV2": _select,
    "TensorListReserve": growing_lists.make_list,
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
