"""A Core ML model that predicts anywhere."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mlpipe.errors import NotExecutable
from mlpipe.model_files.read import ModelFile, read_model
from mlpipe.runtime.execute import Executable
from mlpipe.runtime.features import interface
from mlpipe.runtime.feeding import prepare
from mlpipe.runtime.lowered import Classifier, Lowered, Unsupported, not_executable
from mlpipe.runtime.precision import Precision
from mlpipe.runtime.results import as_arrays, as_features


class RuntimeModel:
    """A Core ML model on ONNX Runtime. Made by `load_model`."""

    def __init__(self, file: ModelFile, precision: Precision, threads: int = 1) -> None:
        """Read the interface. The model is lowered and compiled at its first prediction, or by `load_model`."""
        self._file = file
        self._precision = precision
        self._threads = threads
        self._ready: tuple[Classifier | None, Executable] | None = None
        self.inputs, self.outputs = interface(file.spec)

    @property
    def precision(self) -> Precision:
        """What float16 values are computed in."""
        return self._precision

    def unsupported(self) -> list[Unsupported]:
        """Return every layer that the runtime cannot execute: type, name and reason. Empty where the model runs."""
        return lower(self._file, self._precision)[1]

    def compile(self) -> None:
        """Lower the model and build its session.

        Errors: NotExecutable, with every layer that cannot be executed.
        """
        if self._ready is None:
            lowered, missing = lower(self._file, self._precision)
            if missing or lowered is None:
                raise not_executable(missing, str(self._file.path))
            # The graph is not kept: the session has weights of its own.
            self._ready = lowered.classifier, Executable(lowered.graph, threads=self._threads)

    def predict(self, feed: Mapping[str, Any]) -> dict[str, Any]:
        """Return every output as coremltools' `MLModel.predict` does, for arrays and Pillow images by input name.

        Errors: InvalidInput; NotExecutable.
        """
        values, classifier = self._run(feed)
        return as_features(self.outputs, values, classifier)

    def predict_arrays(self, feed: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Return every output as an array; a classifier's scores as a vector in label order, an image as it was computed.

        Errors: InvalidInput; NotExecutable.
        """
        values, classifier = self._run(feed)
        return as_arrays(self.outputs, values, classifier)

    def _run(self, feed: Mapping[str, Any]) -> tuple[dict[str, np.ndarray], Classifier | None]:
        self.compile()
        assert self._ready is not None
        classifier, executable = self._ready
        arrays = prepare(self.inputs, feed)
        return executable.run({name: arrays[name] for name in executable.inputs}), classifier


def load_model(path: Path | str, *, precision: str = "float32", threads: int = 1) -> RuntimeModel:
    """Return the Core ML model in a `.mlmodel` or `.mlpackage`, ready to predict.

    `precision` is `float32`, or `float16`: rounded after every op that is declared in float16.
    Errors: ModelFileInvalid; NotExecutable, with every layer that cannot be executed.
    """
    model = open_model(path, precision=precision, threads=threads)
    model.compile()
    return model


def open_model(path: Path | str, *, precision: str = "float32", threads: int = 1) -> RuntimeModel:
    """Return a model whose interface and unsupported layers can be asked, whether or not it can be executed.

    Errors: ModelFileInvalid.
    """
    return RuntimeModel(read_model(path), Precision(precision), threads)


def lower(file: ModelFile, precision: Precision) -> tuple[Lowered | None, list[Unsupported]]:
    """Return the lowered model, or None, and the layers that stand in its way.

    Errors: NotExecutable for a kind of model that the runtime has no part for.
    """
    if file.kind == "mlprogram":
        from mlpipe.runtime.mlprogram.lower import lower_program

        return lower_program(file, precision)
    if file.kind == "neuralnetwork":
        from mlpipe.runtime.neuralnetwork.lower import lower_network

        return lower_network(file, precision)
    raise NotExecutable(f"the portable runtime does not execute models of kind {file.kind!r}", where=str(file.path))
