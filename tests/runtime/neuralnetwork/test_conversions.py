"""Keras models that coremltools converted, against Keras itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytestmark = [pytest.mark.full, pytest.mark.filterwarnings("ignore")]


def mixed_convolutions(layers: Any, inputs: Any) -> Any:
    x = layers.Conv2D(8, 3, padding="same", strides=2, bias_initializer="random_normal")(inputs)
    x = layers.BatchNormalization(moving_mean_initializer="random_normal", beta_initializer="random_normal")(x)
    x = layers.DepthwiseConv2D(3, padding="same", strides=2)(layers.ReLU(6.0)(x))
    x = layers.Activation("swish")(layers.SeparableConv2D(12, 3)(x))
    x = layers.LeakyReLU()(layers.Conv2DTranspose(8, 3, strides=2, padding="same")(x))
    x = layers.PReLU()(layers.Conv2DTranspose(6, 2, strides=3)(x))
    x = layers.MaxPool2D(3, 2, padding="same")(layers.Conv2D(6, 3, dilation_rate=2, padding="same")(x))
    x = layers.AveragePooling2D(3, 2, padding="same")(layers.ZeroPadding2D(1)(x))
    return layers.UpSampling2D(2, interpolation="bilinear")(layers.UpSampling2D(2)(x))


def classifier(layers: Any, inputs: Any) -> Any:
    x = layers.GlobalMaxPooling2D()(layers.Conv2D(16, 3, activation="elu")(inputs))
    return layers.Dense(10, activation="softmax")(layers.Dense(16, activation="sigmoid")(x))


def attention(layers: Any, inputs: Any) -> Any:
    x = layers.LayerNormalization()(layers.Reshape((48, 64))(inputs))
    x = layers.Add()([x, layers.MultiHeadAttention(2, 8)(x, x)])
    return layers.Dense(16, activation="tanh")(layers.GroupNormalization(4)(x))


def unrolled_recurrence(layers: Any, inputs: Any) -> Any:
    x = layers.Reshape((6, 512))(inputs)
    return layers.Average()([layers.LSTM(4, unroll=True)(x), layers.GRU(4, unroll=True)(x)])


@pytest.mark.parametrize("build", [mixed_convolutions, classifier, attention, unrolled_recurrence])
def test_conversion(nn: Any, build: Any) -> None:
    import coremltools
    import keras
    import tensorflow as tf

    keras.utils.set_random_seed(0)
    inputs = keras.Input((32, 32, 3))
    model = keras.Model(inputs, build(keras.layers, inputs))
    traced = tf.function(lambda image: model(image, training=False)).get_concrete_function(tf.TensorSpec([1, 32, 32, 3], tf.float32))
    converted = coremltools.convert([traced], source="tensorflow", convert_to="neuralnetwork", minimum_deployment_target=coremltools.target.iOS14)
    x = nn.random(1, 32, 32, 3)
    (name,) = (feature.name for feature in converted.get_spec().description.input)
    (result,) = nn.model(converted.get_spec()).predict({name: x}).values()
    nn.close(result, np.asarray(model(x, training=False)), 2e-5)
