"""Conditions and loops, with values captured from outside, nested, rounded, and reporting what they cannot run."""

from __future__ import annotations

import numpy as np
import pytest

from mlpipe.errors import NotExecutable

X = np.asarray([1.5, -2.0, 0.25], np.float32)


@pytest.mark.parametrize("sign", [1, -1])
def test_cond(run, sign) -> None:
    def body(mb, x):
        doubled = mb.mul(x=x, y=2.0)
        positive = mb.greater(x=mb.reduce_sum(x=x, keep_dims=False), y=0.0)
        return mb.cond(pred=positive, _true_fn=lambda: (mb.add(x=doubled, y=x), doubled), _false_fn=lambda: (mb.sub(x=doubled, y=1.0), x))

    x = np.abs(X) * np.float32(sign)
    expected = (3 * x, 2 * x) if sign > 0 else (2 * x - 1, x)
    for result, value in zip(run(body, {"x": x}), expected, strict=True):
        np.testing.assert_array_equal(result, value)


@pytest.mark.parametrize("count", [0, 1, 5])
def test_while_loop(run, count) -> None:
    def body(mb, x, count):
        limit = mb.squeeze(x=count, axes=[0])
        return mb.while_loop(
            _cond=lambda i, _: mb.less(x=i, y=limit),
            _body=lambda i, value: (mb.add(x=i, y=1), mb.add(x=mb.mul(x=value, y=2.0), y=x)),
            loop_vars=(np.int32(0), x),
        )

    steps, value = run(body, {"x": X, "count": np.asarray([count], np.int32)})
    assert steps.tolist() == [count]
    np.testing.assert_array_equal(value, X * (2 ** (count + 1) - 1))


def test_nested(run) -> None:
    def body(mb, x):
        def inner(i, value):
            even = mb.equal(x=mb.mod(x=i, y=2), y=0)
            changed = mb.cond(pred=even, _true_fn=lambda: mb.add(x=value, y=x), _false_fn=lambda: mb.mul(x=value, y=3.0))
            return mb.add(x=i, y=1), changed

        return mb.while_loop(_cond=lambda i, _: mb.less(x=i, y=4), _body=inner, loop_vars=(np.int32(0), x))[1]

    (result,) = run(body, {"x": X})
    np.testing.assert_array_equal(result, ((X + X) * 3 + X) * 3)


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


def test_what_cannot_run_inside_a_block_is_listed_too(run) -> None:
    def body(mb, x):
        positive = mb.greater(x=mb.reduce_sum(x=x, keep_dims=False), y=0.0)
        return mb.cond(pred=positive, _true_fn=lambda: mb.erf(x=x, name="inside"), _false_fn=lambda: mb.relu(x=x))

    def edit(spec):
        function = spec.mlProgram.functions["main"]
        for operation in function.block_specializations[function.opset].operations:
            if operation.type == "cond":
                (inner,) = operation.blocks[0].operations
                inner.type = "unheard_of"

    with pytest.raises(NotExecutable, match="1 layer: unheard_of 'inside'"):
        run(body, {"x": X}, edit=edit)
