"""TensorFlow operations that coremltools does not know, or converts inexactly, against TensorFlow's own numbers."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from mlpipe.errors import ConversionFailed
from mlpipe.recipe.schema.source import Source

VALUES = np.random.default_rng(0).uniform(-3, 3, (1, 4, 6)).astype(np.float32)
IMAGE = np.random.default_rng(1).normal(size=(1, 8, 9, 2)).astype(np.float32)
ROWS = tf.constant([[[0, 1], [0, 3]]])

OPERATIONS: dict[str, tuple[Callable[[Any], Any], np.ndarray]] = {
    "erfc": (tf.math.erfc, VALUES),
    "expm1": (tf.math.expm1, VALUES),
    "asinh": (tf.math.asinh, VALUES * 100),
    "acosh": (tf.math.acosh, np.abs(VALUES) + 1.1),
    "reciprocal": (lambda x: tf.raw_ops.Reciprocal(x=x), VALUES * 0.1),
    "inv": (lambda x: tf.raw_ops.Inv(x=x), VALUES * 0.1),
    "log1p": (tf.math.log1p, np.abs(VALUES) - 0.5),
    "rint": (tf.math.rint, np.round(VALUES * 4) / 4),
    "bucketize": (lambda x: tf.cast(tf.raw_ops.Bucketize(input=x, boundaries=[-1.0, 0.5, 2.0]), tf.float32) + 1, VALUES),
    "bucketize_whole": (lambda x: tf.cast(tf.raw_ops.Bucketize(input=tf.cast(x, tf.int32), boundaries=[-1.0, 1.0]), tf.float32) + 1, VALUES),
    "roll": (lambda x: tf.roll(x, 2, 1), VALUES),
    "roll_back": (lambda x: tf.roll(x, -1, -1), VALUES),
    "roll_axes": (lambda x: tf.roll(x, [1, 8, 4], [1, 2, 1]), VALUES),
    "roll_nowhere": (lambda x: tf.roll(x, 6, 2) + 1, VALUES),
    "nearest_smaller": (lambda x: tf.image.resize(x, (5, 7), method="nearest"), IMAGE),
    "nearest_larger": (lambda x: tf.image.resize(x, (13, 17), method="nearest"), IMAGE),
    "nearest_whole": (lambda x: tf.image.resize(x, (16, 27), method="nearest"), IMAGE),
    "nearest_old": (lambda x: tf.compat.v1.image.resize_nearest_neighbor(x, (5, 13)), IMAGE),
    "nearest_aligned": (lambda x: tf.compat.v1.image.resize_nearest_neighbor(x, (16, 18), align_corners=True), IMAGE),
    "nearest_single": (lambda x: tf.compat.v1.image.resize_nearest_neighbor(x, (1, 4), align_corners=True), IMAGE),
    "mirror_symmetric": (lambda x: tf.pad(x, [[0, 0], [2, 1], [0, 3], [0, 0]], mode="SYMMETRIC"), IMAGE),
    "mirror_reflect": (lambda x: tf.pad(x, [[0, 0], [2, 1], [0, 3], [0, 0]], mode="REFLECT"), IMAGE),
    "mirror_nowhere": (lambda x: tf.pad(x, [[0, 0], [0, 0], [0, 0]], mode="SYMMETRIC") + 1, VALUES),
    "select_numbers": (lambda x: tf.where(x > 0.5, 1.5, -2.0), VALUES),
    "select_tensor": (lambda x: tf.where(x > 0.5, x, -2.0), VALUES),
    "scatter": (lambda x: tf.tensor_scatter_nd_update(x, ROWS, x[:, :2] * 2), VALUES),
    "ensured": (lambda x: tf.ensure_shape(tf.raw_ops.CheckNumerics(tensor=x, message="bad"), (1, 4, 6)) * 2, VALUES),
    "prevented": (lambda x: tf.raw_ops.Snapshot(input=tf.raw_ops.PreventGradient(input=x)) * 2, VALUES),
    "batch_matmul": (lambda x: tf.raw_ops.BatchMatMulV3(x=x, y=tf.transpose(x, [0, 2, 1]), Tout=tf.float32), VALUES),
}


def saved(function: Callable[[Any], Any], shape: tuple[int, ...], folder: Path) -> Source:
    module = tf.Module()
    module.serve = tf.function(lambda x: {"y": function(x)}, input_signature=[tf.TensorSpec(shape, tf.float32, name="x")])
    tf.saved_model.save(module, str(folder), signatures=module.serve)
    return Source(tensorflow=str(folder))


@pytest.mark.parametrize("name", OPERATIONS)
def test_operations_compute_what_tensorflow_does(name: str, tools: Any, tmp_path: Path) -> None:
    function, values = OPERATIONS[name]
    source = saved(function, values.shape, tmp_path / "model")
    for to, target in (("neuralnetwork", "iOS14"), ("mlprogram", "iOS16")):
        tools.check(source, {"x": values.astype(np.float32)}, to=to, minimum_deployment_target=target)


@pytest.mark.parametrize("to", ["neuralnetwork", "mlprogram"])
@pytest.mark.parametrize("dtype", ["uint8", "int16"])
def test_inputs_of_small_integers(dtype: str, to: str, tools: Any, keras_file: Callable[..., Source]) -> None:
    keras.utils.set_random_seed(2)
    layers = [keras.layers.Rescaling(1 / 255), keras.layers.Conv2D(2, 3)]
    source = keras_file(keras.Sequential([keras.Input((6, 7, 3), dtype=dtype, name="image"), *layers]))
    image = np.random.default_rng(4).integers(0, 256, (1, 6, 7, 3)).astype(dtype)
    tools.check(source, {"image": image}, to=to)
    made = tools.convert(source, to=to, inputs={"image": {"image": {"color": "rgb"}}})
    from PIL import Image

    got = made.run({"image": Image.fromarray(image[0].astype(np.uint8))})
    wanted = tools.predict(source, {"image": image})
    assert tools.snr_db(next(iter(wanted.values())), next(iter(got.values())).reshape(next(iter(wanted.values())).shape)) >= 100


@pytest.mark.parametrize("to", ["neuralnetwork", "mlprogram"])
@pytest.mark.parametrize("function", ["argmax", "argmin"])
def test_the_index_of_the_largest_as_keras_asks_for_it(function: str, to: str, tools: Any, keras_file: Callable[..., Source]) -> None:
    """Keras looks at the sign bit of zeros, in bits that Core ML does not have."""
    values = keras.Input((5, 6), name="values")
    source = keras_file(keras.Model(values, getattr(keras.ops, function)(values, axis=-1)))
    tools.check(source, {"values": np.random.default_rng(5).normal(size=(1, 5, 6)).astype(np.float32)}, to=to)


def test_a_roll_by_an_amount_that_is_computed_is_refused(tools: Any, tmp_path: Path) -> None:
    source = saved(lambda x: tf.roll(x, tf.cast(x[0, 0, 0], tf.int32), 1), VALUES.shape, tmp_path / "model")
    with pytest.raises(ConversionFailed, match="amount that is computed"):
        tools.convert(source)


@pytest.mark.parametrize("to", ["neuralnetwork", "mlprogram"])
def test_grouped_convolutions_of_keras_in_both_of_its_formats(to: str, tools: Any, keras_file: Callable[..., Source], tmp_path: Path) -> None:
    """Keras 3 calls them in a function of its own that TensorFlow may not inline."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential([keras.Input((7, 8, 4), name="image"), keras.layers.Conv2D(6, 3, groups=2), keras.layers.Conv2D(6, 3, groups=3, strides=2)])
    image = np.random.default_rng(1).normal(size=(1, 7, 8, 4)).astype(np.float32)
    tools.check(keras_file(model), {"image": image}, to=to)
    model.export(tmp_path / "exported", verbose=False)
    tools.check(Source(tensorflow=str(tmp_path / "exported")), {"image": image}, to=to)


def test_a_target_that_lacks_an_operation_is_named(tools: Any, keras_file: Callable[..., Source]) -> None:
    source = keras_file(keras.Sequential([keras.Input((4, 5, 6, 2)), keras.layers.Conv3D(2, 3)]))
    with pytest.raises(ConversionFailed, match="iOS14 or later"):
        tools.convert(source, to="neuralnetwork", minimum_deployment_target="iOS13")


@pytest.mark.parametrize("sequences", [False, True])
@pytest.mark.parametrize("layer", ["LSTM", "GRU", "SimpleRNN"])
def test_recurrent_layers_of_keras_as_neuralnetworks(layer: str, sequences: bool, tools: Any, keras_file: Callable[..., Source]) -> None:
    """They are loops with lists that coremltools would let grow."""
    keras.utils.set_random_seed(1)
    cell = getattr(keras.layers, layer)(3, return_sequences=sequences)
    source = keras_file(keras.Sequential([keras.Input((5, 4), name="steps"), keras.layers.Bidirectional(cell)]))
    steps = np.random.default_rng(2).normal(size=(1, 5, 4)).astype(np.float32)
    tools.check(source, {"steps": steps}, to="neuralnetwork", minimum_deployment_target="iOS14")
