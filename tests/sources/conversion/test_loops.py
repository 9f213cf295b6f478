"""Loops and branches that coremltools mistakes or refuses: results in one operation, limits, variables set from outside, branches in loops, lists that grow."""

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


def rows(i: Any, left: Any, right: Any) -> Any:
    return i + 1, left + right, right * 2.0


def loops_in_a_row_inside_a_loop(x: Any) -> Any:
    def step(i: Any, left: Any, right: Any) -> Any:
        _, left, right = tf.while_loop(lambda j, *_: j < 2, rows, [0, left, right])
        _, left, right = tf.while_loop(lambda j, *_: j < 3, rows, [0, right, left])
        return i + 1, left - 0.5 * right, right

    _, left, right = tf.while_loop(lambda i, *_: i < 2, step, [0, x, x + 1.0])
    return left / right


def ended_by_its_limit(x: Any) -> Any:
    return tf.while_loop(lambda _: True, lambda value: (value * 2.0,), [x], maximum_iterations=5)[0]


def ended_by_a_limit_that_is_computed(x: Any) -> Any:
    limit = tf.cast(tf.reduce_sum(x), tf.int32)
    return tf.while_loop(lambda value, _: value[0, 0] < 1e9, lambda value, end: (value * 2.0, end), [x, limit], maximum_iterations=limit)[0]


def limit_that_is_not_reached(x: Any) -> Any:
    return tf.while_loop(lambda value: tf.reduce_sum(value) < 20.0, lambda value: (value * 2.0,), [x], maximum_iterations=50)[0]


def set_to_what_stands_outside(x: Any) -> Any:
    """No round changes the second variable after the first has; the last sees both of its values."""
    outside = x * 10.0
    return tf.while_loop(lambda i, *_: i < 3, lambda i, value, total: (i + 1, outside, total + value), [0, x, x])[2]


def branches_in_branches_and_loops(x: Any) -> Any:
    def step(i: Any, left: Any, right: Any) -> Any:
        left, right = tf.cond(tf.reduce_sum(left) > 10.0, lambda: (left - right, right * 2.0), lambda: (left + right, right))
        return i + 1, left, right

    def looped() -> Any:
        return tf.while_loop(lambda i, *_: i < 3, step, [0, x, x + 1.0])[1]

    return tf.cond(tf.reduce_sum(x) < 0.0, lambda: x * 2.0, lambda: tf.cond(x[0, 1] > 1.0, looped, lambda: x))


def lists_that_grow(x: Any) -> Any:
    rounds = tf.cast(x[0, 1], tf.int32)

    def step(i: Any, known: Any, unknown: Any, value: Any) -> Any:
        return i + 1, known.write(i, value), unknown.write(i + 1, value * 2.0), value + x

    known = tf.TensorArray(tf.float32, size=0, dynamic_size=True, element_shape=(1, 3))
    unknown = tf.TensorArray(tf.float32, size=1, dynamic_size=True)
    _, known, unknown, _ = tf.while_loop(lambda i, *_: i < rounds, step, [0, known, unknown, x])
    return tf.concat([known.stack(), unknown.stack()], 0)


LOOPS = [
    lists_that_grow,
    branches_in_branches_and_loops,
    loops_in_a_row_inside_a_loop,
    ended_by_its_limit,
    ended_by_a_limit_that_is_computed,
    limit_that_is_not_reached,
    set_to_what_stands_outside,
]


@pytest.mark.parametrize("function", LOOPS, ids=lambda function: function.__name__)
def test_loops_of_saved_models(function: Callable[[Any], Any], tools: Any, tmp_path: Path) -> None:
    module = tf.Module()
    module.serve = tf.function(lambda x: {"y": function(x)}, input_signature=[tf.TensorSpec((1, 3), tf.float32, name="x")])
    tf.saved_model.save(module, str(tmp_path / "model"), signatures=module.serve)
    tools.check(Source(tensorflow=str(tmp_path / "model")), {"x": np.asarray([[1.0, 2.0, 0.25]], np.float32)}, minimum_deployment_target="iOS15")
