"""Laws of numpy that hold for all shapes, tried on shapes that hypothesis finds, with sizes known beforehand and with sizes that vary."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, mutually_broadcastable_shapes

from mlpipe.runtime.execute import Executable
from mlpipe.runtime.mlprogram import ops
from mlpipe.runtime.mlprogram.op import OPS, Build
from mlpipe.runtime.mlprogram.values import STORAGE, Tensor, TensorType
from mlpipe.runtime.onnx_graph import Graph

FEW = settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
MIL_TYPES = {"float32": "fp32", "int32": "int32", "bool": "bool"}
SHAPES = array_shapes(min_dims=1, max_dims=4, max_side=5)


@pytest.fixture(scope="module", autouse=True)
def _operations() -> None:
    ops.load()


def execute(name, feed, parameters=None, *, varying=False, outputs=1):
    """Return what an operation makes of arrays, without a model around it; numpy values in `parameters` are constants of the graph."""
    graph = Graph()
    operation = OPS.find(name, "iOS18")
    arguments = {}
    for key, value in feed.items():
        dtype = MIL_TYPES[str(value.dtype)]
        shape = tuple(None if varying else size for size in value.shape)
        arguments[key] = Tensor(graph.add_input(key, STORAGE[dtype], shape), dtype, shape)
    for key, value in (parameters or {}).items():
        wanted = operation.hints[key]
        if isinstance(value, np.ndarray) and "Tensor" in str(wanted):
            arguments[key] = Tensor(graph.constant(value), "int32", value.shape, value)
        else:
            arguments[key] = value
    declared = tuple(TensorType("fp32", None) for _ in range(outputs))
    results = operation.function(Build(graph, declared), **arguments)
    graph.outputs = {str(number): each for number, each in enumerate([results] if isinstance(results, str) else results)}
    return list(Executable(graph).run(feed).values())


def numbers(shape, dtype=np.float32):
    count = int(np.prod(shape))
    return np.asarray(np.random.default_rng(count).permutation(count).reshape(shape) - count // 3, dtype)


def axis_of(rank):
    return st.integers(-rank, rank - 1)


@FEW
@given(mutually_broadcastable_shapes(num_shapes=2, max_dims=4, max_side=3), st.booleans())
def test_broadcasting(shapes, varying) -> None:
    x, y = (numbers(shape) for shape in shapes.input_shapes)
    np.testing.assert_array_equal(execute("sub", {"x": x, "y": y}, varying=varying)[0], x - y)


@FEW
@given(st.data(), SHAPES, st.booleans())
def test_reduction(data, shape, varying) -> None:
    axes = data.draw(st.lists(st.sampled_from(range(len(shape))), unique=True))
    signed = tuple(axis - len(shape) * data.draw(st.booleans()) for axis in axes)
    x, keep = numbers(shape), data.draw(st.booleans())
    (result,) = execute("reduce_max", {"x": x}, {"axes": signed, "keep_dims": keep}, varying=varying)
    np.testing.assert_array_equal(result, x.max(axis=tuple(axes), keepdims=keep))


def bounds(data, size):
    """Return begin, end, stride and the two masks of one dimension, as they pick at least one element."""
    step = data.draw(st.sampled_from([1, 1, 2, 3, -1, -2]))
    first, last = sorted(data.draw(st.tuples(st.integers(0, size - 1), st.integers(0, size - 1))))
    begin, end = (first, last + 1) if step > 0 else (last, first - 1)
    end_mask = end < 0 or data.draw(st.booleans())
    begin_mask = data.draw(st.booleans())
    if data.draw(st.booleans()):
        begin -= size
    return begin, max(end, 0), step, begin_mask, end_mask


@FEW
@given(st.data(), SHAPES, st.booleans(), st.sampled_from(["constant", "computed"]))
def test_slices_and_their_updates(data, shape, varying, kind) -> None:
    x = numbers(shape)
    begin, end, stride, begin_mask, end_mask = zip(*(bounds(data, size) for size in shape), strict=True)
    squeezed = tuple(data.draw(st.booleans()) and not first for first in begin_mask)
    steps = (None if masked else at for masked, at in zip(begin_mask, begin, strict=True))
    picks = zip(steps, end, stride, end_mask, squeezed, begin, strict=True)
    where = tuple(at if single else slice(first, None if masked else last, step) for first, last, step, masked, single, at in picks)
    parameters = {"stride": stride, "begin_mask": begin_mask, "end_mask": end_mask, "squeeze_mask": squeezed}
    limits = {"begin": np.asarray(begin, np.int32), "end": np.asarray(end, np.int32)}
    fed, known = ({**limits}, {}) if kind == "computed" else ({}, limits)
    options = {"varying": False} if kind == "computed" else {"varying": varying}
    (piece,) = execute("slice_by_index", {"x": x, **fed}, {**known, **parameters}, **options)
    np.testing.assert_array_equal(piece, x[where])
    changed = x.copy()
    changed[where] = -x[where] - 0.5
    (result,) = execute("slice_update", {"x": x, "update": np.asarray(changed[where]), **fed}, {**known, **parameters}, **options)
    np.testing.assert_array_equal(result, changed)


@FEW
@given(st.data(), array_shapes(min_dims=1, max_dims=4, max_side=4), st.booleans())
def test_gather(data, shape, varying) -> None:
    axis = data.draw(st.integers(0, len(shape) - 1))
    batch = data.draw(st.integers(0, axis))
    more = data.draw(array_shapes(min_dims=0, max_dims=2, max_side=3))
    places = data.draw(st.integers(0, 2**16))
    indices = np.random.default_rng(places).integers(0, shape[axis], (*shape[:batch], *more)).astype(np.int32)
    x = numbers(shape)
    expected = np.empty((*shape[:axis], *more, *shape[axis + 1 :]), np.float32)
    for place in np.ndindex(shape[:batch]):
        expected[place] = np.take(x[place], indices[place], axis=axis - batch)
    (result,) = execute("gather", {"x": x, "indices": indices}, {"axis": axis, "batch_dims": batch}, varying=varying)
    np.testing.assert_array_equal(result, expected)


@FEW
@given(st.data(), SHAPES, st.booleans(), st.sampled_from(["add", "sub", "max"]))
def test_scatter(data, shape, varying, mode) -> None:
    axis = data.draw(axis_of(len(shape)))
    indices = np.asarray(data.draw(st.lists(st.integers(0, shape[axis] - 1), min_size=1, max_size=4)), np.int32)
    x = numbers(shape)
    updates = numbers([len(indices) if place == axis % len(shape) else size for place, size in enumerate(shape)]) * 3
    expected = x.copy()
    where = (slice(None),) * (axis % len(shape))
    {"add": np.add, "sub": np.subtract, "max": np.maximum}[mode].at(expected, (*where, indices), updates)
    (result,) = execute("scatter", {"data": x, "updates": updates, "indices": indices}, {"axis": axis, "mode": mode}, varying=varying)
    np.testing.assert_array_equal(result, expected)


@FEW
@given(st.data(), SHAPES, st.booleans())
def test_what_moves_elements(data, shape, varying) -> None:
    x, rank = numbers(shape), len(shape)
    axis = data.draw(axis_of(rank))
    size = data.draw(st.integers(1, shape[axis]))
    stride = data.draw(st.integers(1, 3))
    lengths = np.asarray(data.draw(st.lists(st.integers(0, shape[axis]), min_size=shape[0], max_size=shape[0])), np.int32)
    moved = np.moveaxis(x, axis, -1)
    windows = np.lib.stride_tricks.sliding_window_view(moved, size, axis=-1)[..., ::stride, :]
    cases = [
        ("sliding_windows", {"axis": axis, "size": size, "stride": stride}, np.moveaxis(windows, (-2, -1), (axis % rank, axis % rank + 1))),
        ("reverse", {"axes": (axis,)}, np.flip(x, axis)),
        ("cumsum", {"axis": axis % rank, "reverse": True}, np.flip(np.cumsum(np.flip(x, axis), axis), axis)),
        ("argsort", {"axis": axis, "ascending": True}, np.argsort(x, axis=axis)),
        ("expand_dims", {"axes": (axis,)}, np.expand_dims(x, axis)),
        ("flatten2d", {"axis": axis}, x.reshape(int(np.prod(shape[: axis % rank])), -1)),
        ("tile", {"reps": np.full(rank, 2, np.int32)}, np.tile(x, (2,) * rank)),
        ("transpose", {"perm": tuple(range(-rank, 0))[::-1]}, x.T),
    ]
    if rank > 1:
        cases.append(("band_part", {"lower": size - 1, "upper": stride}, np.triu(np.tril(x, stride), 1 - size)))
        if axis % rank:
            turned = np.stack([np.concatenate([np.flip(part[:end], 0), part[end:]]) for part, end in zip(np.moveaxis(x, axis, 1), lengths, strict=True)])
            cases.append(("reverse_sequence", {"lengths": lengths, "seq_axis": axis, "batch_axis": -rank}, np.moveaxis(turned, 1, axis)))
    for name, parameters, expected in cases:
        (result,) = execute(name, {"x": x}, parameters, varying=varying)
        np.testing.assert_array_equal(result, expected, err_msg=name)


@FEW
@given(st.data(), SHAPES, st.integers(2, 3), st.booleans(), st.booleans())
def test_joining(data, shape, count, interleave, varying) -> None:
    axis = data.draw(axis_of(len(shape)))
    values = [numbers(shape) + 1000 * number for number in range(count)]
    graph_inputs = {f"v{number}": value for number, value in enumerate(values)}
    graph = Graph()
    sizes = tuple(None if varying else size for size in shape)
    tensors = tuple(Tensor(graph.add_input(name, np.float32, sizes), "fp32", sizes) for name in graph_inputs)
    build = Build(graph, (TensorType("fp32", None),))
    graph.outputs["joined"] = OPS.find("concat", "iOS18").function(build, values=tensors, axis=axis, interleave=interleave)
    where = axis % len(shape)
    expected = np.stack(values, axis=where + 1).reshape([-1 if place == where else size for place, size in enumerate(shape)])
    np.testing.assert_array_equal(Executable(graph).run(graph_inputs)["joined"], expected if interleave else np.concatenate(values, axis=axis))


@FEW
@given(st.data(), array_shapes(min_dims=3, max_dims=4, min_side=3, max_side=7), st.booleans())
def test_pools(data, shape, varying) -> None:
    spatial = len(shape) - 2
    kernel = tuple(data.draw(st.integers(1, 3)) for _ in range(spatial))
    strides = tuple(data.draw(st.integers(1, 3)) for _ in range(spatial))
    pad_type = data.draw(st.sampled_from(["valid", "same", "same_lower", "custom"]))
    pads = [(0, 0)] * spatial
    if pad_type == "custom":
        pads = [tuple(data.draw(st.integers(0, size)) for _ in range(2)) for size in kernel]
    elif pad_type != "valid":
        totals = [max((-(-size // step) - 1) * step + window - size, 0) for size, step, window in zip(shape[2:], strides, kernel, strict=True)]
        pads = [(total // 2, total - total // 2)[:: 1 if pad_type == "same" else -1] for total in totals]
    x = numbers(shape)
    parameters = {"kernel_sizes": kernel, "strides": strides, "pad_type": pad_type, "pad": tuple(np.ravel(pads).tolist())}
    axes = tuple(range(-spatial, 0))
    padded = np.pad(x.astype(np.float64), [(0, 0), (0, 0), *pads])
    steps = tuple(slice(None, None, step) for step in strides)
    windows = np.lib.stride_tricks.sliding_window_view(padded, kernel, axis=axes)[(..., *steps, *[slice(None)] * spatial)]
    for name, expected in (("avg_pool", windows.mean(axis=axes)), ("l2_pool", np.sqrt((windows**2).sum(axis=axes)))):
        (result,) = execute(name, {"x": x}, parameters, varying=varying)
        np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-5)
