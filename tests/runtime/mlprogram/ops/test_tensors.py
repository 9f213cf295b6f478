"""Reshaping, slicing, gathering and the rest that moves elements: exact, against value inference or numpy."""

from __future__ import annotations

import numpy as np
import pytest

from mlpipe.errors import InvalidInput, NotExecutable

X = np.arange(60, dtype=np.float32).reshape(3, 4, 5)
WHOLE = np.arange(24, dtype=np.int32).reshape(2, 3, 4) - 12
IMAGE = np.arange(2 * 8 * 4 * 6, dtype=np.float32).reshape(2, 8, 4, 6)
TIES = np.asarray([[3, 1, 3, 2], [0, 5, 5, 5]], np.float32)


def space_to_depth(x, b):
    n, c, h, w = x.shape
    return x.reshape(n, c, h // b, b, w // b, b).transpose(0, 3, 5, 1, 2, 4).reshape(n, c * b * b, h // b, w // b)


def space_to_batch(x, block, paddings):
    x = np.pad(x, [(0, 0), (0, 0), *paddings])
    pieces = [x[:, :, i :: block[0], j :: block[1]] for i in range(block[0]) for j in range(block[1])]
    return np.concatenate(pieces)


CASES = {
    "reshape": ("reshape", X, {"shape": [5, 12]}, None),
    "reshape -1": ("reshape", X, {"shape": [2, -1]}, None),
    "reshape 0": ("reshape", X, {"shape": [0, -1, 2]}, None),
    "reshape int": ("reshape", WHOLE, {"shape": [24]}, None),
    "expand_dims": ("expand_dims", X, {"axes": [0, -1]}, None),
    "squeeze": ("squeeze", X[:, None, :, None], {"axes": [1]}, None),
    "squeeze negative": ("squeeze", X[:, None, :, None], {"axes": [-2]}, lambda x: x[:, :, :, 0]),
    "squeeze all": ("squeeze", X[:, None, :, None], {}, None),
    "transpose": ("transpose", X, {"perm": [2, 0, 1]}, None),
    "transpose negative": ("transpose", X, {"perm": [-1, 0, -2]}, None),
    "tile": ("tile", X, {"reps": [1, 2, 3]}, None),
    "flatten2d": ("flatten2d", X, {"axis": 2}, None),
    "flatten2d negative": ("flatten2d", X, {"axis": -2}, None),
    "shape": ("shape", X, {}, None),
    "sliding_windows": ("sliding_windows", X, {"axis": 1, "size": 2, "stride": 2}, lambda x: x.reshape(3, 2, 2, 5)),
    "sliding_windows overlap": ("sliding_windows", X, {"axis": -1, "size": 3}, lambda x: np.stack([x[..., i : i + 3] for i in range(3)], axis=2)),
    "slice": ("slice_by_index", X, {"begin": [1, 0, -3], "end": [3, 2, 5]}, None),
    "slice stride": ("slice_by_index", X, {"begin": [0, 1, 0], "end": [3, 4, 5], "stride": [2, 2, 3]}, None),
    "slice out of range": ("slice_by_index", X, {"begin": [0, 0, 0], "end": [3, 4, 99]}, None),
    "slice negative stride": ("slice_by_index", X, {"begin": [2, 3, 4], "end": [0, 1, 0], "stride": [-1, -1, -2]}, None),
    "slice begin_mask": ("slice_by_index", X, {"begin": [2, 1, 3], "end": [3, 3, 5], "begin_mask": [True, False, True]}, None),
    "slice end_mask": ("slice_by_index", X, {"begin": [1, 1, 1], "end": [0, 0, 2], "end_mask": [True, True, False]}, None),
    "slice masks, backwards": (
        "slice_by_index",
        X,
        {"begin": [0, 0, 0], "end": [0, 0, 5], "stride": [-1, -1, 1], "begin_mask": [True, True, False], "end_mask": [True, True, False]},
        None,
    ),
    "slice squeeze": ("slice_by_index", X, {"begin": [1, -1, 0], "end": [0, 0, 4], "squeeze_mask": [True, True, False]}, lambda x: x[1, -1, 0:4]),
    "slice squeeze last": ("slice_by_index", X, {"begin": [-1, 0, -2], "end": [0, 4, 0], "squeeze_mask": [True, False, True]}, lambda x: x[-1, :, -2]),
    "slice squeeze all": ("slice_by_index", X, {"begin": [1, 2, 3], "end": [0, 0, 0], "squeeze_mask": [True] * 3}, lambda x: x[1, 2, 3].reshape(1)),
    "slice_by_size": ("slice_by_size", X, {"begin": [1, 0, -2], "size": [2, -1, 1]}, None),
    "crop": ("crop", X, {"crop_height": [1, 2], "crop_width": [0, 3]}, lambda x: x[:, 1:-2, :-3]),
    "crop nothing after": ("crop", X, {"crop_height": [1, 0], "crop_width": [2, 0]}, lambda x: x[:, 1:, 2:]),
    "reverse": ("reverse", X, {"axes": [0, -1]}, None),
    "reverse all": ("reverse", X, {}, None),
    "gather": ("gather", X, {"indices": np.asarray([[0, 2], [3, 1]], np.int32), "axis": 1}, lambda x: x[:, [[0, 2], [3, 1]]]),
    "gather negative axis": ("gather", X, {"indices": np.asarray([4, 0], np.int32), "axis": -1}, lambda x: x[..., [4, 0]]),
    "gather scalar": ("gather", X, {"indices": np.int32(2), "axis": 0}, lambda x: x[2]),
    "gather_along_axis": ("gather_along_axis", TIES, {"indices": np.asarray([[3, 0], [2, 1]], np.int32), "axis": 1}, None),
    "gather_nd": ("gather_nd", X, {"indices": np.asarray([[0, 1], [2, 3]], np.int32)}, lambda x: x[[0, 2], [1, 3]]),
    "gather batch": (
        "gather",
        X,
        {"indices": np.asarray([[0, 3], [1, 1], [2, 0]], np.int32), "axis": 1, "batch_dims": 1},
        lambda x: np.stack([x[0, [0, 3]], x[1, [1, 1]], x[2, [2, 0]]]),
    ),
    "gather batch 2": (
        "gather",
        X,
        {"indices": np.asarray([[[0], [3], [4], [1]]] * 3, np.int32), "axis": -1, "batch_dims": 2},
        lambda x: x[:, np.arange(4), [0, 3, 4, 1]][..., None],
    ),
    "gather_nd batch": (
        "gather_nd",
        X,
        {"indices": np.asarray([[[0, 4], [3, 1]], [[1, 0], [1, 2]], [[2, 2], [0, 0]]], np.int32), "batch_dims": 1},
        lambda x: np.stack([x[0, [0, 3], [4, 1]], x[1, [1, 1], [0, 2]], x[2, [2, 0], [2, 0]]]),
    ),
    "pad constant": ("pad", X, {"pad": [1, 2, 0, 3], "mode": "constant", "constant_val": 1.5}, None),
    "pad reflect": ("pad", X, {"pad": [1, 2, 2, 0], "mode": "reflect"}, None),
    "pad replicate": ("pad", X, {"pad": [0, 0, 1, 2, 2, 0], "mode": "replicate"}, lambda x: np.pad(x, [(0, 0), (1, 2), (2, 0)], mode="edge")),
    "one_hot": ("one_hot", np.asarray([[0, 3], [1, 2]], np.int32), {"one_hot_vector_size": 4}, lambda x: np.eye(4)[x]),
    "one_hot axis": (
        "one_hot",
        np.asarray([[0, 3], [1, 9]], np.int32),
        {"one_hot_vector_size": 4, "axis": 1, "on_value": 2.5, "off_value": -1.0},
        lambda x: np.where(np.arange(4)[None, :, None] == x[:, None], 2.5, -1.0),
    ),
    "topk": ("topk", X[:, ::-1], {"k": 2, "axis": 1}, None),
    "topk ascending": ("topk", X, {"k": 3, "axis": -1, "ascending": True}, None),
    "topk int": ("topk", WHOLE, {"k": 2, "axis": 0}, None),
    "argsort": ("argsort", X[:, ::-1] % 7, {"axis": 1, "ascending": True}, lambda x: np.argsort(x, axis=1, kind="stable")),
    "argsort descending": ("argsort", X, {"axis": -1}, None),
    "band_part": ("band_part", X, {"lower": 1, "upper": 0}, None),
    "band_part upper": ("band_part", X, {"lower": 0, "upper": -1}, None),
    "cumsum": ("cumsum", X, {"axis": 1}, None),
    "cumsum reverse": ("cumsum", X, {"axis": 0, "reverse": True}, None),
    "cumsum exclusive": ("cumsum", X, {"axis": 2, "exclusive": True}, lambda x: np.cumsum(x, axis=2) - x),
    "cumsum int": ("cumsum", WHOLE, {"axis": -1}, None),
    "non_zero": ("non_zero", TIES, {}, None),
    "split": ("split", X, {"num_splits": 2, "axis": 1}, lambda x: np.split(x, 2, axis=1)),
    "split sizes": ("split", X, {"split_sizes": [1, 4], "axis": -1}, None),
    "concat": (None, X, lambda mb, x: mb.concat(values=(x, x, x), axis=-1), lambda x: np.concatenate([x, x, x], axis=-1)),
    "concat interleave": (
        None,
        X,
        lambda mb, x: mb.concat(values=(x, mb.mul(x=x, y=-1.0)), axis=1, interleave=True),
        lambda x: np.stack([x, -x], axis=2).reshape(3, 8, 5),
    ),
    "stack": (None, X, lambda mb, x: mb.stack(values=(x, x), axis=1), lambda x: np.stack([x, x], axis=1)),
    "stack last": (None, X, lambda mb, x: mb.stack(values=(x, x), axis=-1), lambda x: np.stack([x, x], axis=-1)),
    "fill_like": (None, X, lambda mb, x: mb.fill_like(ref_tensor=x, value=2.5), lambda x: np.full_like(x, 2.5)),
    "reshape_like": (
        None,
        X,
        lambda mb, x: mb.reshape_like(x=x, ref_tensors=(mb.reshape(x=x, shape=[6, 2, 5]), x), begins=[0, 2], ends=[2, 0], end_masks=[False, True]),
        lambda x: x.reshape(6, 2, 5),
    ),
    "depth_to_space": ("depth_to_space", IMAGE, {"block_size": 2}, lambda x: x.reshape(2, 2, 2, 2, 4, 6).transpose(0, 3, 4, 1, 5, 2).reshape(2, 2, 8, 12)),
    "space_to_depth": ("space_to_depth", IMAGE, {"block_size": 2}, lambda x: space_to_depth(x, 2)),
    "pixel_shuffle": ("pixel_shuffle", IMAGE, {"upscale_factor": 2}, lambda x: x.reshape(2, 2, 2, 2, 4, 6).transpose(0, 1, 4, 2, 5, 3).reshape(2, 2, 8, 12)),
    "pixel_unshuffle": (
        None,
        IMAGE,
        lambda mb, x: mb.pixel_unshuffle(x=x, downscale_factor=np.uint32(2)),
        lambda x: x.reshape(2, 8, 2, 2, 3, 2).transpose(0, 1, 3, 5, 2, 4).reshape(2, 32, 2, 3),
    ),
    "space_to_batch": (
        "space_to_batch",
        IMAGE,
        {"block_shape": [2, 3], "paddings": [[1, 1], [0, 3]]},
        lambda x: space_to_batch(x, (2, 3), [(1, 1), (0, 3)]),
    ),
    "batch_to_space": (
        None,
        IMAGE,
        lambda mb, x: mb.batch_to_space(x=mb.space_to_batch(x=x, block_shape=[2, 3], paddings=[[1, 1], [0, 3]]), block_shape=[2, 3], crops=[[1, 1], [0, 3]]),
        lambda x: x,
    ),
    "upsample_nearest_neighbor": (
        "upsample_nearest_neighbor",
        IMAGE,
        {"scale_factor_height": 2, "scale_factor_width": 3},
        lambda x: x.repeat(2, axis=2).repeat(3, axis=3),
    ),
    "resize_nearest_neighbor": (
        "resize_nearest_neighbor",
        IMAGE,
        {"target_size_height": 8, "target_size_width": 6},
        lambda x: x.repeat(2, axis=2),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_elements_are_where_they_belong(mil, run, case) -> None:
    op, x, parameters, reference = CASES[case]

    def body(mb, x):
        if op is None:
            return parameters(mb, x)
        return getattr(mb, op)(**{"indices" if op == "one_hot" else "x": x}, **parameters)

    expected = mil.infer(body, {"x": x}) if reference is None else reference(x)
    expected = expected if isinstance(expected, list) else [expected]
    results = run(body, {"x": x})
    for result, value in zip(results, expected, strict=True):
        np.testing.assert_array_equal(result, value)


def test_indices_that_are_computed_while_the_program_runs(run) -> None:
    def body(mb, x, begin, end, shape, pad):
        sliced = mb.slice_by_index(x=x, begin=begin, end=end, begin_mask=[True, False, False], end_mask=[False, True, False], squeeze_mask=[False, False, True])
        return (
            sliced,
            mb.slice_by_size(x=x, begin=begin, size=np.asarray([1, -1, 1], np.int32)),
            mb.reshape(x=x, shape=shape),
            mb.pad(x=x, pad=pad),
            mb.fill(shape=shape, value=2.5),
            mb.gather(x=x, indices=end, axis=1),
        )

    vectors = {"begin": [1, 2, -1], "end": [2, 0, 0], "shape": [5, 12], "pad": [0, 1, 2, 0, 0, 0]}
    feed = {"x": X, **{name: np.asarray(value, np.int32) for name, value in vectors.items()}}
    expected = [X[:2, 2:, -1], X[1:2, 2:, -1:], X.reshape(5, 12), np.pad(X, [(0, 1), (2, 0), (0, 0)]), np.full((5, 12), 2.5), X[:, [2, 0, 0]]]
    for result, value in zip(run(body, feed), expected, strict=True):
        np.testing.assert_array_equal(result, value)


@pytest.mark.parametrize(("start", "end", "step"), [(0, 5, 1), (2, 11, 3), (5, -1, -2)])
def test_range_1d(run, start, end, step) -> None:
    def body(mb, end):
        return mb.range_1d(start=np.int32(start), end=mb.squeeze(x=end, axes=[0]), step=np.int32(step))

    (result,) = run(body, {"end": np.asarray([end], np.int32)})
    np.testing.assert_array_equal(result, np.arange(start, end, step))


def test_the_first_of_equal_elements_comes_first(run) -> None:
    values, indices = run(lambda mb, x: mb.topk(x=x, k=3, axis=1), {"x": TIES})
    np.testing.assert_array_equal(values, [[3, 3, 2], [5, 5, 5]])
    np.testing.assert_array_equal(indices, [[0, 2, 3], [1, 2, 3]])


def replacing(name, integers):
    """Return an edit that gives a constant of the program other integers."""

    def edit(spec):
        function = spec.mlProgram.functions["main"]
        (constant,) = [each for each in function.block_specializations[function.opset].operations if each.outputs[0].name == name]
        constant.attributes["val"].immediateValue.tensor.ints.values[:] = integers

    return edit


def test_a_size_of_zero_in_a_shape_of_another_rank_is_refused_until_ios16(run) -> None:
    """coremltools does not write it: only from iOS17 on is it said which size is meant."""
    with pytest.raises(NotExecutable, match="as many sizes as x"):
        run(lambda mb, x: mb.reshape(x=x, shape=[3, 20]), {"x": X}, opset="iOS16", edit=replacing("reshape_0_shape_0", [0, 20]))
    (result,) = run(lambda mb, x: mb.reshape(x=x, shape=[12, 5]), {"x": X}, edit=replacing("reshape_0_shape_0", [-1, 0]))
    np.testing.assert_array_equal(result, X.reshape(12, 5))


@pytest.mark.parametrize("k", [-1, 4])
def test_topk_of_all(run, k) -> None:
    """coremltools cannot write the -1 that its documentation allows."""
    values, indices = run(lambda mb, x: mb.topk(x=x, k=4, axis=1, ascending=True), {"x": X}, edit=replacing("topk_0_k_0", [k]))
    np.testing.assert_array_equal(values, np.sort(X, axis=1))
    np.testing.assert_array_equal(indices, np.argsort(X, axis=1))


@pytest.mark.parametrize("op", ["gather", "gather_along_axis", "gather_nd"])
def test_negative_indices_count_from_the_end_until_ios16_and_are_refused_after(run, op) -> None:
    indices = np.asarray([[-1, 0], [1, -2]], np.int32)
    more = {} if op == "gather_nd" else {"axis": 1}
    expected = {
        "gather": TIES[:, indices],
        "gather_along_axis": np.take_along_axis(TIES, indices, axis=1),
        "gather_nd": TIES[indices[:, 0], indices[:, 1]],
    }

    def body(mb, x, indices):
        return getattr(mb, op)(x=x, indices=indices, **more)

    (result,) = run(body, {"x": TIES, "indices": indices}, opset="iOS16")
    np.testing.assert_array_equal(result, expected[op])
    with pytest.raises(InvalidInput, match="cannot compute these inputs"):
        run(body, {"x": TIES, "indices": indices})
    with pytest.raises(NotExecutable, match="negative indices"):
        run(lambda mb, x: getattr(mb, op)(x=x, indices=indices, **more), {"x": TIES})
