"""How fast the portable runtime is, side by side with TensorFlow and with ONNX Runtime on the same model: CPU time of one thread.

Usage: python benchmarks/runtime.py [--rounds 25]

Everything runs in one process, one after the other, round by round; a figure is the median of the rounds' ratios. Before anything is timed, all
must give the same numbers. The ONNX models are written from the Keras layers with standard operations (`runtime_onnx.py`) and run with the
options that the portable runtime has: one thread, all optimisations.
"""

from __future__ import annotations

import argparse
import logging
import os
import statistics
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

os.environ |= {"TF_CPP_MIN_LOG_LEVEL": "3", "OMP_NUM_THREADS": "1", "ORT_DISABLE_TELEMETRY": "1", "CUDA_VISIBLE_DEVICES": "-1", "TQDM_DISABLE": "1"}
ROUND_SECONDS = 0.04
"""What one contestant computes in a round, at least."""

Run = Callable[[], np.ndarray]


@dataclass(frozen=True)
class Contest:
    """Two ways to compute the same."""

    what: str
    goal: float
    ours: Run
    theirs: Run
    minimum_snr_db: float = 80.0


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=25)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as name:
        contests = prepare(Path(name))
        print("| what | goal, at most | measured | CPU, ours and theirs |\n|---|---|---|---|")
        missed = [contest.what for contest in contests if not measure(contest, rounds)]
    if missed:
        sys.exit(f"above the goal: {', '.join(missed)}")


def prepare(folder: Path) -> list[Contest]:
    """Make, convert and load every model."""
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    import runtime_keras
    import runtime_mil
    import runtime_onnx
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    generator = np.random.default_rng(0)
    mobilenet = runtime_keras.mobilenet_v2()
    pictures = {batch: generator.uniform(-1, 1, (batch, 224, 224, 3)).astype(np.float32) for batch in (1, 8)}
    ours = {batch: runtime(convert(mobilenet, folder, shape=[batch, 224, 224, 3]), pictures[batch]) for batch in (1, 8)}
    frozen = {batch: frozen_graph(mobilenet, pictures[batch]) for batch in (1, 8)}
    exported = {batch: onnx_session(runtime_onnx.mobilenet_v2(mobilenet, batch), pictures[batch]) for batch in (1, 8)}
    half = convert(mobilenet, folder, shape=[1, 224, 224, 3], compute_precision="float16")
    network = convert(mobilenet, folder, shape=[1, 224, 224, 3], to="neuralnetwork")
    sequence, block = runtime_keras.sequence_model(), runtime_keras.transformer_block()
    steps = generator.normal(0, 1, (1, *runtime_keras.SEQUENCE)).astype(np.float32)
    tokens = generator.normal(0, 1, (1, *runtime_keras.TOKENS)).astype(np.float32)
    program = runtime(runtime_mil.sequence_model(sequence, folder / "sequence.mlpackage"), steps)
    block_program = runtime(runtime_mil.transformer_block(block, runtime_keras.HEADS, folder / "block.mlpackage"), tokens)
    onnx_sequence = onnx_session(runtime_onnx.sequence_model(sequence, runtime_keras.SEQUENCE), steps)
    onnx_block = onnx_session(runtime_onnx.transformer_block(block, runtime_keras.TOKENS, runtime_keras.HEADS), tokens)
    rounded, plain = (runtime(half, pictures[1], precision=precision) for precision in ("float16", "float32"))
    return [
        Contest("MobileNetV2 224, batch 1, over the frozen TensorFlow graph", 0.80, ours[1], frozen[1]),
        Contest("MobileNetV2 224, batch 8, over the frozen TensorFlow graph", 0.90, ours[8], frozen[8]),
        Contest("MobileNetV2 224, batch 1, over ONNX Runtime on an ONNX export", 1.05, ours[1], exported[1]),
        Contest("MobileNetV2 224, batch 8, over ONNX Runtime on an ONNX export", 1.05, ours[8], exported[8]),
        Contest("MobileNetV2 224 rounded to float16, over float32", 1.40, rounded, plain, minimum_snr_db=30),
        Contest("MobileNetV2 224 as NeuralNetwork, over the ML Program", 1.05, runtime(network, pictures[1]), ours[1]),
        Contest("two LSTMs of 128 steps, over ONNX Runtime", 1.20, program, onnx_sequence),
        Contest("the same converted from Keras, a loop, over ONNX Runtime", 1.20, runtime(convert(sequence, folder), steps), onnx_sequence),
        Contest("transformer block of 128 tokens, over ONNX Runtime", 1.20, block_program, onnx_block),
        Contest("the same converted from Keras, over ONNX Runtime", 1.20, runtime(convert(block, folder), tokens), onnx_block),
    ]


def convert(model: Any, folder: Path, *, shape: list[int] | None = None, **options: Any) -> Path:
    """Return the Core ML file that mlpipe makes of a Keras model; ML Programs in float32 unless asked otherwise."""
    from mlpipe.recipe.schema.convert import Convert
    from mlpipe.recipe.schema.source import Source
    from mlpipe.sources import keras

    output = Path(tempfile.mkdtemp(dir=folder))
    path = output / "model.keras"
    model.save(path)
    if options.setdefault("to", "mlprogram") == "mlprogram":
        options.setdefault("compute_precision", "float32")
    if shape is not None:
        options["inputs"] = {model.inputs[0].name: {"shape": shape}}
    keras.convert(Source(keras=str(path)), path, Convert.model_validate(options), output)
    return next(output.glob("model.ml*"))


def runtime(path: Path, array: np.ndarray, precision: str = "float32") -> Run:
    """Return the portable runtime on a Core ML file."""
    from mlpipe.runtime import load_model

    model = load_model(path, precision=precision)
    feed = {model.inputs[0].name: array}
    name = model.outputs[0].name
    return lambda: np.asarray(model.predict_arrays(feed)[name])


def frozen_graph(model: Any, array: np.ndarray) -> Run:
    """Return TensorFlow on the model's graph, with its variables as constants."""
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    concrete = tf.function(lambda x: model(x, training=False)).get_concrete_function(tf.TensorSpec(array.shape, tf.float32))
    frozen, given = convert_variables_to_constants_v2(concrete), tf.constant(array)

    def run() -> np.ndarray:
        (output,) = frozen(given)
        return np.asarray(output.numpy())

    return run


def onnx_session(model: bytes, array: np.ndarray) -> Run:
    """Return ONNX Runtime on an ONNX model."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    feed = {"x": np.ascontiguousarray(array)}
    return lambda: np.asarray(session.run(None, feed)[0])


def measure(contest: Contest, rounds: int) -> bool:
    """Print a row, and return whether the goal is met. Errors: AssertionError where the two do not compute the same."""
    expected, got = contest.theirs().astype(np.float64), contest.ours().astype(np.float64)
    noise = float(((got - expected) ** 2).sum())
    snr_db = np.inf if noise == 0 else 10 * np.log10(float((expected**2).sum()) / noise)
    assert got.shape == expected.shape, contest.what
    assert snr_db >= contest.minimum_snr_db, f"{contest.what}: {snr_db:.1f} dB"
    repeats = [max(1, round(ROUND_SECONDS / cpu_seconds(run, 2))) for run in (contest.ours, contest.theirs)]
    costs = [(cpu_seconds(contest.ours, repeats[0]), cpu_seconds(contest.theirs, repeats[1])) for _ in range(rounds)]
    ratio = statistics.median(ours / theirs for ours, theirs in costs)
    ours, theirs = (1000 * statistics.median(pair[side] for pair in costs) for side in (0, 1))
    print(f"| {contest.what} | {contest.goal:.2f} | {ratio:.2f} | {ours:.2f} and {theirs:.2f} ms |", flush=True)
    return ratio <= contest.goal


def cpu_seconds(run: Run, repeats: int) -> float:
    """Return the CPU time of one run, of the whole process."""
    start = time.process_time()
    for _ in range(repeats):
        run()
    return (time.process_time() - start) / repeats


if __name__ == "__main__":
    main()
