"""The layers that overflow float16 are named, first causes first, with what float32 has in the same places."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mlpipe.runtime import load_model
from mlpipe.runtime.overflow import Extent, find_overflows
from mlpipe.runtime.taps import Taps

HALF = np.float16
X = np.asarray([[1, 100, -250], [300, 2, -0.5]], HALF)


@pytest.fixture
def load(mil, tmp_path):
    def load_body(body, feed, *, precision="float32", **options):
        return load_model(mil.save(body, feed, tmp_path / "model.mlpackage", **options), precision=precision)

    return load_body


def found(model, *feeds):
    return [(each.name, each.type, each.extent.name, each.count, each.largest, each.float32) for each in find_overflows(model, feeds)]


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_the_layer_that_makes_infinities_is_named_and_those_that_pass_them_on_are_not(load, precision) -> None:
    def body(mb, x):
        square = mb.mul(x=x, y=x, name="square")
        moved = mb.transpose(x=mb.relu(x=square, name="relu"), perm=[1, 0], name="moved")
        return mb.add(x=moved, y=HALF(1), name="sum")

    model = load(body, {"x": X}, precision=precision)
    assert found(model, {"x": X}) == [("square", "mul", "INFINITE", 1, 62496, 90000)]
    assert model.overflows({"x": X}) == find_overflows(model, [{"x": X}])
    assert model.precision == precision
    assert found(model, {"x": X / HALF(2)}) == []


def test_a_later_cause_of_its_own_is_named_after_the_first(load) -> None:
    def body(mb, x):
        square = mb.mul(x=x, y=x, name="square")
        return mb.sub(x=square, y=square, name="nothing"), mb.mul(x=x, y=HALF(1000), name="apart")

    model = load(body, {"x": X})
    assert [each[:4] for each in found(model, {"x": X})] == [
        ("square", "mul", "INFINITE", 1),
        ("nothing", "sub", "NAN", 1),
        ("apart", "mul", "INFINITE", 3),
    ]
    (_, nothing, apart) = model.overflows({"x": X})
    assert (nothing.float32, apart.float32) == (0, 300000)
    assert nothing.largest == 0
    assert str(apart) == "apart (mul) becomes infinite in 3 elements, where float32 has up to 3e+05"


@pytest.mark.parametrize(("value", "named"), [(32736, False), (32752, True), (-32752, True), (65504, True)])
def test_values_within_a_factor_of_two_of_the_end_are_named(load, value, named) -> None:
    model = load(lambda mb, x: mb.relu(x=mb.add(x=x, y=HALF(0), name="same")), {"x": np.zeros(2, HALF)})
    result = find_overflows(model, [{"x": np.asarray([value, 1], HALF)}])
    # What is fed is as large: no layer made it.
    assert [each.name for each in result] == []
    doubled = load(lambda mb, x: mb.relu(x=mb.mul(x=x, y=HALF(2), name="doubled")), {"x": np.zeros(2, HALF)})
    result = find_overflows(doubled, [{"x": np.asarray([value / 2, 1], HALF)}])
    assert [(each.name, each.extent, each.largest, each.float32) for each in result] == ([("doubled", Extent.NEAR, abs(value), abs(value))] if named else [])
    if named:
        assert str(result[0]) == f"doubled (mul) comes near the end of float16 in 1 element: up to {abs(value)} of 65504"


def test_every_layer_that_makes_large_numbers_of_its_own_is_named(load) -> None:
    def body(mb, x):
        first = mb.mul(x=x, y=HALF(40), name="first")
        return mb.mul(x=mb.relu(x=first), y=HALF(1.5), name="second")

    assert found(load(body, {"x": X[:1]}), {"x": np.asarray([[1000, 1, 0]], HALF)}) == [
        ("first", "mul", "NEAR", 1, 40000, 40000),
        ("second", "mul", "NEAR", 1, 60000, 60000),
    ]


def test_infinities_that_float32_has_too_are_said_to_be_there(load) -> None:
    model = load(lambda mb, x: mb.log(x=mb.relu(x=x), name="log", epsilon=HALF(0)), {"x": X})
    (log,) = model.overflows({"x": X})
    assert (log.name, log.extent, log.count, log.float32) == ("log", Extent.INFINITE, 2, math.inf)


def test_an_infinite_constant_is_no_cause_but_what_becomes_of_it_may_be(load) -> None:
    def body(mb, x):
        masked = mb.select(cond=mb.greater(x=x, y=HALF(0)), a=x, b=np.full((2, 3), -np.inf, HALF), name="masked")
        return mb.softmax(x=masked, axis=1), mb.mul(x=mb.relu(x=x, name="relu"), y=HALF(-np.inf), name="penalty")

    (penalty,) = load(body, {"x": X}).overflows({"x": X})
    assert (penalty.name, penalty.extent, penalty.count) == ("penalty", Extent.NAN, 2)
    assert math.isnan(penalty.float32)


def test_only_what_is_declared_float16_overflows_it(load) -> None:
    def body(mb, x):
        wide = mb.mul(x=mb.cast(x=x, dtype="fp32"), y=np.float32(1e6), name="wide")
        return mb.mul(x=wide, y=np.float32(1e-6)), mb.exp(x=wide, name="infinite in any case"), mb.cast(x=wide, dtype="fp16", name="narrow")

    assert found(load(body, {"x": X}), {"x": X}) == [("narrow", "cast", "INFINITE", 6, 0, 3e8)]


def test_what_is_fed_beyond_the_end_is_named_as_an_input(load) -> None:
    def body(mb, x):
        return mb.relu(x=x)

    model = load(body, {"x": X})
    assert [each[:4] for each in found(model, {"x": np.full((2, 3), 7e4)})] == [("x", "input", "INFINITE", 6)]
    assert found(model, {"x": np.full((2, 3), -np.inf)}) == []


@pytest.mark.parametrize("flag", [0, 1])
def test_blocks_are_named_as_a_whole(load, flag) -> None:
    def body(mb, x, flag):
        yes = mb.greater(x=mb.squeeze(x=flag), y=0)
        return mb.cond(
            pred=yes, _true_fn=lambda: mb.relu(x=mb.mul(x=x, y=x), name="inside"), _false_fn=lambda: mb.add(x=x, y=HALF(1)), name="chosen"
        ), mb.while_loop(
            _cond=lambda i, _: mb.less(x=i, y=8), _body=lambda i, value: (mb.add(x=i, y=1), mb.mul(x=value, y=HALF(2))), loop_vars=(np.int32(0), x), name="loop"
        )[1]

    feed = {"x": X, "flag": np.asarray([flag], np.int32)}
    expected = [("chosen", "cond", "INFINITE", 1, 62496, 90000)] if flag else []
    assert found(load(body, feed), feed) == [*expected, ("loop_1", "while_loop", "INFINITE", 1, 64000, 76800)]


def test_samples_are_counted_together_and_named(load) -> None:
    model = load(lambda mb, x: mb.mul(x=x, y=x, name="square"), {"x": X})
    small, large = {"x": X / HALF(4)}, {"x": X * HALF(2)}
    (square,) = find_overflows(model, [small, large, {"x": X}])
    assert (square.name, square.count, square.float32, square.samples) == ("square", 3, 360000, (1, 2))
    assert find_overflows(model, []) == []


def test_a_state_starts_with_zeros(mil, tmp_path) -> None:
    def body(mb, total, x):
        return mb.coreml_update_state(state=total, value=mb.add(x=mb.mul(x=mb.read_state(input=total), y=x), y=HALF(6e4), name="sum"))

    model = load_model(mil.save(body, {"x": X}, tmp_path / "model.mlpackage", opset="iOS18", states={"total": (2, 3)}))
    assert [(each.name, each.extent) for each in model.overflows({"x": X})] == [("sum", Extent.NEAR)]


def test_memory_is_bounded_by_parts(load, monkeypatch) -> None:
    def body(mb, x):
        return tuple(mb.mul(x=x, y=HALF(16 * factor), name=f"times{factor}") for factor in (1, 9, 16))

    model = load(body, {"x": X})
    whole = found(model, {"x": X})
    assert [each[:4] for each in whole] == [("times9", "mul", "NEAR", 2), ("times16", "mul", "INFINITE", 1)]
    sizes = []
    original = Taps.parts
    monkeypatch.setattr(Taps, "parts", lambda self, *args, **options: original(self, *args, **{**options, "limit_bytes": 30}))
    run = Taps.predict_arrays
    monkeypatch.setattr(Taps, "predict_arrays", lambda self, *args, **options: (sizes.append(len(self.values)), run(self, *args, **options))[1])
    assert found(model, {"x": X}) == whole
    assert set(sizes) == {1}
