"""Operations that reduce dimensions to one number."""

from __future__ import annotations

import numpy as np

from mlpipe.runtime.lowered import UnsupportedLayerError
from mlpipe.runtime.mlprogram.op import Build, op
from mlpipe.runtime.mlprogram.values import Tensor

REDUCTIONS = {
    "reduce_l1_norm": "ReduceL1",
    "reduce_l2_norm": "ReduceL2",
    "reduce_log_sum": "ReduceLogSum",
    "reduce_log_sum_exp": "ReduceLogSumExp",
    "reduce_mean": "ReduceMean",
    "reduce_prod": "ReduceProd",
    "reduce_sum": "ReduceSum",
    "reduce_sum_square": "ReduceSumSquare",
}
EXTREMES = {"reduce_max": "ReduceMax", "reduce_min": "ReduceMin"}
POSITIONS = {"reduce_argmax": "ArgMax", "reduce_argmin": "ArgMin"}

WHOLE = ("ReduceSum", "ReduceProd", "ReduceL1", "ReduceSumSquare", "ReduceMax", "ReduceMin")
"""Reductions of integers that give integers; the others are computed in float64 and lose their fraction."""


def _define(name: str, onnx_op: str, *, keeps_grid: bool) -> None:
    @op(name, keeps_grid=keeps_grid)
    def function(build: Build, x: Tensor, axes: tuple[int, ...] | None = None, keep_dims: bool = False) -> str:
        value = x.name if x.is_float or onnx_op in WHOLE else build.graph.cast(x.name, np.float64)
        if axes == ():
            # To ONNX no axes are all axes: reduce one that is made for it.
            return build.add(onnx_op, build.add("Unsqueeze", value, build.int64(-1)), build.int64(-1), keepdims=0)
        chosen = tuple(range(x.rank)) if axes is None else axes
        return build.add(onnx_op, value, build.int64(*chosen), keepdims=int(keep_dims))


for _name, _onnx_op in REDUCTIONS.items():
    _define(_name, _onnx_op, keeps_grid=False)
for _name, _onnx_op in EXTREMES.items():
    _define(_name, _onnx_op, keeps_grid=True)


def _define_position(name: str, onnx_op: str) -> None:
    @op(name, keeps_grid=True)
    def function(build: Build, x: Tensor, axis: int = -1, keep_dims: bool = False, output_dtype: str = "int32") -> str:
        """Return where the first extreme lies. `output_dtype` is the declared type of the output."""
        if output_dtype != build.outputs[0].dtype:
            raise UnsupportedLayerError(f"its output is declared as {build.outputs[0].dtype} and as {output_dtype}")
        return build.add(onnx_op, build.graph.cast(x.name, np.float32 if x.is_float else np.int32), axis=axis, keepdims=int(keep_dims))


for _name, _onnx_op in POSITIONS.items():
    _define_position(_name, _onnx_op)
