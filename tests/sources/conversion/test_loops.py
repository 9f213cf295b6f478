"""Loops whose results go where coremltools would mistake or refuse them: two into one operation, one into the next loop."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers

from mlpipe.recipe.schema.source import Source

FORMATS = (("mlprogram", "iOS15"), ("neuralnetwork", "iOS14"))


def states_of_one_layer() -> keras.Model:
    steps = keras.Input((6, 3), name="steps")
    _, hidden, cell = layers.LSTM(4, return_state=True)(steps)
    return keras.Model(steps, layers.Subtract(name="result")([hidden, cell]))


def encoder_and_decoder() -> keras.Model:
    steps, asked = keras.Input((7, 5), name="steps"), keras.Input((4, 3), name="asked")
    _, hidden, cell = layers.LSTM(6, return_state=True)(steps)
    answer = layers.LSTM(6, return_sequences=True)(asked, initial_state=[hidden, cell])
    return keras.Model([steps, asked], layers.Concatenate(name="result")([answer, layers.Attention()([answer, answer])]))


@pytest.mark.parametrize(("to", "target"), FORMATS)
@pytest.mark.parametrize("make", [states_of_one_layer, encoder_and_decoder])
def test_results_of_one_loop_in_one_operation_or_loop(
    make: Callable[[], keras.Model], to: str, target: str, tools: Any, keras_file: Callable[..., Source]
) -> None:
    keras.utils.set_random_seed(3)
    model = make()
    random = np.random.default_rng(4)
    feeds = {given.name: random.normal(size=(1, *given.shape[1:])).astype(np.float32) for given in model.inputs}
    tools.check(keras_file(model), feeds, to=to, minimum_deployment_target=target)


def test_loops_in_a_row_inside_a_loop(tools: Any, tmp_path: Path) -> None:
    def function(x: Any) -> Any:
        def doubled(i: Any, left: Any, right: Any) -> Any:
            return i + 1, left + right, right * 2.0

        def step(i: Any, left: Any, right: Any) -> Any:
            _, left, right = tf.while_loop(lambda j, *_: j < 2, doubled, [0, left, right])
            _, left, right = tf.while_loop(lambda j, *_: j < 3, doubled, [0, right, left])
            return i + 1, left - 0.5 * right, right

        _, left, right = tf.while_loop(lambda i, *_: i < 2, step, [0, x, x + 1.0])
        return left / right

    module = tf.Module()
    module.serve = tf.function(lambda x: {"y": function(x)}, input_signature=[tf.TensorSpec((1, 3), tf.float32, name="x")])
    tf.saved_model.save(module, str(tmp_path / "model"), signatures=module.serve)
    tools.check(Source(tensorflow=str(tmp_path / "model")), {"x": np.asarray([[1.0, -2.0, 0.25]], np.float32)}, minimum_deployment_target="iOS15")
