"""Conditions and loops, with values captured from outside, nested, rounded, and reporting what they cannot run."""

from __future__ import annotations

import numpy as np
import pytest

from mlpipe.errors import NotExecutable
from mlpipe.model_files.read import read_model
from mlpipe.runtime import Precision, load_model
from mlpipe.runtime.execute import Executable
from mlpipe.runtime.model import lower

RANDOM = np.random.default_rng(14)
X = np.asarray([1.5, -2.0, 0.25], np.float32)


def count_of(number):
    return np.asarray([number], np.int32)


def scalar(mb, x):
    return mb.squeeze(x=x, axes=[0])


def positive(mb, x):
    return mb.greater(x=mb.reduce_sum(x=x, keep_dims=False), y=0.0)


@pytest.mark.parametrize("sign", [1, -1])
def test_cond(run, sign) -> None:
    def body(mb, x):
        doubled = mb.mul(x=x, y=2.0)

        def true():
            return (mb.add(x=doubled, y=x), doubled)

        return mb.cond(pred=positive(mb, x), _true_fn=true, _false_fn=lambda: (mb.sub(x=doubled, y=1.0), x))

    x = np.abs(X) * np.float32(sign)
    expected = (3 * x, 2 * x) if sign > 0 else (2 * x - 1, x)
    for result, value in zip(run(body, {"x": x}), expected, strict=True):
        np.testing.assert_array_equal(result, value)


@pytest.mark.parametrize("sign", [1, -1])
def test_cond_of_constants_numbers_and_one_value_twice(run, sign) -> None:
    def body(mb, x):
        total = mb.reduce_sum(x=x, keep_dims=False)
        constant = mb.const(val=np.asarray([4.0, 5.0, 6.0], np.float32))

        def true():
            return (total, constant, x, x)

        def false():
            return (mb.mul(x=total, y=-1.0), mb.mul(x=constant, y=2.0), mb.const(val=np.zeros(3, np.float32)), constant)

        return mb.cond(pred=positive(mb, x), _true_fn=true, _false_fn=false)

    x, constant = np.abs(X) * np.float32(sign), np.asarray([4, 5, 6])
    expected = (x.sum(), constant, x, x) if sign > 0 else (-x.sum(), 2 * constant, 0 * x, constant)
    for result, value in zip(run(body, {"x": x}), expected, strict=True):
        np.testing.assert_array_equal(result, np.atleast_1d(value))


@pytest.mark.parametrize("taken", [True, False])
def test_cond_that_is_decided_before_the_model_runs(mil, tmp_path, taken) -> None:
    def body(mb, x):
        def noise():
            return mb.random_categorical(x=mb.expand_dims(x=x, axes=[0]), size=3, name="noise")

        branches = (lambda: mb.add(x=x, y=1.0), lambda: mb.squeeze(x=mb.cast(x=noise(), dtype="fp32"), axes=[0]))
        return mb.cond(pred=np.bool_(taken), _true_fn=branches[not taken], _false_fn=branches[taken])

    path = mil.save(body, {"x": X}, tmp_path / "model.mlpackage")
    lowered, missing = lower(read_model(path), Precision.FLOAT32)
    assert missing == []
    assert "If" not in [node.op for node in lowered.graph.nodes]
    np.testing.assert_array_equal(load_model(path).predict_arrays({"x": X})["out0"], X + 1)


@pytest.mark.parametrize("rows", [2, 4])
@pytest.mark.parametrize("sign", [1, -1])
def test_cond_whose_results_differ_in_size(mil, run, rows, sign) -> None:
    # The operation declares the sizes of its first block alone.
    options = {"shapes": {"x": (mil.symbol(), 3)}, "inputs": [mil.ct.TensorType("x", shape=(mil.ct.RangeDim(1, 8), 3))]}

    def body(mb, x):
        def first():
            return mb.slice_by_size(x=x, begin=[0, 0], size=[2, 3])

        chosen = mb.cond(pred=positive(mb, x), _true_fn=first, _false_fn=lambda: mb.mul(x=x, y=2.0))
        return chosen, mb.shape(x=chosen), mb.reshape(x=chosen, shape=[-1])

    x = np.full((rows, 3), sign, np.float32)
    expected = x[:2] if sign > 0 else 2 * x
    for result, value in zip(run(body, {"x": x}, **options), (expected, expected.shape, expected.reshape(-1)), strict=True):
        np.testing.assert_array_equal(result, value)


@pytest.mark.parametrize("count", [0, 1, 5])
def test_while_loop(run, count) -> None:
    def body(mb, x, count):
        limit = scalar(mb, count)
        return mb.while_loop(
            _cond=lambda i, _: mb.less(x=i, y=limit),
            _body=lambda i, value: (mb.add(x=i, y=1), mb.add(x=mb.mul(x=value, y=2.0), y=x)),
            loop_vars=(np.int32(0), x),
        )

    steps, value = run(body, {"x": X, "count": count_of(count)})
    assert steps.tolist() == [count]
    np.testing.assert_array_equal(value, X * (2 ** (count + 1) - 1))


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_variables_that_stay_swap_or_are_replaced(run, count) -> None:
    def body(mb, x, count):
        weight = mb.const(val=np.asarray([2.0, 3.0, 4.0], np.float32))

        def step(i, left, right, stays, replaced, whole):
            del replaced, whole
            return mb.add(x=i, y=1), right, mb.add(x=left, y=stays), stays, mb.mul(x=stays, y=x), mb.reduce_sum(x=right, keep_dims=False)

        limit = scalar(mb, count)
        first = (np.int32(0), x, mb.mul(x=x, y=10.0), weight, x, np.float32(7.0))
        return mb.while_loop(_cond=lambda i, *_: mb.less(x=i, y=limit), _body=step, loop_vars=first)

    weight = np.asarray([2, 3, 4], np.float32)
    left, right, replaced, whole = X, X * 10, X, np.float32(7)
    for _ in range(count):
        left, right, replaced, whole = right, left + weight, weight * X, right.sum()
    results = run(body, {"x": X, "count": count_of(count)})
    for result, value in zip(results, (count, left, right, weight, replaced, whole), strict=True):
        np.testing.assert_array_equal(result, np.atleast_1d(value))


def test_a_loop_carries_only_what_its_rounds_change(mil, tmp_path) -> None:
    def body(mb, x):
        def step(i, stays, value):
            return mb.add(x=i, y=1), stays, mb.add(x=value, y=stays)

        return mb.while_loop(_cond=lambda i, *_: mb.less(x=i, y=3), _body=step, loop_vars=(np.int32(0), x, mb.mul(x=x, y=2.0)))

    path = mil.save(body, {"x": X}, tmp_path / "model.mlpackage")
    lowered, _ = lower(read_model(path), Precision.FLOAT32)
    (loop,) = [node for node in lowered.graph.nodes if node.op == "Loop"]
    assert len(loop.outputs) == 2
    results = load_model(path).predict_arrays({"x": X})
    for name, value in (("out0", [3]), ("out1", X), ("out2", 5 * X)):
        np.testing.assert_array_equal(results[name], value)


@pytest.mark.parametrize("count", [0, 1, 4])
def test_a_variable_that_grows(run, count) -> None:
    def body(mb, x, count):
        limit = scalar(mb, count)

        def step(i, grown):
            return mb.add(x=i, y=1), mb.concat(values=(grown, mb.expand_dims(x=mb.mul(x=x, y=mb.cast(x=i, dtype="fp32")), axes=[0])), axis=0)

        first = mb.expand_dims(x=x, axes=[0])
        _, grown = mb.while_loop(_cond=lambda i, _: mb.less(x=i, y=limit), _body=step, loop_vars=(np.int32(0), first))
        return grown, mb.shape(x=grown), mb.reduce_sum(x=grown, axes=[0], keep_dims=False)

    expected = np.stack([X, *(X * np.float32(i) for i in range(count))])
    grown, shape, total = run(body, {"x": X, "count": count_of(count)})
    np.testing.assert_array_equal(grown, expected)
    assert shape.tolist() == [count + 1, 3]
    np.testing.assert_allclose(total, expected.sum(axis=0), rtol=1e-6)


@pytest.mark.parametrize("limit", [0.0, 3.0])
def test_a_condition_of_one_element(run, limit) -> None:
    def body(mb, x, limit):
        return mb.while_loop(_cond=lambda value: mb.less(x=value, y=limit), _body=lambda value: mb.add(x=value, y=1.0), loop_vars=(x,))

    assert run(body, {"x": np.asarray([0.5], np.float32), "limit": np.asarray([limit], np.float32)})[0].tolist() == [max(0.5, limit + 0.5)]


def test_a_condition_that_is_true_at_first_and_constant(run) -> None:
    def body(mb, x):
        first = (mb.const(val=np.asarray(1, bool)[()]), x)

        def step(go, value):
            return (mb.logical_and(x=go, y=mb.less(x=mb.reduce_max(x=value, keep_dims=False), y=20.0)), mb.mul(x=value, y=2.0))

        return mb.while_loop(_cond=lambda go, _: mb.logical_not(x=mb.logical_not(x=go)), _body=step, loop_vars=first)[1]

    np.testing.assert_array_equal(run(body, {"x": X})[0], X * 32)


def test_cond_inside_a_loop(run) -> None:
    def body(mb, x):
        def inner(i, value):
            even = mb.equal(x=mb.mod(x=i, y=2), y=0)
            changed = mb.cond(pred=even, _true_fn=lambda: mb.add(x=value, y=x), _false_fn=lambda: mb.mul(x=value, y=3.0))
            return mb.add(x=i, y=1), changed

        return mb.while_loop(_cond=lambda i, _: mb.less(x=i, y=4), _body=inner, loop_vars=(np.int32(0), x))[1]

    (result,) = run(body, {"x": X})
    np.testing.assert_array_equal(result, ((X + X) * 3 + X) * 3)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("count", [0, 3])
def test_loops_inside_a_loop_inside_a_cond(run, sign, count) -> None:
    def body(mb, x, count):
        limit, weight = scalar(mb, count), np.arange(9, dtype=np.float32).reshape(3, 3)

        def outer(i, value):
            # The inner loop counts to the outer's counter, with a weight of its own block and values of all blocks around it.
            def inner(j, inside):
                return (mb.add(x=j, y=1), mb.add(x=mb.squeeze(x=mb.matmul(x=mb.expand_dims(x=inside, axes=[0]), y=weight), axes=[0]), y=x))

            _, inside = mb.while_loop(_cond=lambda j, _: mb.less(x=j, y=i), _body=inner, loop_vars=(np.int32(0), value))
            return mb.add(x=i, y=1), inside

        def looped():
            return mb.while_loop(_cond=lambda i, _: mb.less(x=i, y=limit), _body=outer, loop_vars=(np.int32(0), x))[1]

        return mb.cond(pred=positive(mb, x), _true_fn=looped, _false_fn=lambda: mb.mul(x=x, y=-1.0))

    x = np.abs(X) * np.float32(sign)
    expected = x if sign > 0 else -x
    for i in range(count if sign > 0 else 0):
        for _ in range(i):
            expected = expected @ np.arange(9, dtype=np.float32).reshape(3, 3) + x
    np.testing.assert_allclose(run(body, {"x": x, "count": count_of(count)})[0], expected, rtol=1e-6)


def test_compressed_weights_inside_blocks(run) -> None:
    levels, scale = RANDOM.integers(-128, 128, (3, 200)).astype(np.int8), np.float32(0.01)

    def body(mb, x):
        def step(i, value):
            weight = mb.constexpr_affine_dequantize(quantized_data=levels, zero_point=np.int8(3), scale=scale, axis=np.int32(0))
            wide = mb.matmul(x=mb.expand_dims(x=value, axes=[0]), y=weight)
            narrow = mb.squeeze(x=mb.matmul(x=wide, y=weight, transpose_y=True), axes=[0])
            return mb.add(x=i, y=1), mb.mul(x=narrow, y=np.float32(0.01))

        return mb.while_loop(_cond=lambda i, _: mb.less(x=i, y=3), _body=step, loop_vars=(np.int32(0), x))[1]

    weight = (levels.astype(np.float64) - 3) * 0.01
    expected = X.astype(np.float64)
    for _ in range(3):
        expected = expected @ weight @ weight.T * 0.01
    np.testing.assert_allclose(run(body, {"x": X})[0], expected, rtol=1e-4)


def test_recurrent_layers_inside_blocks(mil, run) -> None:
    """An LSTM of a varying number of steps, called in every round and in one branch, each time with the states of the last."""
    w, r = (RANDOM.standard_normal((8, size)).astype(np.float32) for size in (3, 2))
    steps = RANDOM.standard_normal((4, 1, 3)).astype(np.float32)
    options = {"shapes": {"x": (mil.symbol(), 1, 3)}, "inputs": [mil.ct.TensorType("x", shape=(mil.ct.RangeDim(1, 8), 1, 3))]}

    def layer(mb, x, h, c):
        return mb.lstm(x=x, initial_h=h, initial_c=c, weight_ih=w, weight_hh=r)[1:]

    def body(mb, x):
        zeros = np.zeros((1, 2), np.float32)

        def step(i, h, c):
            even = mb.equal(x=mb.mod(x=i, y=2), y=0)
            h, c = mb.cond(pred=even, _true_fn=lambda: layer(mb, x, h, c), _false_fn=lambda: (mb.mul(x=h, y=2.0), c))
            return mb.add(x=i, y=1), h, c

        _, h, c = mb.while_loop(_cond=lambda i, *_: mb.less(x=i, y=3), _body=step, loop_vars=(np.int32(0), zeros, zeros))
        return h, c

    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    h, c = np.zeros((1, 2)), np.zeros((1, 2))
    for number in range(3):
        if number == 1:
            h = 2 * h
            continue
        for each in steps:
            i, f, o, z = np.split(each @ w.T + h @ r.T, 4, axis=1)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(z)
            h = sigmoid(o) * np.tanh(c)
    for result, value in zip(run(body, {"x": steps}, **options), (h, c), strict=True):
        np.testing.assert_allclose(result, value, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("sign", [1, -1])
def test_lists_that_a_cond_chooses(run, sign) -> None:
    def body(mb, x):
        items = mb.make_list(init_length=np.int32(1), elem_shape=(np.int32(3),), dtype="fp32")

        def write(place):
            return lambda: mb.list_write(ls=items, index=np.int32(place), value=x)

        chosen = mb.cond(pred=positive(mb, x), _true_fn=write(0), _false_fn=write(2))
        return mb.list_length(ls=chosen), mb.list_gather(ls=chosen, indices=np.asarray([0], np.int32))

    x = np.abs(X) * np.float32(sign)
    length, first = run(body, {"x": x})
    assert length.tolist() == [1 if sign > 0 else 3]
    np.testing.assert_array_equal(first, [x if sign > 0 else 0 * x])


def test_float16_rounds_in_every_round(run) -> None:
    def body(mb, x):
        start = mb.cast(x=x, dtype="fp16")
        value = mb.while_loop(
            _cond=lambda i, _: mb.less(x=i, y=6), _body=lambda i, value: (mb.add(x=i, y=1), mb.mul(x=value, y=np.float16(1.1))), loop_vars=(np.int32(0), start)
        )[1]
        return mb.cast(x=value, dtype="fp32")

    expected = X.astype(np.float16)
    for _ in range(6):
        expected = (expected.astype(np.float32) * np.float32(np.float16(1.1))).astype(np.float16)
    np.testing.assert_array_equal(run(body, {"x": X}, precision="float16")[0], expected.astype(np.float32))


def test_every_cast_of_a_float16_loop_survives_optimisation(mil, tmp_path) -> None:
    import onnx

    def body(mb, x):
        def rounds(i, value):
            return (mb.add(x=i, y=1), mb.mul(x=mb.add(x=value, y=np.float16(0.1)), y=np.float16(1.1)))

        return mb.cast(x=mb.while_loop(_cond=lambda i, _: mb.less(x=i, y=6), _body=rounds, loop_vars=(np.int32(0), x))[1], dtype="fp32")

    path = mil.save(body, {"x": X.astype(np.float16)}, tmp_path / "model.mlpackage")
    lowered, _ = lower(read_model(path), Precision.FLOAT16)
    optimized = tmp_path / "optimized.onnx"
    Executable(lowered.graph, optimized_model=optimized)
    (loop,) = [node for node in onnx.load(optimized).graph.node if node.op_type == "Loop"]
    (block,) = [attribute.g for attribute in loop.attribute if attribute.name == "body"]
    assert sum(node.op_type == "Cast" for node in block.node) == 2 * 2


def test_a_classifier_after_a_loop(mil, tmp_path) -> None:
    def body(mb, x):
        def rounds(i, value):
            return (mb.add(x=i, y=1), mb.mul(x=value, y=2.0))

        scores = mb.while_loop(_cond=lambda i, _: mb.less(x=i, y=2), _body=rounds, loop_vars=(np.int32(0), x))[1]
        return mb.softmax(x=scores, name="scores")

    config = mil.ct.ClassifierConfig(["a", "b", "c"], predicted_feature_name="label")
    path = mil.save(body, {"x": X}, tmp_path / "model.mlpackage", classifier_config=config)
    assert load_model(path).predict({"x": X})["label"] == "a"


def test_what_cannot_run_inside_a_block_is_listed_too(run) -> None:
    def body(mb, x):
        return mb.cond(pred=positive(mb, x), _true_fn=lambda: mb.relu(x=x, name="inner"), _false_fn=lambda: mb.mul(x=x, y=2.0))

    def edit(spec):
        (function,) = spec.mlProgram.functions.values()
        for operation in function.block_specializations[function.opset].operations:
            for block in operation.blocks:
                for inner in block.operations:
                    inner.type = inner.type.replace("relu", "no_such_operation")

    with pytest.raises(NotExecutable, match="1 layer: no_such_operation 'inner'"):
        run(body, {"x": X}, edit=edit)
