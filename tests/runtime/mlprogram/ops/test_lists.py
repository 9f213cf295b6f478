"""Lists: what is written is read, gathered and counted, also in loops and past the end."""

from __future__ import annotations

import numpy as np
import pytest

from mlpipe.errors import InvalidInput, NotExecutable

X = np.arange(12, dtype=np.float32).reshape(4, 3)
ROW = np.asarray([7.0, 8.0, 9.0], np.float32)


def index(value):
    return np.asarray([value], np.int32)


def scalar(mb, x):
    return mb.squeeze(x=x, axes=[0])


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

    read, gathered, length, longer = run(body, {"x": X, "row": ROW})
    np.testing.assert_array_equal(read, X[0])
    np.testing.assert_array_equal(gathered, np.stack([X[1], ROW, np.zeros(3), X[3]]))
    assert (length.tolist(), longer.tolist()) == ([6], [8])


@pytest.mark.parametrize("count", [0, 1, 3])
@pytest.mark.parametrize("dynamic", [True, False])
def test_length_that_is_computed(run, count, dynamic) -> None:
    def body(mb, count, row):
        length = scalar(mb, count)
        items = mb.make_list(init_length=length, dynamic_length=dynamic, elem_shape=(np.int32(3),), dtype="fp32")
        if dynamic:
            items = mb.list_write(ls=items, index=length, value=row)
        every = mb.range_1d(start=np.int32(0), end=mb.list_length(ls=items), step=np.int32(1))
        return mb.list_gather(ls=items, indices=every), mb.list_length(ls=items)

    gathered, length = run(body, {"count": index(count), "row": ROW})
    expected = np.zeros((count, 3), np.float32)
    if dynamic:
        expected = np.concatenate([expected, ROW[None]])
    np.testing.assert_array_equal(gathered, expected)
    assert length.tolist() == [len(expected)]


TYPES = {
    "fp32": (np.float32, [1.5, -2.0]),
    "fp16": (np.float16, [1.5, -2.0]),
    "int32": (np.int32, [16777217, -5]),
    "bool": (np.bool_, [True, False]),
}


@pytest.mark.parametrize("name", TYPES)
def test_element_types(run, name) -> None:
    dtype, values = TYPES[name]

    def body(mb, x):
        items = mb.make_list(init_length=np.int32(1), elem_shape=(np.int32(2),), dtype=name)
        items = mb.list_write(ls=items, index=np.int32(2), value=mb.cast(x=x, dtype=name))
        gathered = mb.list_gather(ls=items, indices=np.asarray([2, 0], np.int32))
        return mb.cast(x=gathered, dtype="int32") if name in ("bool", "int32") else mb.cast(x=gathered, dtype="fp32")

    feed = np.asarray(values, np.int32 if name in ("int32", "bool") else np.float32)
    np.testing.assert_array_equal(run(body, {"x": feed})[0], np.stack([feed, np.zeros(2)]).astype(dtype))


def test_elements_without_dimensions(run) -> None:
    def body(mb, x):
        items = mb.make_list(init_length=np.int32(2), elem_shape=(), dtype="fp32")
        # coremltools lets nobody write a single number, only scatter several.
        items = mb.list_scatter(ls=items, indices=np.asarray([3, 0, 1], np.int32), value=x)
        return mb.list_gather(ls=items, indices=np.arange(4, dtype=np.int32)), mb.list_read(ls=items, index=np.int32(3))

    gathered, read = run(body, {"x": ROW})
    assert gathered.tolist() == [8.0, 9.0, 0.0, 7.0]
    assert read.tolist() == [7.0]


@pytest.mark.parametrize("rows", [1, 2, 5])
def test_elements_whose_shape_is_known_at_run_time(mil, run, rows) -> None:
    number = mil.symbol()
    x = np.arange(rows * 3, dtype=np.float32).reshape(rows, 3)
    options = {"shapes": {"x": (number, 3)}, "inputs": [mil.ct.TensorType("x", shape=(mil.ct.RangeDim(1, 8), 3))]}

    def body(mb, x):
        items = mb.make_list(init_length=np.int32(1), elem_shape=(str(number), np.int32(3)), dtype="fp32")
        items = mb.list_write(ls=items, index=np.int32(4), value=x)
        items = mb.list_scatter(ls=items, indices=np.asarray([2], np.int32), value=mb.expand_dims(x=mb.mul(x=x, y=2.0), axes=[0]))
        return mb.list_gather(ls=items, indices=np.asarray([4, 2, 3, 0], np.int32)), mb.list_read(ls=items, index=np.int32(2)), mb.list_length(ls=items)

    gathered, read, length = run(body, {"x": x}, **options)
    np.testing.assert_array_equal(gathered, np.stack([x, 2 * x, 0 * x, 0 * x]))
    np.testing.assert_array_equal(read, 2 * x)
    assert length.tolist() == [5]


def test_elements_of_two_shapes_are_an_error(mil, run) -> None:
    number = mil.symbol()
    options = {"shapes": {"x": (number,)}, "inputs": [mil.ct.TensorType("x", shape=(mil.ct.RangeDim(1, 8),))]}

    def body(mb, x):
        items = mb.make_list(init_length=np.int32(2), elem_shape=(str(number),), dtype="fp32")
        items = mb.list_write(ls=items, index=np.int32(0), value=x)
        items = mb.list_write(ls=items, index=np.int32(1), value=mb.concat(values=(x, x), axis=0))
        return mb.list_read(ls=items, index=np.int32(0))

    with pytest.raises(InvalidInput, match="cannot compute these inputs"):
        run(body, {"x": ROW}, **options)


ROWS = [
    ("read", -1, True),
    ("read", 2, True),
    ("gather", -1, True),
    ("gather", 2, True),
    ("write", -1, True),
    ("write", 2, False),
    ("write", -1, False),
    ("scatter", -2, True),
    ("scatter", 2, False),
]


@pytest.mark.parametrize(("action", "place", "dynamic"), ROWS)
@pytest.mark.parametrize("constant", [True, False])
def test_out_of_range(run, action, place, dynamic, constant) -> None:
    def body(mb, place_fed, row):
        items = mb.make_list(init_length=np.int32(2), dynamic_length=dynamic, elem_shape=(np.int32(3),), dtype="fp32")
        places = index(place) if constant else place_fed
        place_here = np.int32(place) if constant else scalar(mb, place_fed)
        if action == "read":
            return mb.list_read(ls=items, index=place_here)
        if action == "gather":
            return mb.list_gather(ls=items, indices=places)
        if action == "write":
            items = mb.list_write(ls=items, index=place_here, value=row)
        else:
            items = mb.list_scatter(ls=items, indices=places, value=mb.expand_dims(x=row, axes=[0]))
        return mb.list_read(ls=items, index=np.int32(1))

    with pytest.raises(InvalidInput, match="cannot compute these inputs"):
        run(body, {"place_fed": index(place), "row": ROW})


def test_nothing_scattered(mil, run) -> None:
    number = mil.symbol()
    options = {"shapes": {"x": (number, 3)}, "inputs": [mil.ct.TensorType("x", shape=(mil.ct.RangeDim(1, 8), 3))]}

    def body(mb, x):
        places = mb.squeeze(x=mb.non_zero(x=mb.reduce_sum(x=x, axes=[1])), axes=[1])
        items = mb.make_list(init_length=np.int32(2), elem_shape=(np.int32(3),), dtype="fp32")
        items = mb.list_scatter(ls=items, indices=places, value=mb.gather(x=x, indices=places, axis=0))
        return mb.list_gather(ls=items, indices=np.asarray([0, 1], np.int32)), mb.list_length(ls=items)

    for x, expected in ((np.zeros((3, 3), np.float32), np.zeros((2, 3))), (X[:3], np.stack([X[0], X[1]]))):
        gathered, length = run(body, {"x": x}, **options)
        np.testing.assert_array_equal(gathered, expected)
        assert length.tolist() == [2 if not x.any() else 3]


@pytest.mark.parametrize(("start", "dynamic"), [(1, True), (4, True), (4, False)])
def test_a_loop_that_collects_its_steps(run, start, dynamic) -> None:
    def body(mb, x):
        source = mb.make_list(init_length=np.int32(4), dynamic_length=False, elem_shape=(np.int32(3),), dtype="fp32")
        source = mb.list_scatter(ls=source, indices=np.arange(4, dtype=np.int32), value=x)
        steps = mb.make_list(init_length=np.int32(start), dynamic_length=dynamic, elem_shape=(np.int32(3),), dtype="fp32")

        def step(i, total, steps):
            total = mb.add(x=total, y=mb.list_read(ls=source, index=i))
            return mb.add(x=i, y=1), total, mb.list_write(ls=steps, index=i, value=total)

        variables = (np.int32(0), np.zeros(3, np.float32), steps)
        _, _, steps = mb.while_loop(_cond=lambda i, _total, _steps: mb.less(x=i, y=4), _body=step, loop_vars=variables)
        return mb.list_gather(ls=steps, indices=np.arange(4, dtype=np.int32))

    np.testing.assert_array_equal(run(body, {"x": X})[0], np.cumsum(X, axis=0))


def test_a_list_of_fixed_length_does_not_grow_in_a_loop(run) -> None:
    def body(mb, row):
        items = mb.make_list(init_length=np.int32(3), dynamic_length=False, elem_shape=(np.int32(3),), dtype="fp32")

        def step(i, items):
            return mb.add(x=i, y=1), mb.list_write(ls=items, index=i, value=row)

        _, items = mb.while_loop(_cond=lambda i, _: mb.less(x=i, y=4), _body=step, loop_vars=(np.int32(0), items))
        return mb.list_read(ls=items, index=np.int32(2))

    with pytest.raises(InvalidInput, match="cannot compute these inputs"):
        run(body, {"row": ROW})


def test_a_loop_may_not_exchange_a_list_of_fixed_length(run) -> None:
    def body(mb, row):
        items = mb.make_list(init_length=np.int32(3), dynamic_length=False, elem_shape=(np.int32(3),), dtype="fp32")
        other = mb.make_list(init_length=np.int32(1), dynamic_length=True, elem_shape=(np.int32(3),), dtype="fp32")

        def step(i, items):
            del items
            return mb.add(x=i, y=1), mb.list_write(ls=other, index=i, value=row)

        _, items = mb.while_loop(_cond=lambda i, _: mb.less(x=i, y=4), _body=step, loop_vars=(np.int32(0), items))
        return mb.list_read(ls=items, index=np.int32(2))

    with pytest.raises(NotExecutable, match="another list in the place of one of fixed length"):
        run(body, {"row": ROW})
