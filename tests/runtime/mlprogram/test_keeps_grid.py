"""Every operation that is registered as keeping the float16 grid does: float16 numbers in, nothing but float16 numbers out."""

from __future__ import annotations

import numpy as np
import pytest

from mlpipe.runtime.execute import Executable
from mlpipe.runtime.mlprogram import ops
from mlpipe.runtime.mlprogram.op import OPS, Build, bind
from mlpipe.runtime.mlprogram.values import Constant, Tensor, TensorType
from mlpipe.runtime.onnx_graph import Graph
from mlpipe.runtime.precision import half_grid

RANDOM = np.random.default_rng(16)


def grid(*shape):
    """Return finite float16 numbers of all magnitudes, as float32."""
    numbers = RANDOM.integers(0, 1 << 16, shape, np.uint16).view(np.float16)
    return np.where(np.isfinite(numbers), numbers, np.float16(0.5)).astype(np.float32)


def ints(*values):
    return np.asarray(values, np.int32)


X = grid(2, 3, 4)
IMAGE = grid(1, 8, 6, 6)
TRUTH = RANDOM.integers(0, 2, (2, 3, 4)).astype(np.bool_)
PIECE = {"begin": ints(0, 1, 0), "end": ints(2, 3, 3)}
WINDOW = {"kernel_sizes": (3, 2), "strides": (2, 2)}
ALONE = [{"x": X}]
ALONG = [{"x": X, "axis": 1}]
REDUCED = [{"x": X}, {"x": X, "axes": (1,), "keep_dims": True}]
PAIR = [{"x": X, "y": grid(3, 4)}]
LOGIC = [{"x": TRUTH, "y": TRUTH[::-1]}]

CASES = {
    **dict.fromkeys(("relu", "relu6", "abs", "ceil", "floor", "round", "sign", "identity", "shape", "non_zero", "argsort"), ALONE),
    **dict.fromkeys(("maximum", "minimum", "equal", "not_equal", "greater", "greater_equal", "less", "less_equal"), PAIR),
    **dict.fromkeys(("logical_and", "logical_or", "logical_xor"), LOGIC),
    **dict.fromkeys(("reduce_max", "reduce_min"), REDUCED),
    **dict.fromkeys(("reduce_argmax", "reduce_argmin"), ALONG),
    "thresholded_relu": [{"x": X, "alpha": 0.3}],
    "logical_not": [{"x": TRUTH}],
    "select": [{"cond": TRUTH, "a": X, "b": grid(2, 3, 4)}],
    "gather": [{"x": X, "indices": ints(2, 0), "axis": 1}],
    "gather_along_axis": [{"x": X, "indices": RANDOM.integers(0, 3, (2, 3, 4)).astype(np.int32), "axis": 1}],
    "gather_nd": [{"x": X, "indices": ints([1, 2], [0, 0])}],
    "upsample_nearest_neighbor": [{"x": IMAGE, "scale_factor_height": 2, "scale_factor_width": 3}],
    "resize_nearest_neighbor": [{"x": IMAGE, "target_size_height": 12, "target_size_width": 6}],
    "make_list": [{"elem_shape": ("3", "4"), "init_length": ints(2), "dtype": "fp16"}],
    "list_length": [{"ls": X}],
    "list_read": [{"ls": X, "index": np.int32(1)}],
    "list_gather": [{"ls": X, "indices": ints(1, 0)}],
    "list_write": [{"ls": X, "index": np.int32(2), "value": grid(3, 4)}],
    "list_scatter": [{"ls": X, "indices": ints(3, 0), "value": grid(2, 3, 4)}],
    "max_pool": [{"x": IMAGE, "pad_type": "same", **WINDOW}, {"x": IMAGE, "pad_type": "custom", "pad": (1, 1, 0, 1), "ceil_mode": True, **WINDOW}],
    "quantize": [{"input": X, "scale": np.float32(0.37), "output_dtype": "int8"}],
    "depth_to_space": [{"x": IMAGE, "block_size": 2}],
    "space_to_depth": [{"x": IMAGE, "block_size": 2}],
    "pixel_shuffle": [{"x": IMAGE, "upscale_factor": 2}],
    "pixel_unshuffle": [{"x": IMAGE, "downscale_factor": 2}],
    "space_to_batch": [{"x": IMAGE, "block_shape": (2, 2), "paddings": ints([1, 1], [0, 0])}],
    "batch_to_space": [{"x": grid(4, 2, 3, 3), "block_shape": (2, 2), "crops": ints([1, 0], [0, 1])}],
    "reshape": [{"x": X, "shape": ints(4, -1)}],
    "reshape_like": [{"x": X, "ref_tensors": [grid(6, 5), grid(4)], "begins": (0, 0), "ends": (1, 1), "end_masks": (False, False)}],
    "expand_dims": [{"x": X, "axes": (1,)}],
    "squeeze": [{"x": grid(2, 1, 3), "axes": (1,)}],
    "flatten2d": [{"x": X}],
    "transpose": [{"x": X, "perm": (2, 0, 1)}],
    "tile": [{"x": X, "reps": ints(1, 2, 2)}],
    "sliding_windows": [{"x": X, "axis": 2, "size": 2}],
    "slice_by_index": [{"x": X, **PIECE}],
    "slice_by_size": [{"x": X, "begin": ints(0, 1, 0), "size": ints(2, 2, -1)}],
    "split": [{"x": X, "axis": 2, "num_splits": 2}],
    "crop": [{"x": IMAGE, "crop_height": (1, 2), "crop_width": (0, 1)}],
    "reverse": [{"x": X}],
    "slice_update": [{"x": X, "update": grid(2, 2, 3), **PIECE}],
    "concat": [{"values": [X, grid(2, 3, 4)], "axis": 1}, {"values": [X, grid(2, 3, 4)], "axis": 1, "interleave": True}],
    "stack": [{"values": [X, grid(2, 3, 4)], "axis": 1}],
    "pad": [{"x": IMAGE, "pad": ints(0, 0, 0, 0, 1, 2, 2, 1), "mode": mode} for mode in ("constant", "reflect", "replicate")],
    "fill": [{"shape": ints(2, 3), "value": np.float32(0.1).astype(np.float16)}],
    "fill_like": [{"ref_tensor": X, "value": np.float32(0.1).astype(np.float16)}],
    "one_hot": [{"indices": ints(0, 2), "one_hot_vector_size": 3, "on_value": np.float16(0.1), "off_value": np.float16(-3.3)}],
    "topk": [{"x": X, "k": 2}],
    "band_part": [{"x": X, "lower": 1, "upper": 0}],
}
"""Operation -> arguments: float arrays are float16 tensors. `test_no_operation_escapes` asks for a row where one is missing."""

OUTPUTS = {"reduce_argmax": ("int32",), "reduce_argmin": ("int32",), "topk": ("fp16", "int32"), "split": ("fp16", "fp16")}
"""Declared types of outputs where they are not one float16 tensor."""


def entries():
    """Return every (name, version, operation) of the registry."""
    ops.load()
    return [(name, version, entry) for name, versions in OPS._entries.items() for version, entry in versions.items()]


def outputs(entry, arguments, declared):
    """Return the operation's outputs as the graph computes them, before anything would round them."""
    graph = Graph()
    feed = {}

    def binding(name, value):
        array = np.asarray(value)
        if array.dtype.kind == "f" and array.ndim:
            feed[f"{name}.{len(feed)}"] = array
            return Tensor(graph.add_input(f"{name}.{len(feed) - 1}", np.float32, array.shape), "fp16", array.shape)
        return Constant(array, {"b": "bool", "i": "int32", "f": "fp16", "U": "string"}[array.dtype.kind])

    def tensor(value):
        if isinstance(value, Tensor):
            return value
        array = value.array.astype(np.float32) if value.dtype == "fp16" else value.array
        return Tensor(graph.constant(array), value.dtype, array.shape, array)

    many = {name: value if isinstance(value, list | tuple) else [value] for name, value in arguments.items()}
    bound = bind(entry, {name: [binding(name, value) for value in values] for name, values in many.items()}, tensor)
    results = entry.function(Build(graph, tuple(TensorType(dtype, None) for dtype in declared)), **bound)
    results = [results] if isinstance(results, str) else results
    graph.outputs = {f"out {number}": name for number, name in enumerate(results)}
    return list(Executable(graph).run(feed).values())


def on_grid(value):
    return value.dtype.kind != "f" or np.array_equal(half_grid(value), value, equal_nan=True)


def test_no_operation_escapes() -> None:
    assert {name for name, _, entry in entries() if entry.keeps_grid} - CASES.keys() == set()


@pytest.mark.parametrize("name", CASES)
def test_operation_keeps_the_grid(name) -> None:
    checked = [entry for other, _, entry in entries() if other == name and entry.keeps_grid]
    assert checked, "the row is of an operation that is rounded, or that does not exist"
    for entry in checked:
        for arguments in CASES[name]:
            for value in outputs(entry, arguments, OUTPUTS.get(name, ("fp16",))):
                assert value.size
                assert on_grid(value)


@pytest.mark.parametrize(("name", "arguments"), [("sqrt", {"x": np.abs(X)}), ("mul", PAIR[0]), ("avg_pool", {"x": IMAGE, "pad_type": "valid", **WINDOW})])
def test_the_check_finds_operations_that_leave_the_grid(name, arguments) -> None:
    entry = OPS.find(name, "iOS17")
    assert entry is not None
    assert not entry.keeps_grid
    assert not on_grid(outputs(entry, arguments, ("fp16",))[0])
