"""The models of `runtime.py`, in Keras, with seeded weights and statistics that are not those of a fresh model."""

from __future__ import annotations

from typing import Any

import numpy as np

SEQUENCE = (128, 64)
"""Steps and features of the sequence model."""
TOKENS = (128, 256)
"""Tokens and width of the transformer block."""
HEADS = 8


def mobilenet_v2() -> Any:
    """Return MobileNetV2 for pictures of 224 x 224, 1,000 classes."""
    import keras

    keras.utils.set_random_seed(1)
    model = keras.applications.MobileNetV2(weights=None, input_tensor=keras.Input((224, 224, 3), name="picture"))
    generator = np.random.default_rng(1)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            (size,) = layer.gamma.shape
            gamma, variance = (generator.uniform(0.5, 1.5, size) for _ in range(2))
            beta, mean = (generator.normal(0, 0.2, size) for _ in range(2))
            layer.set_weights([gamma, beta, mean, variance])
    return model


def sequence_model() -> Any:
    """Return two LSTM layers and a classifier over the last step."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(2)
    steps = keras.Input(SEQUENCE, name="steps")
    hidden = layers.LSTM(128, return_sequences=True)(steps)
    hidden = layers.LSTM(128)(hidden)
    return keras.Model(steps, layers.Dense(10, activation="softmax", name="scores")(hidden))


def transformer_block() -> Any:
    """Return one block as encoders have it: normalization, attention over 8 heads, normalization, two dense layers with GELU between."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(3)
    width = TOKENS[1]
    tokens = keras.Input(TOKENS, name="tokens")
    normal = layers.LayerNormalization(epsilon=1e-5)(tokens)
    attended = layers.Add()([tokens, layers.MultiHeadAttention(HEADS, width // HEADS)(normal, normal)])
    normal = layers.LayerNormalization(epsilon=1e-5)(attended)
    inner = layers.Dense(4 * width, activation="gelu")(normal)
    model = keras.Model(tokens, layers.Add(name="mixed")([attended, layers.Dense(width)(inner)]))
    generator = np.random.default_rng(3)
    model.set_weights([weight + generator.normal(0, 0.05, weight.shape) for weight in model.get_weights()])
    return model
