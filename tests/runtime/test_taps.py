"""Values inside ML Programs: found by name, computed apart from the model's own session, in parts, and matched between variants."""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest

from mlpipe.errors import InvalidInput
from mlpipe.runtime import load_model
from mlpipe.runtime.lowered import LayerValue
from mlpipe.runtime.taps import matching

X = np.asarray([[1.5, -2.0, 0.25], [3.0, 0.1, -7.0]], np.float32)


def chain(mb, x):
    doubled = mb.mul(x=x, y=np.float32(2), name="doubled")
    shifted = mb.add(x=doubled, y=np.float32(1), name="shifted")
    positive = mb.relu(x=shifted, name="positive")
    count = mb.cast(x=positive, dtype="int32", name="count")
    above = mb.greater(x=positive, y=np.float32(3), name="above")
    return mb.reduce_sum(x=positive, axes=[1], name="total"), count, above


VALUES = {"x": X, "doubled": X * 2, "shifted": X * 2 + 1, "positive": np.maximum(X * 2 + 1, 0)}
VALUES |= {"count": VALUES["positive"].astype(np.int32), "above": VALUES["positive"] > 3, "total": VALUES["positive"].sum(axis=1)}


@pytest.fixture
def load(mil, tmp_path):
    def load_body(body, feed, *, precision="float32", **options):
        return load_model(mil.save(body, feed, tmp_path / f"{body.__name__}.mlpackage", **options), precision=precision)

    return load_body


@pytest.fixture
def model(load):
    return load(chain, {"x": X})


def test_layers_are_the_values_of_the_program_in_its_order(model) -> None:
    listed = [(layer.name, layer.type, layer.dtype, layer.shape) for layer in model.layers]
    assert listed[:7] == [
        ("x", "input", "float32", (2, 3)),
        ("doubled", "mul", "float32", (2, 3)),
        ("shifted", "add", "float32", (2, 3)),
        ("positive", "relu", "float32", (2, 3)),
        ("count", "cast", "int32", (2, 3)),
        ("above", "greater", "bool", (2, 3)),
        ("total", "reduce_sum", "float32", (2,)),
    ]
    assert listed[-3:] == [("out0", "identity", "float32", (2,)), ("out1", "identity", "int32", (2, 3)), ("out2", "cast", "int32", (2, 3))]


def test_taps_are_what_numpy_computes_in_the_types_of_the_program(model) -> None:
    values = model.taps().predict_arrays({"x": X})
    assert list(values) == [layer.name for layer in model.layers]
    for name, expected in VALUES.items():
        np.testing.assert_allclose(values[name], expected, rtol=1e-6)
        assert values[name].dtype == expected.dtype


def test_chosen_taps_come_in_the_order_of_the_program_and_need_only_their_own_part_of_it(model) -> None:
    taps = model.taps(["positive", "doubled"])
    assert list(taps.predict_arrays({"x": X})) == ["doubled", "positive"]
    from mlpipe.runtime.graph_walk import part_for

    (doubled,) = model.taps(["doubled"]).values
    assert [node.op for node in part_for(taps.graph, {"only": doubled.value}).nodes] == ["Mul"]


def test_the_session_of_the_model_is_left_alone(model) -> None:
    before = model.predict_arrays({"x": X})
    assert len(before) == 3
    session = model._ready
    model.taps(["shifted"]).predict_arrays({"x": X})
    assert model._ready is session
    for name, value in model.predict_arrays({"x": X}).items():
        np.testing.assert_array_equal(value, before[name])


@pytest.mark.parametrize(("name", "parts"), [("shiftd", ("'shiftd'", "did you mean 'shifted'")), ("zzz", ("'zzz'", "`layers`"))])
def test_an_unknown_name_is_refused_with_the_nearest(model, name, parts) -> None:
    with pytest.raises(InvalidInput) as caught:
        model.taps(["doubled", name])
    for part in parts:
        assert part in str(caught.value)


def test_a_feed_that_the_model_refuses_is_refused_here_too(model) -> None:
    with pytest.raises(InvalidInput, match="'x' does not fit"):
        model.taps(["doubled"]).predict_arrays({"x": np.zeros((3, 3), np.float32)})


def blocks(mb, x):
    positive = mb.greater(x=mb.reduce_sum(x=x, keep_dims=False), y=0.0)
    chosen = mb.cond(pred=positive, _true_fn=lambda: mb.add(x=x, y=x, name="inside"), _false_fn=lambda: mb.relu(x=x), name="chosen")
    return mb.while_loop(
        _cond=lambda i, _: mb.less(x=i, y=3, name="again"),
        _body=lambda i, value: (mb.add(x=i, y=1), mb.mul(x=value, y=2.0, name="twice")),
        loop_vars=(np.int32(0), chosen),
        name="loop",
    )


@pytest.mark.parametrize(("name", "owner"), [("inside", "chosen"), ("twice", "loop_0"), ("again", "loop_0")])
def test_values_inside_blocks_are_refused_and_the_results_of_blocks_are_not(load, name, owner) -> None:
    model = load(blocks, {"x": X})
    with pytest.raises(InvalidInput, match=f"{name}.*cannot be tapped.*inside a block of '{owner}'.*tap '{owner}'"):
        model.taps([name])
    assert name not in [layer.name for layer in model.layers]
    values = model.taps(["chosen", "loop_0", "loop_1"]).predict_arrays({"x": X})
    np.testing.assert_array_equal(values["chosen"], np.maximum(X, 0) if X.sum() <= 0 else X + X)
    np.testing.assert_array_equal(values["loop_1"], values["chosen"] * 8)
    assert values["loop_0"] == 3


def test_states_are_read_and_left_as_they_are(mil, tmp_path) -> None:
    def accumulate(mb, total, x):
        held = mb.read_state(input=total, name="held")
        return mb.coreml_update_state(state=total, value=mb.add(x=held, y=x, name="sum"))

    feed = {"x": np.asarray([1, 2], np.float16)}
    model = load_model(mil.save(accumulate, feed, tmp_path / "model.mlpackage", opset="iOS18", states={"total": (2,)}))
    state = model.make_state()
    state.write_state("total", [10, 20])
    values = model.taps(["held", "sum"]).predict_arrays(feed, state=state)
    assert {name: value.tolist() for name, value in values.items()} == {"held": [10, 20], "sum": [11, 22]}
    assert state.read_state("total").tolist() == [10, 20]


def test_parts_stay_under_the_limit_and_hold_everything_once(model) -> None:
    parts = list(model.taps().parts({"x": X}, limit_bytes=60))
    sizes = [sum(value.nbytes for value in part.predict_arrays({"x": X}).values()) for part in parts]
    assert sizes == [24 + 24, 24 + 24, 24 + 6 + 8 + 8, 24 + 24]
    assert [value.name for part in parts for value in part.values] == [layer.name for layer in model.layers]
    assert [len(part.values) for part in model.taps(["x", "doubled", "count"]).parts({"x": X}, limit_bytes=1)] == [1, 1, 1]
    assert [len(part.values) for part in model.taps().parts({"x": X})] == [len(model.layers)]


def test_parts_of_a_model_whose_sizes_vary_go_by_the_feed(mil, load) -> None:
    feed = {"x": np.ones((2, 3), np.float32)}
    model = load(chain, feed, shapes={"x": (mil.symbol(), 3)}, inputs=[mil.ct.TensorType(name="x", shape=(mil.ct.RangeDim(1, 500, 2), 3))])
    limit = 4000
    for rows, count in ((2, 1), (100, 4)):
        x = np.ones((rows, 3), np.float32)
        parts = list(model.taps(["doubled", "shifted", "positive", "count"]).parts({"x": x}, limit_bytes=limit))
        assert len(parts) == (1 if count == 1 else 2)
        for part in parts:
            assert sum(value.nbytes for value in part.predict_arrays({"x": x}).values()) <= limit


def test_a_part_that_nobody_keeps_takes_its_session_with_it(model) -> None:
    sessions = []
    for part in model.taps().parts({"x": X}, limit_bytes=60):
        gc.collect()
        assert sum(session() is not None for session in sessions) <= 1
        part.predict_arrays({"x": X})
        sessions.append(weakref.ref(part._executable))
    assert len(sessions) > 2


def value(name, kind="conv", shape=(1, 8)):
    return LayerValue(name, kind, "float16", shape, "")


MATCHES = [
    ("a", "a", True),
    ("a", "a_cast_fp16", True),
    ("a_cast_fp16", "a", True),
    ("a_cast_fp16", "a_quantized", True),
    ("a", "a_cast_fp16_quantized", True),
    ("a", "a_quantized_cast_fp16", True),
    ("a", "b", False),
    ("a", "a_fp16", False),
    ("a_cast_fp16_1", "a", False),
]


@pytest.mark.parametrize(("reference", "candidate", "same"), MATCHES)
def test_names_match_without_what_the_converter_appends(reference, candidate, same) -> None:
    assert matching([value(reference)], [value(candidate)]) == ([(reference, candidate)] if same else [])


def test_operation_and_shape_must_match_too() -> None:
    assert matching([value("a")], [value("a", "cast"), value("a_cast_fp16")]) == [("a", "a_cast_fp16")]
    assert matching([value("a")], [value("a", shape=(8, 1))]) == []
    assert matching([value("a", shape=(None, 8))], [value("a", shape=(4, 8))]) == [("a", "a")]


def test_of_several_candidates_only_the_very_name_is_taken() -> None:
    assert matching([value("a")], [value("a_quantized"), value("a")]) == [("a", "a")]
    assert matching([value("a")], [value("a_quantized"), value("a_cast_fp16")]) == []


def test_the_layers_of_variants_match(mil, tmp_path) -> None:
    random = np.random.default_rng(0)
    levels, scale = random.integers(-127, 128, (8, 3, 3, 3)).astype(np.int8), np.full(8, 0.01, np.float32)
    feed = {"x": random.random((1, 3, 6, 6), np.float32)}

    def body(compressed):
        def network(mb, x):
            weight = levels.astype(np.float32) * scale[0]
            if compressed:
                rough = (levels // 16 * 16).astype(np.int8)
                weight = mb.constexpr_affine_dequantize(quantized_data=rough, zero_point=np.zeros(8, np.int8), scale=scale, axis=0)
            y = mb.relu(x=mb.conv(x=x, weight=weight, pad_type="same", name="conv"), name="relu")
            return mb.softmax(x=mb.reduce_mean(x=y, axes=[2, 3], name="pooled"), name="scores")

        return network

    float16 = {"pass_pipeline": mil.ct.PassPipeline.DEFAULT, "compute_precision": mil.ct.precision.FLOAT16}
    single = load_model(mil.save(body(compressed=False), feed, tmp_path / "single.mlpackage"))
    half = load_model(mil.save(body(compressed=False), feed, tmp_path / "half.mlpackage", **float16), precision="float16")
    rough = load_model(mil.save(body(compressed=True), feed, tmp_path / "rough.mlpackage", **float16))
    pairs = [("x", "x"), *((name, f"{name}_cast_fp16") for name in ("conv", "relu", "pooled", "scores"))]
    for other, same in ((half, pairs), (rough, pairs[:1])):
        assert [pair for pair in matching(single.layers, other.layers) if pair[0] != "out0"] == pairs
        for ours, theirs in pairs:
            expected, found = single.taps([ours]).predict_arrays(feed)[ours], other.taps([theirs]).predict_arrays(feed)[theirs]
            assert np.allclose(found, expected, rtol=1e-3, atol=2e-3) == ((ours, theirs) in same)


@pytest.mark.needs_models
def test_a_real_program_is_tapped_in_parts(models) -> None:
    model = load_model(models / "basic_pitch_4formats" / "nmp.mlpackage")
    feed = {feature.name: np.zeros(feature.sizes.default, np.float32) for feature in model.inputs}
    limit, names, found = 8 << 20, [], {}
    for part in model.taps().parts(feed, limit_bytes=limit):
        values = part.predict_arrays(feed)
        assert len(values) == 1 or sum(value.nbytes for value in values.values()) <= limit
        names += list(values)
        found |= {feature.name: values[feature.name] for feature in model.outputs if feature.name in values}
    assert names == [layer.name for layer in model.layers]
    assert len(names) > 100
    for name, value in model.predict_arrays(feed).items():
        np.testing.assert_allclose(value, found[name], atol=1e-6)
