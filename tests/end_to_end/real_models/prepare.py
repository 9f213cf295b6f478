"""Turns the shared photos and recordings into the arrays that the recipes beside this file read.

Usage: python prepare.py MODELS OUTPUT. Each model's preprocessing is the one that its publisher documents.
"""

from __future__ import annotations

import csv
import shutil
import sys
import wave
from pathlib import Path

import numpy as np
from PIL import Image

SPOKEN = ("yes", "no", "silence")
FACE_BOX = (168, 62, 282, 196)
"""The smiling face in astronaut.png: left, top, right, bottom."""
CIFAR_PHOTOS = ("bird", "cat", "cat_test_0", "chelsea", "dog_winml", "parrot")


def main(models: Path, output: Path) -> None:
    """Write every array."""
    output.mkdir(parents=True, exist_ok=True)
    photos = models / "samples_images"
    digits = np.load(models / "samples_mnist" / "mnist_test_0000_0999.npz")
    images = np.asarray(digits[next(key for key in digits.files if digits[key].ndim >= 3)]).reshape(-1, 28, 28)
    labels = np.asarray(digits[next(key for key in digits.files if digits[key].ndim == 1)]).astype(np.int64)
    np.savez(output / "mnist.npz", image=images.astype(np.float32)[..., None], pixels=images.astype(np.uint8), label=labels)
    with Image.open(photos / "astronaut.png") as photo:
        face = photo.convert("L").crop(FACE_BOX).resize((48, 48), Image.Resampling.BILINEAR)
    np.savez(output / "face.npz", image=(np.asarray(face, dtype=np.float32) / 255 * 2 - 1)[None, :, :, None], label=np.asarray([3]))
    np.savez(output / "cifar.npz", image=np.stack([_square(photos / f"{name}.jpg", 32) for name in CIFAR_PHOTOS]).astype(np.float32))
    _photos(photos, output / "photos")
    clips = {name: _wave(models / "samples_audio" / f"{name}_1000ms.wav") for name in SPOKEN}
    np.savez(output / "kws_saved_model.npz", features=_mfcc_mlperf(clips), label=np.asarray([9, 3, 10]))
    fingerprints = _mfcc_in_graph(models / "tf_frozen_kws_dscnn_s" / "DS_CNN_S.pb", models / "samples_audio")
    np.savez(output / "kws_frozen.npz", fingerprint=fingerprints, label=np.asarray([2, 3, 0]))


def _photos(source: Path, output: Path) -> None:
    """Copy every labelled photo. Five have several acceptable classes: a label is the first, so accuracy is the least that the model deserves.

    ImageNet's classes are counted with the background class first.
    """
    output.mkdir(exist_ok=True)
    with (source / "labels.csv").open(newline="") as file, (output / "labels.csv").open("w", newline="") as target:
        table = csv.writer(target, lineterminator="\n")
        table.writerow(["file", "label"])
        for row in csv.DictReader(file):
            shutil.copy(source / row["file"], output / row["file"])
            table.writerow([row["file"], int(row["acceptable_imagenet1000_index"].split()[0]) + 1])


def _square(path: Path, size: int) -> np.ndarray:
    with Image.open(path) as photo:
        side = min(photo.size)
        left, top = (photo.width - side) // 2, (photo.height - side) // 2
        return np.asarray(photo.convert("RGB").crop((left, top, left + side, top + side)).resize((size, size), Image.Resampling.LANCZOS))


def _wave(path: Path) -> np.ndarray:
    with wave.open(str(path)) as file:
        return np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").astype(np.float32)


def _mfcc_mlperf(clips: dict[str, np.ndarray]) -> np.ndarray:
    """Return [n, 49, 10, 1]: 30 ms Hann windows every 20 ms, 40 mel bands from 20 to 4000 Hz, logarithm, ten coefficients."""
    import tensorflow as tf

    features = []
    for samples in clips.values():
        signal = samples / max(1.0, np.abs(samples).max())
        spectrum = tf.abs(tf.signal.stft(signal, 480, 320, window_fn=tf.signal.hann_window))
        mel = tf.signal.linear_to_mel_weight_matrix(40, spectrum.shape[-1], 16000, 20.0, 4000.0)
        coefficients = tf.signal.mfccs_from_log_mel_spectrograms(tf.math.log(tf.tensordot(spectrum, mel, 1) + 1e-6))
        features.append(coefficients[:49, :10].numpy()[..., None])
    return np.stack(features).astype(np.float32)


def _mfcc_in_graph(graph_file: Path, audio: Path) -> np.ndarray:
    """Return [n, 49, 10]: what the frozen graph's own front end computes."""
    import tensorflow as tf

    graph_def = tf.compat.v1.GraphDef.FromString(graph_file.read_bytes())
    with tf.Graph().as_default() as graph, tf.compat.v1.Session(graph=graph) as session:
        tf.import_graph_def(graph_def, name="")
        return np.concatenate([session.run("Mfcc:0", {"wav_data:0": (audio / f"{name}_1000ms.wav").read_bytes()}) for name in SPOKEN])


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
