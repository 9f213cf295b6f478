"""Trains the digits model from scratch and writes everything that the recipe reads: digits.keras, labels.txt and data/.

Needs scikit-learn and TensorFlow (`pip install "mlpipe[dev]"`). The data are scikit-learn's handwritten digits: 8 x 8 pixels, values 0 to 16.
The 360 images written to data/ are held out: the model never sees them while it trains.
"""

from __future__ import annotations

import csv
from pathlib import Path

import keras
import numpy as np
from PIL import Image
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

FOLDER = Path(__file__).parent
HELD_OUT = 360


def build() -> keras.Model:
    """Return the network: two convolutions with batch normalisation, pooling, two dense layers, softmax."""
    image = keras.Input((8, 8, 1), name="image")
    x = keras.layers.Conv2D(16, 3, padding="same", use_bias=False, name="conv1")(image)
    x = keras.layers.BatchNormalization(name="norm1")(x)
    x = keras.layers.ReLU(name="relu1")(x)
    x = keras.layers.Conv2D(32, 3, padding="same", use_bias=False, name="conv2")(x)
    x = keras.layers.BatchNormalization(name="norm2")(x)
    x = keras.layers.ReLU(name="relu2")(x)
    x = keras.layers.MaxPooling2D(name="pool")(x)
    x = keras.layers.Flatten(name="flatten")(x)
    x = keras.layers.Dense(64, activation="relu", name="dense1")(x)
    x = keras.layers.Dropout(0.4, name="dropout")(x)
    return keras.Model(image, keras.layers.Dense(10, activation="softmax", name="probabilities")(x), name="digits")


def main() -> None:
    """Train, print the held-out accuracy, and write the files."""
    keras.utils.set_random_seed(709)
    digits = load_digits()
    train_x, test_x, train_y, test_y = train_test_split(digits.images, digits.target, test_size=HELD_OUT, random_state=709, stratify=digits.target)
    model = build()
    model.compile(keras.optimizers.AdamW(2e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(train_x[..., None] / 16.0, train_y, batch_size=64, epochs=40, verbose=2)
    _, accuracy = model.evaluate(test_x[..., None] / 16.0, test_y, verbose=0)
    print(f"held-out accuracy: {accuracy:.4f} on {HELD_OUT} images")

    trained = keras.Model(model.input, model.output, name="digits")  # without the optimizer's state
    trained.save(FOLDER / "digits.keras")
    trained.export(FOLDER.parent / "saved_model" / "digits_saved_model", verbose=False)
    (FOLDER / "labels.txt").write_text("".join(f"{digit}\n" for digit in range(10)))
    data = FOLDER / "data"
    data.mkdir(exist_ok=True)
    with (data / "labels.csv").open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["file", "label"])
        for index, (pixels, label) in enumerate(zip(test_x, test_y, strict=True)):
            name = f"{index:03d}.png"
            Image.fromarray(pixels.astype(np.uint8)).save(data / name)
            table.writerow([name, label])


if __name__ == "__main__":
    main()
