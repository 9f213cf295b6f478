"""Lists: what is written is read, gathered and counted, also in loops and past the end."""

from __future__ import annotations

import numpy as np
import pytest

X = np.arange(12, dtype=np.float32).reshape(4, 3)


def test_scatter_write_read_gather_and_length(run) -> None:
    def body(mb, x, row):
        items = mb.make_list(init_length=np.int32(2), dynamic_length=True, elem_shape=(np.int32(3),), dtype="fp32")
        items = mb.list_scatter(ls=items, indices=np.asarray([3, 0, 1, 5], np.int32), value=x)
        items = mb.list_write(ls=items, index=np.int32(1), value=row)
        longer = mb.list_write(ls=items, index=np.int32(7), value=row)
        return (
            mb.list_read(ls=items, index=np.int32(3)),
            mb.list_gather(ls=items, indices=np.asarray([0, 1, 2, 5], np.int32)),
            mb.list_length(ls=items),
            mb.list_length(ls=longer),
        )

    row = np.asarray([7.0, 8.0, 9.0], np.float32)
    read, gathered, length, longer = run(body, {"x": X, "row": row})
    np.testing.assert_array_equal(read, X[0])
    np.testing.assert_array_equal(gathered, np.stack([X[1], row, np.zeros(3), X[3]]))
    assert (length.tolist(), longer.tolist()) == ([6], [8])


@pytest.mark.parametrize("start", [1, 4], ids=["growing", "allocated"])
def test_a_loop_that_collects_its_steps(run, start) -> None:
    def body(mb, x):
        source = mb.make_list(init_length=np.int32(4), dynamic_length=False, elem_shape=(np.int32(3),), dtype="fp32")
        source = mb.list_scatter(ls=source, indices=np.arange(4, dtype=np.int32), value=x)
        steps = mb.make_list(init_length=np.int32(start), dynamic_length=True, elem_shape=(np.int32(3),), dtype="fp32")

        def step(i, total, steps):
            total = mb.add(x=total, y=mb.list_read(ls=source, index=i))
            return mb.add(x=i, y=1), total, mb.list_write(ls=steps, index=i, value=total)

        variables = (np.int32(0), np.zeros(3, np.float32), steps)
        _, _, steps = mb.while_loop(_cond=lambda i, _total, _steps: mb.less(x=i, y=4), _body=step, loop_vars=variables)
        return mb.list_gather(ls=steps, indices=np.arange(4, dtype=np.int32))

    np.testing.assert_array_equal(run(body, {"x": X})[0], np.cumsum(X, axis=0))
