"""Models that other people converted, held against the same model in its other formats, run by the programs that those formats belong to."""

from __future__ import annotations

import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlpipe.runtime import load_model
from mlpipe.runtime.ort import import_onnxruntime

pytestmark = pytest.mark.needs_models

MINIMUM_SNR_DB = 60.0
RATE, WINDOW = 22050, 43844
"""What basic-pitch listens to: samples a second, samples at once."""
OUTPUTS = {"Identity": "StatefulPartitionedCall:0", "Identity_1": "StatefulPartitionedCall:1", "Identity_2": "StatefulPartitionedCall:2"}
"""The package's names of contour, note and onset, and those of the graph that it was converted from."""

RECORDINGS = ("vocadito_10", "yes_1000ms", "no_1000ms", "silence_1000ms")
Predict = Callable[[np.ndarray], dict[str, np.ndarray]]


def snr_db(reference: np.ndarray, candidate: np.ndarray) -> float:
    assert reference.shape == candidate.shape
    reference, candidate = reference.astype(np.float64), candidate.astype(np.float64)
    noise = float(((reference - candidate) ** 2).sum())
    return float("inf") if noise == 0 else float(10 * np.log10((reference**2).sum() / noise))


def windows(recording: Path) -> np.ndarray:
    """Return a recording of one channel in whole windows, the last filled up with silence. Shapes: (windows, WINDOW, 1)."""
    with wave.open(str(recording)) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (1, 2)
        rate, data = file.getframerate(), np.frombuffer(file.readframes(file.getnframes()), "<i2") / 32768
    times = np.arange(int(len(data) * RATE / rate)) / RATE
    audio = np.interp(times, np.arange(len(data)) / rate, data).astype(np.float32)
    count = -(-len(audio) // WINDOW)
    return np.pad(audio, (0, count * WINDOW - len(audio))).reshape(count, WINDOW, 1)


@pytest.fixture(scope="module")
def pitch(models: Path) -> Path:
    folder = models / "basic_pitch_4formats"
    if not (folder / "nmp.mlpackage").is_dir():
        pytest.skip("NOT RUN: basic_pitch_4formats is not among the real models")
    return folder


@pytest.fixture(scope="module")
def as_onnx(pitch: Path) -> Predict:
    session = import_onnxruntime().InferenceSession(str(pitch / "nmp.onnx"), providers=["CPUExecutionProvider"])
    (given,) = session.get_inputs()
    return lambda audio: dict(zip(OUTPUTS, session.run(list(OUTPUTS.values()), {given.name: audio}), strict=True))


@pytest.fixture(scope="module")
def as_saved_model(pitch: Path) -> Any:
    """Return the SavedModel in a session of TensorFlow 1, which loads it; TensorFlow 2 misses slots of its optimizer."""
    import tensorflow as tf

    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        loaded = tf.compat.v1.saved_model.load(session, ["serve"], str(pitch / "nmp"))
        signature = loaded.signature_def["serving_default"]
        (given,) = signature.inputs.values()
        wanted = {name: f"{target}" for name, target in OUTPUTS.items()}
        assert sorted(output.name for output in signature.outputs.values()) == sorted(wanted.values())
        yield lambda audio: session.run(wanted, {given.name: audio})


@pytest.fixture(params=["as_onnx", "as_saved_model"])
def reference(request: pytest.FixtureRequest) -> Predict:
    predict: Predict = request.getfixturevalue(request.param)
    return predict


@pytest.mark.parametrize("recording", RECORDINGS)
def test_basic_pitch_hears_what_its_other_formats_hear(pitch: Path, reference: Predict, recording: str) -> None:
    model = load_model(pitch / "nmp.mlpackage")
    heard = windows(pitch.parent / "samples_audio" / f"{recording}.wav")
    found: dict[str, float] = {}
    for name in OUTPUTS:
        ours = np.concatenate([model.predict_arrays({"input_2": window[None]})[name] for window in heard])
        theirs = np.concatenate([reference(window[None])[name] for window in heard])
        found[name] = snr_db(theirs, ours)
    print(recording, {name: f"{value:.1f} dB" for name, value in found.items()})
    assert min(found.values()) >= MINIMUM_SNR_DB, found
    if recording == "vocadito_10":  # a melody: notes were heard, and not silence compared with silence
        assert theirs.max() > 0.5
