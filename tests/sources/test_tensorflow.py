from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from mlpipe.errors import ConversionFailed, EnvironmentLacksTool, RecipeError, SourceUnreadable
from mlpipe.recipe.schema.source import Source

v1 = tf.compat.v1
FORMATS = ("neuralnetwork", "mlprogram")
VALUES = np.array([[1.0, -2.0, 3.0]], np.float32)
WEIGHTS = np.array([[1.0, 0.5], [0.25, -1.0], [2.0, 0.0]], np.float32)


@pytest.fixture(scope="module")
def saved_model(tmp_path_factory: pytest.TempPathFactory) -> Source:
    """A SavedModel of TensorFlow 2 with two signatures, each with two inputs; one has nested functions and two outputs."""

    class Model(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weights = tf.Variable(WEIGHTS)

        @tf.function(input_signature=[tf.TensorSpec([None, 3], name="x"), tf.TensorSpec([None, 3], name="shift")])
        def inner(self, x: Any, shift: Any) -> Any:
            return tf.nn.relu(tf.matmul(x + shift, self.weights))

        @tf.function(input_signature=[tf.TensorSpec([None, 3], name="x"), tf.TensorSpec([None, 3], name="shift")])
        def first(self, x: Any, shift: Any) -> Any:
            hidden = self.inner(x, shift)
            return {"z_hidden": hidden, "a_sum": tf.reduce_sum(hidden, 1)}

        @tf.function(input_signature=[tf.TensorSpec([None, 3], name="x")])
        def second(self, x: Any) -> Any:
            return {"twice": 2.0 * x}

    path = str(tmp_path_factory.mktemp("saved") / "two_signatures")
    model = Model()
    tf.saved_model.save(model, path, signatures={"first": model.first, "second": model.second})
    return Source(tensorflow=path, signature="first")


def test_a_signature_by_name(saved_model: Source, tools: Any) -> None:
    description = tools.describe(saved_model)
    assert description["inputs"] == [{"name": "shift", "shape": [None, 3], "dtype": "float32"}, {"name": "x", "shape": [None, 3], "dtype": "float32"}]
    assert [(output["name"], output["shape"]) for output in description["outputs"]] == [("a_sum", [None]), ("z_hidden", [None, 2])]
    assert set(description["tools"]) == {"tensorflow"}
    feeds = {"x": np.repeat(VALUES, 2, 0), "shift": np.array([[0.5, 1, 1], [0, 0, 0]], np.float32)}
    got = tools.predict(saved_model, feeds)
    hidden = np.maximum((feeds["x"] + feeds["shift"]) @ WEIGHTS, 0)
    np.testing.assert_allclose(got["z_hidden"], hidden, rtol=1e-6)
    np.testing.assert_allclose(got["a_sum"], hidden.sum(1), rtol=1e-6)


@pytest.mark.parametrize("to", FORMATS)
def test_a_signature_converts_with_its_own_names(to: str, saved_model: Source, tools: Any) -> None:
    made = tools.check(saved_model, {"x": VALUES, "shift": VALUES * 0.5}, to=to)
    assert made.data["outputs"] == {"a_sum": "a_sum", "z_hidden": "z_hidden"}
    assert {feature.name for feature in made.spec.description.input} == {"x", "shift"}


def test_the_signatures_are_listed_where_none_is_chosen(saved_model: Source, tools: Any) -> None:
    for signature, message in ((None, "say which signature"), ("third", "has no signature third")):
        with pytest.raises(RecipeError, match=f"{message}.*one of: first, second"):
            tools.describe(saved_model.model_copy(update={"signature": signature}))
    with pytest.raises(RecipeError, match=r"no graph with the tags \['train'\].*it has \['serve'\]"):
        tools.describe(saved_model.model_copy(update={"tags": ["train"]}))


def test_a_saved_model_of_tensorflow_1(tmp_path: Path, tools: Any) -> None:
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None, 3], name="x")
        weights = v1.get_variable("weights", initializer=WEIGHTS, use_resource=False)
        result = tf.nn.softmax(tf.matmul(x, weights), name="result")
        session.run(v1.global_variables_initializer())
        v1.saved_model.simple_save(session, str(tmp_path / "old"), {"image": x}, {"scores": result})
        expected = session.run(result, {x: VALUES})
    source = Source(tensorflow=str(tmp_path / "old"))
    np.testing.assert_allclose(tools.predict(source, {"image": VALUES})["scores"], expected, rtol=1e-6)
    for to in FORMATS:
        tools.check(source, {"image": VALUES}, to=to)


def frozen(path: Path, build: Callable[[], None]) -> Source:
    """Write the graph that `build` makes."""
    with tf.Graph().as_default() as graph:
        build()
    path.write_bytes(graph.as_graph_def().SerializeToString())
    return Source(tensorflow=str(path))


@pytest.fixture
def cut_in_the_middle(tmp_path: Path) -> Source:
    """A graph whose front end reads a string, so that TensorFlow does not know the shape of the middle tensor; with two ends."""

    def build() -> None:
        text = v1.placeholder(tf.string, [], name="text")
        middle = tf.io.parse_tensor(text, tf.float32, name="front/middle")
        shaped = tf.reshape(middle, [-1, 3], name="shaped")
        tf.split(tf.matmul(shaped, tf.constant(WEIGHTS)), 2, axis=1, name="halves")
        tf.nn.relu(shaped, name="end")

    return frozen(tmp_path / "graph.pb", build)


@pytest.mark.parametrize("suffix", ["", ":0"])
def test_a_graph_is_cut_between_named_tensors(suffix: str, cut_in_the_middle: Source, tools: Any) -> None:
    inputs = {f"front/middle{suffix}": {"shape": [1, 3], "rename": "features"}}
    source = Source(tensorflow=cut_in_the_middle.tensorflow, inputs=inputs, outputs={"halves:1": {"rename": "half"}, f"end{suffix}": {}})
    description = tools.describe(source)
    assert description["inputs"] == [{"name": "front/middle", "shape": [1, 3], "dtype": "float32"}]
    assert [output["name"] for output in description["outputs"]] == ["halves:1", "end"]
    got = tools.predict(source, {"front/middle": VALUES})
    np.testing.assert_allclose(got["halves:1"], (VALUES @ WEIGHTS)[:, 1:], rtol=1e-6)
    np.testing.assert_array_equal(got["end"], np.maximum(VALUES, 0))
    for to in FORMATS:
        made = tools.check(source, {"front/middle": VALUES}, to=to, outputs={f"end{suffix}": {"rename": "positive"}})
        assert made.data["inputs"] == {"front/middle": "features"}
        assert made.data["outputs"] == {"halves:1": "half", "end": "positive"}


GRAPH_MISTAKES: list[tuple[dict[str, Any], type[Exception], str]] = [
    ({}, RecipeError, "2 of its tensors are read by nothing: halves, end"),
    ({"outputs": {"ends": {}}}, RecipeError, r"the graph has no tensor ends:0; did you mean end"),
    ({"outputs": {"halves:2": {}}}, RecipeError, "the graph has no tensor halves:2"),
    ({"inputs": {"shape": {}}, "outputs": {"end": {}}}, RecipeError, "the graph has no tensor shape:0"),
    ({"inputs": {"halves": {}}, "outputs": {"end": {}}}, RecipeError, "the outputs also depend on text"),
    ({"inputs": {"shaped": {"shape": [1, 4]}}, "outputs": {"end": {}}}, RecipeError, r"\[1, 4\] does not fit the tensor's \[None, 3\]"),
    ({"inputs": {"shaped": {"dtype": "int32"}}, "outputs": {"end": {}}}, RecipeError, "the tensor is float32, not int32"),
    ({"signature": "serving_default"}, RecipeError, "only a SavedModel has signatures"),
]


@pytest.mark.parametrize(("section", "kind", "message"), GRAPH_MISTAKES)
def test_mistakes_about_a_graph_say_what_it_has(section: dict[str, Any], kind: type[Exception], message: str, cut_in_the_middle: Source, tools: Any) -> None:
    with pytest.raises(kind, match=message):
        tools.describe(Source.model_validate({"tensorflow": cut_in_the_middle.tensorflow, **section}))


def test_a_string_input_asks_for_a_cut(cut_in_the_middle: Source, tools: Any) -> None:
    source = Source(tensorflow=cut_in_the_middle.tensorflow, outputs={"end": {}})
    assert tools.describe(source)["inputs"] == [{"name": "text", "shape": [], "dtype": "string"}]
    with pytest.raises(ConversionFailed, match=r"Core ML has no string features; cut the graph behind it with `source\.inputs`"):
        tools.convert(source)


def test_what_core_ml_lacks_is_listed_at_once(tmp_path: Path, tools: Any) -> None:
    def build() -> None:
        x = v1.placeholder(tf.float32, [1, 4], name="x")
        first = tf.math.lgamma(x, name="block/gamma")
        second = tf.math.digamma(first, name="block/digamma")
        tf.add(tf.math.lgamma(second, name="gamma_again"), tf.math.lgamma(tf.constant([1.0, 2.0, 3.0, 4.0]), name="folded"), name="end")

    source = frozen(tmp_path / "graph.pb", build)
    for to in FORMATS:
        with pytest.raises(ConversionFailed, match=r"Digamma \(1\): block/digamma; Lgamma \(2\): block/gamma, gamma_again") as raised:
            tools.convert(source, to=to)
        assert "folded" not in str(raised.value)


def test_a_fixed_batch_is_fed_piece_by_piece(tmp_path: Path, tools: Any) -> None:
    def build() -> None:
        tf.matmul(v1.placeholder(tf.float32, [1, 3], name="x"), tf.constant(WEIGHTS), name="y")

    source = frozen(tmp_path / "graph.pb", build)
    values = np.concatenate([VALUES, VALUES * 2, -VALUES])
    np.testing.assert_allclose(tools.predict(source, {"x": values})["y"], values @ WEIGHTS, rtol=1e-6)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, np.ndarray]:
    """A checkpoint with its graph, trained nowhere, and what it computes."""
    prefix = tmp_path_factory.mktemp("checkpoint") / "model.ckpt-7"
    with tf.Graph().as_default(), v1.Session() as session:
        x = v1.placeholder(tf.float32, [None, 3], name="x")
        weights = v1.get_variable("weights", initializer=WEIGHTS, use_resource=False)
        result = tf.matmul(x, weights, name="result")
        v1.train.GradientDescentOptimizer(0.1).minimize(tf.reduce_sum(result))
        session.run(v1.global_variables_initializer())
        v1.train.Saver().save(session, str(prefix))
        return prefix, session.run(result, {x: VALUES})


def test_a_checkpoint_with_its_graph(checkpoint: tuple[Path, np.ndarray], tools: Any) -> None:
    prefix, expected = checkpoint
    for location in (str(prefix), f"{prefix}.meta"):
        source = Source(tensorflow=location, outputs={"result": {}})
        np.testing.assert_allclose(tools.predict(source, {"x": VALUES})["result"], expected, rtol=1e-6)
    tools.check(source, {"x": VALUES})
    with pytest.raises(RecipeError, match=r"source\.outputs: say which tensors"):
        tools.describe(Source(tensorflow=str(prefix)))


def test_what_is_no_tensorflow_model_says_so(tmp_path: Path, checkpoint: tuple[Path, np.ndarray], tools: Any) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "damaged.pb").write_bytes(b"\xff\xff\xff")
    (tmp_path / "empty.pb").write_bytes(b"")
    (tmp_path / "weights.onnx").write_bytes(b"")
    unfrozen = tmp_path / "unfrozen.pb"
    graph = v1.MetaGraphDef.FromString(Path(f"{checkpoint[0]}.meta").read_bytes()).graph_def
    unfrozen.write_bytes(graph.SerializeToString())
    for name, message in (
        ("folder", "it has no saved_model.pb"),
        ("damaged.pb", "damaged or no frozen graph"),
        ("empty.pb", "the graph is empty"),
        ("weights.onnx", "this is no TensorFlow model"),
        ("unfrozen.pb", "not frozen .*weights"),
    ):
        with pytest.raises(SourceUnreadable, match=message):
            tools.describe(Source(tensorflow=str(tmp_path / name), outputs={"result": {}}))


def test_recurrent_layers_of_a_saved_model(tmp_path: Path, tools: Any) -> None:
    """Their loops have an iteration limit beside their condition; that of a varying number of steps is the number itself."""
    keras.utils.set_random_seed(0)
    for number, (steps, part) in enumerate([(4, keras.layers.Bidirectional(keras.layers.GRU(2))), (None, keras.layers.LSTM(3, return_sequences=True))]):
        model = keras.Sequential([keras.Input((steps, 2), name="sequence"), part])
        model.export(tmp_path / str(number), verbose=False)
        options: dict[str, Any] = {"minimum_deployment_target": "iOS15"}
        if steps is None:
            options["inputs"] = {"sequence": {"shape": [1, {"min": 1, "max": 16}, 2]}}
        tools.check(Source(tensorflow=str(tmp_path / str(number))), {"sequence": np.random.default_rng(1).normal(size=(1, 4, 2)).astype(np.float32)}, **options)


def test_without_tensorflow_the_error_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch, tools: Any) -> None:
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    for source in (Source(tensorflow="graph.pb"), Source(keras="model.keras")):
        with pytest.raises(EnvironmentLacksTool, match=r'pip install "mlpipe\[tensorflow\]"'):
            tools.describe(source)
