"""Every operation that is registered as keeping the float16 grid does: float16 numbers in, nothing but float16 numbers out."""

from __future__ import annotations

import numpy as np
import pytest

from mlpipe.runtime.mlprogram import ops
from mlpipe.runtime.mlprogram.op import OPS, VERSIONS
from mlpipe.runtime.precision import half_grid

RANDOM = np.random.default_rng(16)
HALF = np.float16


def grid(*shape):
    """Return finite float16 numbers of all magnitudes."""
    numbers = RANDOM.integers(0, 1 << 16, shape, np.uint16).view(HALF)
    return np.where(np.isfinite(numbers), numbers, HALF(0.5))


def ints(*values):
    return np.asarray(values, np.int32)


def listed(mb, values):
    """Return a list of the elements along the first dimension."""
    made = mb.make_list(init_length=values.shape[0], dtype="fp16", elem_shape=values.shape[1:])
    return mb.list_scatter(ls=made, indices=np.arange(values.shape[0], dtype=np.int32), value=values)


def gathered(mb, made, count):
    """Return the elements of a list, which no program may give out."""
    return mb.list_gather(ls=made, indices=np.arange(count, dtype=np.int32))


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
    "thresholded_relu": [{"x": X, "alpha": HALF(0.3)}],
    "logical_not": [{"x": TRUTH}],
    "select": [{"cond": TRUTH, "a": X, "b": grid(2, 3, 4)}],
    "gather": [{"x": X, "indices": ints(2, 0), "axis": 1}],
    "gather_along_axis": [{"x": X, "indices": RANDOM.integers(0, 3, (2, 3, 4)).astype(np.int32), "axis": 1}],
    "gather_nd": [{"x": X, "indices": ints([1, 2], [0, 0])}],
    "upsample_nearest_neighbor": [{"x": IMAGE, "scale_factor_height": 2, "scale_factor_width": 3}],
    "resize_nearest_neighbor": [{"x": IMAGE, "target_size_height": 12, "target_size_width": 6}],
    "make_list": [lambda mb, x: (gathered(mb, mb.make_list(init_length=2, dtype="fp16", elem_shape=(3, 4)), 2), x)],
    "list_length": [lambda mb, x: mb.list_length(ls=listed(mb, x))],
    "list_read": [lambda mb, x: mb.list_read(ls=listed(mb, x), index=np.int32(1))],
    "list_gather": [lambda mb, x: gathered(mb, listed(mb, x), 2)],
    "list_write": [lambda mb, x: gathered(mb, mb.list_write(ls=listed(mb, x), index=np.int32(2), value=mb.list_read(ls=listed(mb, x), index=0)), 3)],
    "list_scatter": [lambda mb, x: gathered(mb, mb.list_scatter(ls=listed(mb, x), indices=ints(3, 0), value=x), 4)],
    "max_pool": [{"x": IMAGE, "pad_type": "same", **WINDOW}, {"x": IMAGE, "pad_type": "custom", "pad": (1, 1, 0, 0), "ceil_mode": True, **WINDOW}],
    "quantize": [{"input": X, "scale": HALF(0.37), "output_dtype": "int8"}],
    "depth_to_space": [{"x": IMAGE, "block_size": 2}],
    "space_to_depth": [{"x": IMAGE, "block_size": 2}],
    "pixel_shuffle": [{"x": IMAGE, "upscale_factor": 2}],
    "pixel_unshuffle": [{"x": IMAGE, "downscale_factor": np.uint32(2)}],
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
    "fill": [{"shape": ints(2, 3), "value": HALF(0.1)}],
    "fill_like": [{"ref_tensor": X, "value": HALF(0.1)}],
    "one_hot": [{"indices": ints(0, 2), "one_hot_vector_size": 3, "on_value": HALF(0.1), "off_value": HALF(-3.3)}],
    "topk": [{"x": X, "k": 2}],
    "reverse_sequence": [{"x": X, "lengths": ints(2, 3), "seq_axis": 1, "batch_axis": 0}],
    "random_bernoulli": [lambda mb, x: (mb.random_bernoulli(shape=[2, 3], prob=HALF(0.4)), x)],
    "band_part": [{"x": X, "lower": 1, "upper": 0}],
}
"""Operation -> its arguments, of which arrays of float16 and booleans are computed and the others constant; or a program that is fed X."""

SINCE_FLOAT16 = VERSIONS.index("iOS16")
"""Models may be fed float16 from here on."""


def entries():
    """Return (operation, version, whether it is said to keep the grid) of everything that is registered."""
    ops.load()
    return [(name, version, entry.keeps_grid) for name, versions in OPS._entries.items() for version, entry in versions.items()]


def results(run, name, case, version):
    """Return what a program of the operation gives where nothing is rounded: float16 as declared, float32 as computed."""
    opset = VERSIONS[max(version, SINCE_FLOAT16)]
    if callable(case):
        return run(case, {"x": X}, opset=opset)
    given = {key: value if isinstance(value, list) else [value] for key, value in case.items()}
    feed = {f"{key}{number}": value for key, values in given.items() for number, value in enumerate(values) if is_computed(value)}

    def body(mb, **inputs):
        computed = {key: [inputs.get(f"{key}{number}", value) for number, value in enumerate(values)] for key, values in given.items()}
        return getattr(mb, name)(**{key: values if isinstance(case[key], list) else values[0] for key, values in computed.items()})

    return run(body, feed or {"unused": X}, opset=opset)


def is_computed(value):
    return isinstance(value, np.ndarray) and value.ndim > 0 and value.dtype in (HALF, np.bool_)


def on_grid(value):
    return value.dtype.kind != "f" or np.array_equal(half_grid(value), value, equal_nan=True)


def test_no_operation_escapes() -> None:
    assert {name for name, _, keeps_grid in entries() if keeps_grid} == CASES.keys()


@pytest.mark.parametrize("name", CASES)
def test_operation_keeps_the_grid(run, name) -> None:
    for version in [version for other, version, keeps_grid in entries() if other == name and keeps_grid]:
        for case in CASES[name]:
            for value in results(run, name, case, version):
                assert value.size
                assert on_grid(value)


@pytest.mark.parametrize(("name", "case"), [("sqrt", {"x": np.abs(X)}), ("mul", PAIR[0]), ("avg_pool", {"x": IMAGE, "pad_type": "valid", **WINDOW})])
def test_the_check_finds_operations_that_leave_the_grid(run, name, case) -> None:
    assert [keeps_grid for other, _, keeps_grid in entries() if other == name] == [False]
    assert not on_grid(results(run, name, case, 0)[0])
