"""States: what a model remembers between predictions, read, written, rounded, checked, and changed in blocks."""

from __future__ import annotations

import textwrap

import numpy as np
import pytest

from mlpipe.errors import InvalidInput, NotExecutable
from mlpipe.runtime import load_model, open_model
from mlpipe.runtime.features import Feature, Sizes
from mlpipe.runtime.state import RuntimeState

HALF = np.float16


def accumulate(mb, total, x):
    return mb.coreml_update_state(state=total, value=mb.add(x=mb.read_state(input=total), y=x))


@pytest.fixture
def build(mil, tmp_path):
    """Return a function that loads a program with states of these shapes."""

    def load(body, feed, states, *, precision="float32", edit=None):
        return load_model(mil.save(body, feed, tmp_path / "model.mlpackage", opset="iOS18", states=states, edit=edit), precision=precision)

    return load


@pytest.fixture
def accumulator(build):
    return build(accumulate, {"x": np.zeros((2, 3), HALF)}, {"total": (2, 3)})


def test_a_state_starts_as_zeros_and_keeps_what_predictions_write(accumulator) -> None:
    first, second = accumulator.make_state(), accumulator.make_state()
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    for times in (1, 2, 3):
        np.testing.assert_array_equal(accumulator.predict({"x": x}, state=first)["out0"], times * x)
    np.testing.assert_array_equal(accumulator.predict_arrays({"x": x}, state=second)["out0"], x)
    np.testing.assert_array_equal(first.read_state("total"), 3 * x)
    np.testing.assert_array_equal(second.read_state("total"), x)
    assert first.read_state("total").dtype == np.float32


def test_a_state_may_be_written_by_the_caller(accumulator) -> None:
    state = accumulator.make_state()
    value = np.full((2, 3), 0.1)
    state.write_state("total", value)
    np.testing.assert_array_equal(state.read_state("total"), value.astype(HALF).astype(np.float32))
    state.read_state("total")[:] = 7
    value[:] = 9
    np.testing.assert_array_equal(accumulator.predict({"x": np.zeros((2, 3))}, state=state)["out0"], np.full((2, 3), HALF(0.1), np.float32))


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_a_float16_state_is_rounded_at_every_write(build, precision) -> None:
    model = build(accumulate, {"x": np.zeros(2, HALF)}, {"total": (2,)}, precision=precision)
    state, x, expected = model.make_state(), np.asarray([0.1, 2049.0], HALF), np.zeros(2, HALF)
    for _ in range(20):
        result = model.predict({"x": x}, state=state)["out0"]
        expected += x
        np.testing.assert_array_equal(result, expected.astype(np.float32))


def test_what_was_read_before_a_write_stays(build) -> None:
    def body(mb, a, b, x):
        before = mb.read_state(input=a)
        mb.coreml_update_state(state=a, value=x)
        mb.coreml_update_state(state=b, value=mb.mul(x=before, y=HALF(2)))
        return before, mb.read_state(input=a), mb.read_state(input=b)

    model = build(body, {"x": np.zeros(2, HALF)}, {"a": (2,), "b": (2,)})
    state = model.make_state()
    results = [[value[0] for value in model.predict({"x": np.full(2, number)}, state=state).values()] for number in (1, 5, 7)]
    assert results == [[0, 1, 0], [1, 5, 2], [5, 7, 10]]


def test_a_model_without_inputs_and_a_state_that_is_only_read(build) -> None:
    model = build(lambda mb, s: mb.read_state(input=s), {}, {"s": (3,)})
    state = model.make_state()
    assert model.predict({}, state=state)["out0"].tolist() == [0, 0, 0]
    state.write_state("s", [1, 2, 3])
    assert model.predict({}, state=state)["out0"].tolist() == [1, 2, 3]


@pytest.mark.parametrize("sign", [1, -1])
def test_a_state_that_one_branch_changes(build, sign) -> None:
    def body(mb, s, t, x):
        positive = mb.greater(x=mb.reduce_sum(x=x, keep_dims=False), y=HALF(0))
        chosen = mb.cond(
            pred=positive,
            _true_fn=lambda: mb.coreml_update_state(state=s, value=mb.add(x=mb.read_state(input=s), y=x)),
            _false_fn=lambda: mb.add(x=mb.read_state(input=s), y=mb.coreml_update_state(state=t, value=x)),
        )
        return chosen, mb.read_state(input=s), mb.read_state(input=t)

    model = build(body, {"x": np.zeros(2, HALF)}, {"s": (2,), "t": (2,)})
    state, x = model.make_state(), np.asarray([3, 4], np.float32) * sign
    zero, ten = np.zeros(2), np.full(2, 10)
    state.write_state("s", ten)
    results = list(model.predict({"x": x}, state=state).values())
    expected = [10 + x, 10 + x, zero] if sign > 0 else [10 + x, ten, x]
    np.testing.assert_array_equal(results, expected)
    np.testing.assert_array_equal([state.read_state("s"), state.read_state("t")], expected[1:])


@pytest.mark.parametrize("count", [0, 1, 4])
def test_a_state_that_a_loop_changes(build, count) -> None:
    def body(mb, s, x, count):
        limit = mb.squeeze(x=count, axes=[0])

        def inside(i, value):
            held = mb.coreml_update_state(state=s, value=mb.add(x=mb.read_state(input=s), y=x))
            return mb.add(x=i, y=1), mb.add(x=value, y=held)

        return (*mb.while_loop(_cond=lambda i, _: mb.less(x=i, y=limit), _body=inside, loop_vars=(np.int32(0), x)), mb.read_state(input=s))

    model = build(body, {"x": np.zeros(2, HALF), "count": np.zeros(1, np.int32)}, {"s": (2,)})
    state, x = model.make_state(), np.asarray([1, -2], np.float32)
    held, value = np.zeros(2), x
    for _ in range(2):
        value = x
        for _ in range(count):
            held = held + x
            value = value + held
        results = model.predict({"x": x, "count": np.asarray([count])}, state=state)
        np.testing.assert_array_equal(results["out1"], value)
        np.testing.assert_array_equal(results["out2"], held)
        np.testing.assert_array_equal(state.read_state("s"), held)


@pytest.mark.parametrize("count", [1, 5])
def test_a_state_that_a_branch_inside_a_loop_changes(build, count) -> None:
    def body(mb, s, x, count):
        limit = mb.squeeze(x=count, axes=[0])

        def inside(i):
            held = mb.read_state(input=s)
            mb.cond(
                pred=mb.equal(x=mb.mod(x=i, y=2), y=0),
                _true_fn=lambda: mb.coreml_update_state(state=s, value=mb.add(x=held, y=x)),
                _false_fn=lambda: held,
            )
            return mb.add(x=i, y=1)

        return mb.while_loop(_cond=lambda i: mb.less(x=i, y=limit), _body=inside, loop_vars=(np.int32(0),))

    model = build(body, {"x": np.zeros(2, HALF), "count": np.zeros(1, np.int32)}, {"s": (2,)})
    state, x = model.make_state(), np.asarray([1, -2], np.float32)
    for calls in (1, 2):
        model.predict({"x": x, "count": np.asarray([count])}, state=state)
        np.testing.assert_array_equal(state.read_state("s"), x * calls * -(-count // 2))


def test_states_of_every_type_are_copies() -> None:
    for dtype in ("float32", "int32", "int8"):
        state = RuntimeState([Feature("s", "state", dtype, Sizes((2,)))])
        value = np.asarray([1, -2], dtype if dtype == "float32" else np.int32)
        state.write_state("s", value)
        value[:] = 5
        assert state.read_state("s").tolist() == [1, -2]
        assert state.read_state("s").dtype == dtype


def test_a_stateful_model_wants_a_state_of_its_own(accumulator, mil, tmp_path) -> None:
    feed = {"x": np.zeros((2, 3))}
    with pytest.raises(InvalidInput, match=r"keeps state, and none was given \(its states are 'total'\); .*make_state"):
        accumulator.predict(feed)
    plain = load_model(mil.save(lambda mb, x: mb.relu(x=x), {"x": np.zeros((2, 3), HALF)}, tmp_path / "plain.mlpackage"))
    with pytest.raises(InvalidInput, match="belongs to another model"):
        plain.predict(feed, state=accumulator.make_state())
    with pytest.raises(InvalidInput, match="belongs to another model"):
        accumulator.predict(feed, state=plain.make_state())
    with pytest.raises(InvalidInput, match=r"belongs to another model \(it is dict\)"):
        accumulator.predict(feed, state={"total": np.zeros((2, 3))})
    np.testing.assert_array_equal(plain.predict(feed, state=plain.make_state())["out0"], feed["x"])


def test_what_does_not_fit_a_state_is_refused(accumulator) -> None:
    state = accumulator.make_state()
    with pytest.raises(InvalidInput, match="no state 'x'; its states are 'total'"):
        state.read_state("x")
    with pytest.raises(InvalidInput, match="no state 'x'"):
        state.write_state("x", 1)
    with pytest.raises(InvalidInput, match="state 'total' does not fit: expected float16 state 2x3, got shape 3x2"):
        state.write_state("total", np.zeros((3, 2)))


def test_a_prediction_that_fails_leaves_the_state_alone(accumulator) -> None:
    state = accumulator.make_state()
    state.write_state("total", np.ones((2, 3)))
    with pytest.raises(InvalidInput):
        accumulator.predict({"x": np.zeros(5)}, state=state)
    assert state.read_state("total").tolist() == [[1] * 3] * 2


def test_a_state_on_which_model_and_program_disagree_is_refused(mil, tmp_path) -> None:
    def edit(spec):
        spec.description.state[0].type.stateType.arrayType.shape[:] = [3, 2]

    path = mil.save(accumulate, {"x": np.zeros((2, 3), HALF)}, tmp_path / "model.mlpackage", opset="iOS18", states={"total": (2, 3)}, edit=edit)
    assert "declares a state float16 state 3x2" in str(open_model(path).unsupported()[0])
    with pytest.raises(NotExecutable, match="input 'total'"):
        load_model(path)


def test_samples_of_a_recipe_start_anew(mil, tmp_path) -> None:
    from mlpipe.steps.core_ml_source import run_core_ml

    path = mil.save(accumulate, {"x": np.zeros((2, 3), HALF)}, tmp_path / "model.mlpackage", opset="iOS18", states={"total": (2, 3)})
    ones = {"x": np.ones((2, 3), np.float32)}
    assert [outputs["out0"].max() for outputs in run_core_ml(path, [ones, ones])] == [1.0, 1.0]


def test_a_run_with_a_stateful_model(mil, tmp_path) -> None:
    import mlpipe

    mil.save(accumulate, {"x": np.zeros((2, 3), HALF)}, tmp_path / "Counter.mlpackage", opset="iOS18", states={"total": (2, 3)})
    np.savez(tmp_path / "samples.npz", x=np.arange(24, dtype=np.float32).reshape(4, 2, 3))
    recipe = """
        mlpipe: 1
        name: counter
        source: {coreml: Counter.mlpackage}
        reference: {coreml: Counter.mlpackage}
        compare: {samples: {arrays: samples.npz}, metrics: [max_abs_error]}
        gate: {converted: {source.max_abs_error: "<= 0"}}
    """
    (tmp_path / "recipe.yaml").write_text(textwrap.dedent(recipe))
    report = mlpipe.run(tmp_path / "recipe.yaml")
    assert report.passed
