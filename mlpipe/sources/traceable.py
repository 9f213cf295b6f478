"""A source as a TensorFlow function: what Keras and TensorFlow models of every file format are turned into."""

from __future__ import annotations

import importlib
import re
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mlpipe.errors import EnvironmentLacksTool, InvalidInput, MlpipeError, SourceUnreadable
from mlpipe.sources.feature import Feature, checked_feeds

Arrays = dict[str, np.ndarray]

MUST_COMPILE = "_XlaMustCompile"
"""The attribute of a function call that TensorFlow may not inline, and that coremltools therefore cannot convert: Keras 3 calls its grouped convolutions so."""


@dataclass(frozen=True)
class Traceable:
    """A model that TensorFlow can run and trace."""

    inputs: tuple[Feature, ...]
    outputs: tuple[Feature, ...]
    call: Callable[[Sequence[Any]], Sequence[Any]]
    """Tensors in the order of `inputs` -> tensors in the order of `outputs`; for use inside a tf.function."""
    names: Mapping[str, str] = field(default_factory=dict)
    """Core ML names that the source section asks for, by source name; `convert:` may override them."""
    run: Callable[[Sequence[np.ndarray]], list[np.ndarray]] | None = None
    """How to compute it, where `call` works in a graph only. Its functions, if it has any, are unknown outside of that graph."""
    keep_alive: Any = None
    """What owns the variables that `call` reads."""

    def describe(self, kind: str) -> dict[str, Any]:
        """Return the data of description.json."""
        names = ("tensorflow", "keras") if kind == "keras" else ("tensorflow",)
        tools = {name: str(importlib.import_module(name).__version__) for name in names}
        inputs, outputs = ([feature.as_dict() for feature in features] for features in (self.inputs, self.outputs))
        return {"kind": kind, "inputs": inputs, "outputs": outputs, "tools": tools}


def import_tensorflow() -> Any:
    """Return the tensorflow module. Errors: EnvironmentLacksTool where it is not installed."""
    try:
        import tensorflow as tf
    except ModuleNotFoundError as error:
        if error.name != "tensorflow":
            raise
        raise EnvironmentLacksTool("Keras and TensorFlow sources need TensorFlow", fix='pip install "mlpipe[tensorflow]"') from error
    return tf


def predict(model: Traceable, feeds: Iterable[Arrays]) -> Iterator[Arrays]:
    """Return the outputs for each set of feeds, in the source's own layout.

    Shapes: batch first. A model whose batch size is fixed is fed so many samples at a time.
    Errors: InvalidInput for feeds that do not fit; SourceUnreadable where TensorFlow refuses to run the model.
    """
    tf = import_tensorflow()
    run = model.run or _traced(tf, model)
    for feed in feeds:
        arrays = checked_feeds(model.inputs, feed)
        try:
            parts = [run(part) for part in _batches(model, arrays)]
        except MlpipeError:
            raise
        except Exception as error:
            if "NHWC" not in str(error):
                raise SourceUnreadable("TensorFlow cannot run the source model", why=first_line(error)) from error
            run = _compiled(tf, model, error)
            parts = [run(part) for part in _batches(model, arrays)]
        joined = parts[0] if len(parts) == 1 else [np.concatenate(pieces) for pieces in zip(*parts, strict=True)]
        yield {feature.name: value for feature, value in zip(model.outputs, joined, strict=True)}


def _traced(tf: Any, model: Traceable, *, jit_compile: bool | None = None) -> Callable[[Sequence[np.ndarray]], list[np.ndarray]]:
    """Return the model compiled into a graph, once for all batches."""
    function = tf.function(lambda *tensors: list(model.call(tensors)), autograph=False, reduce_retracing=True, jit_compile=jit_compile)
    return lambda arrays: [np.asarray(value) for value in function(*(tf.constant(array) for array in arrays))]


def _compiled(tf: Any, model: Traceable, lacking: Exception) -> Callable[[Sequence[np.ndarray]], list[np.ndarray]]:
    """Return the model compiled by XLA, which has convolutions with the channels first for every processor, where TensorFlow has them for GPUs."""
    run = _traced(tf, model, jit_compile=True)

    def guarded(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        try:
            return run(arrays)
        except Exception as error:
            fix = "build the model with the channels last (data_format), which TensorFlow convolves on every processor"
            raise SourceUnreadable("TensorFlow cannot run the source model here", why=first_line(lacking), fix=fix) from error

    return guarded


def _batches(model: Traceable, arrays: Sequence[np.ndarray]) -> Iterator[Sequence[np.ndarray]]:
    """Yield the arrays in pieces of the model's batch size, where it is fixed."""
    fixed = {feature.shape[0] for feature in model.inputs if feature.shape} - {None}
    count = arrays[0].shape[0] if arrays and arrays[0].ndim else 0
    size = fixed.pop() if len(fixed) == 1 else None
    if size is None or size == count:
        yield arrays
        return
    if count % size:
        raise InvalidInput(f"{count} samples for a source whose batch size is fixed at {size}", fix=f"feed a multiple of {size}")
    for first in range(0, count, size):
        yield [array[first : first + size] for array in arrays]


def first_line(error: BaseException) -> str:
    """Return an exception's type and the first line that says something, where it is long its beginning."""
    lines = [line.strip() for line in re.sub(r"\x1b\[[0-9;]*m", "", str(error)).splitlines() if line.strip()]
    if len(lines) > 1 and lines[0].startswith("Graph execution error"):  # TensorFlow puts the whole stack before the error
        lines = [line for line in lines if not line.startswith("[[")][-1:]
    cause = [line for line in lines if line.startswith("Exception encountered: ")]
    if cause:  # Keras puts a whole configuration before the error
        lines = [cause[-1].removeprefix("Exception encountered: ")]
    if len(lines) > 1 and lines[0].startswith("Exception encountered when calling"):  # Keras puts the layer before the error
        lines[0] = f"{lines[0].removeprefix('Exception encountered when calling ').rstrip('.')}: {lines[1]}"
    return textwrap.shorten(f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__, 300, placeholder=" ...")
