"""A Core ML model that predicts anywhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, overload

import numpy as np

from mlpipe.errors import InvalidInput, NotExecutable
from mlpipe.model_files.read import ModelFile, read_model
from mlpipe.runtime.custom_layers import References
from mlpipe.runtime.execute import Executable
from mlpipe.runtime.features import Feature, interface
from mlpipe.runtime.feeding import check_limits, prepare
from mlpipe.runtime.host_parts import HostParts, executable
from mlpipe.runtime.lowered import Classifier, LayerValue, Lowered, Unsupported, not_executable
from mlpipe.runtime.onnx_graph import Graph
from mlpipe.runtime.overflow import Overflow, find_overflows
from mlpipe.runtime.precision import Precision
from mlpipe.runtime.results import as_arrays, as_features
from mlpipe.runtime.state import RuntimeState, checked_state
from mlpipe.runtime.taps import Taps, choose


class RuntimeModel:
    """A Core ML model on ONNX Runtime. Made by `load_model`."""

    def __init__(
        self,
        file: ModelFile,
        precision: Precision,
        threads: int = 1,
        function_name: str | None = None,
        *,
        prepack: bool = True,
        custom_layers: References | None = None,
    ) -> None:
        """Read the interface. The model is lowered and compiled at its first prediction, or by `load_model`."""
        self._file = file
        self._precision = precision
        self._threads = threads
        self._prepack = prepack
        self._custom_layers = custom_layers or {}
        self._ready: tuple[Lowered, Executable | HostParts] | None = None
        self._interface = interface(file.spec, function_name)

    @property
    def function_name(self) -> str:
        """The function that is executed: `main` unless the model has several."""
        return self._interface.function

    @property
    def inputs(self) -> tuple[Feature, ...]:
        """What the model takes."""
        return self._interface.inputs

    @property
    def outputs(self) -> tuple[Feature, ...]:
        """What the model gives."""
        return self._interface.outputs

    @property
    def states(self) -> tuple[Feature, ...]:
        """What the model remembers between predictions that are given the same state."""
        return self._interface.states

    def make_state(self) -> RuntimeState:
        """Return a new state, zeros, for `predict(feed, state=...)`; of a model that keeps none, an empty one."""
        return RuntimeState(self.states)

    @property
    def precision(self) -> Precision:
        """What float16 values are computed in."""
        return self._precision

    def unsupported(self) -> list[Unsupported]:
        """Return every layer that the runtime cannot execute: type, name and reason. Empty where the model runs."""
        return lower(self._file, self._precision, self.function_name, self._custom_layers)[1]

    def compile(self) -> None:
        """Lower the model and build its session.

        Errors: NotExecutable, with every layer that cannot be executed.
        """
        if self._ready is None:
            lowered = self._lower()
            # The graph is not kept, with it go the constants that optimisation has replaced.
            self._ready = replace(lowered, graph=Graph()), self._executable(lowered.graph)

    @property
    def layers(self) -> tuple[LayerValue, ...]:
        """Every value that can be tapped, in the order of the file: name, operation, type and shape.

        Errors: NotExecutable.
        """
        self.compile()
        assert self._ready is not None
        return tuple(choose(self._ready[0].values, None))

    def taps(self, names: Sequence[str] | None = None) -> Taps:
        """Return values from inside the model, all of `layers` where no names are given, to be computed for any feed by a session of their own.

        Errors: InvalidInput for a name that the model does not have or that lies inside a block; NotExecutable.
        """
        lowered = self._lower()
        return Taps(lowered.graph, choose(lowered.values, names), partial(self._arrays, lowered.limits), self._executable)

    def overflows(self, feed: Mapping[str, Any]) -> list[Overflow]:
        """Return the layers that overflow float16, or come near it, for a feed: first causes first. See `find_overflows`.

        Errors: InvalidInput; NotExecutable.
        """
        return find_overflows(self, [feed])

    def computed_in(self, precision: Precision) -> RuntimeModel:
        """Return the same function of the same file in another precision."""
        return model_of(self._file, precision, self._threads, self._interface.function, prepack=self._prepack, custom_layers=self._custom_layers)

    @overload
    def predict(self, feed: Mapping[str, Any], state: RuntimeState | None = None) -> dict[str, Any]: ...

    @overload
    def predict(self, feed: Sequence[Mapping[str, Any]], state: None = None) -> list[dict[str, Any]]: ...

    def predict(self, feed: Mapping[str, Any] | Sequence[Mapping[str, Any]], state: RuntimeState | None = None) -> dict[str, Any] | list[dict[str, Any]]:
        """Return every output as coremltools' `MLModel.predict` does, for arrays and Pillow images by input name; of several feeds a list of such.

        A stateful model reads `state` and leaves its new values there. Errors: InvalidInput; NotExecutable.
        """
        if not isinstance(feed, Mapping):
            if state is not None:
                raise InvalidInput("several feeds do not share a state", fix="predict them one after the other")
            return self._predict_all(feed)
        return self._predict_one(feed, state)

    def _predict_all(self, feeds: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        return [self._predict_one(feed, None) for feed in feeds]

    def _predict_one(self, feed: Mapping[str, Any], state: RuntimeState | None) -> dict[str, Any]:
        values, classifier = self._run(feed, state)
        return as_features(self.outputs, values, classifier)

    def predict_arrays(self, feed: Mapping[str, Any], state: RuntimeState | None = None) -> dict[str, np.ndarray]:
        """Return every output as an array; a classifier's scores as a vector in label order, an image as it was computed.

        Errors: InvalidInput; NotExecutable.
        """
        values, classifier = self._run(feed, state)
        return as_arrays(self.outputs, values, classifier)

    def _executable(self, graph: Graph) -> Executable | HostParts:
        return executable(graph, partial(Executable, threads=self._threads, prepack=self._prepack))

    def _lower(self) -> Lowered:
        lowered, missing = lower(self._file, self._precision, self.function_name, self._custom_layers)
        if missing or lowered is None:
            raise not_executable(missing, str(self._file.path))
        return lowered

    def _arrays(self, limits: Mapping[str, np.dtype[Any]], feed: Mapping[str, Any], state: RuntimeState | None = None) -> dict[str, np.ndarray]:
        """Return what the graph takes, by name."""
        arrays = {**prepare(self.inputs, feed), **checked_state(self.states, state).arrays()}
        check_limits(limits, arrays)
        return arrays

    def _run(self, feed: Mapping[str, Any], state: RuntimeState | None) -> tuple[dict[str, np.ndarray], Classifier | None]:
        self.compile()
        assert self._ready is not None
        lowered, executable = self._ready
        arrays = self._arrays(lowered.limits, feed, state)
        values = executable.run({name: arrays[name] for name in executable.inputs})
        if state is not None:
            state.replace({name: values[output] for name, output in lowered.states.items()})
        return values, lowered.classifier


def load_model(
    path: Path | str,
    *,
    precision: str = "float32",
    threads: int = 1,
    function_name: str | None = None,
    prepack: bool = True,
    custom_layers: References | None = None,
) -> RuntimeModel:
    """Return the Core ML model in a `.mlmodel` or `.mlpackage`, ready to predict.

    `precision` is `float32`, or `float16`: rounded after every op that is declared in float16. `function_name` chooses one of several
    functions; None is the model's default. Without `prepack` weights are held once: less memory, slower predictions. `custom_layers` are the
    references that stand in for the classes of custom layers, by class name; see `runtime/custom_layers.py`.
    Errors: ModelFileInvalid; InvalidInput for a function that it does not have; NotExecutable, with every layer that cannot be executed.
    """
    model = open_model(path, precision=precision, threads=threads, function_name=function_name, prepack=prepack, custom_layers=custom_layers)
    model.compile()
    return model


def open_model(
    path: Path | str,
    *,
    precision: str = "float32",
    threads: int = 1,
    function_name: str | None = None,
    prepack: bool = True,
    custom_layers: References | None = None,
) -> RuntimeModel:
    """Return a model whose interface and unsupported layers can be asked, whether or not it can be executed.

    Errors: ModelFileInvalid; InvalidInput for a function that it does not have.
    """
    return model_of(read_model(path), Precision(precision), threads, function_name, prepack=prepack, custom_layers=custom_layers)


def model_of(
    file: ModelFile, precision: Precision, threads: int = 1, function_name: str | None = None, *, prepack: bool = True, custom_layers: References | None = None
) -> RuntimeModel:
    """Return the model of a file that was read: networks and programs as graphs, pipelines by their stages, every other type by its formulas."""
    if file.kind in ("mlprogram", "neuralnetwork"):
        return RuntimeModel(file, precision, threads, function_name, prepack=prepack, custom_layers=custom_layers)
    from mlpipe.runtime.classic.classic_model import ClassicModel
    from mlpipe.runtime.pipeline import PipelineModel

    kind = PipelineModel if file.kind == "pipeline" else ClassicModel
    return kind(file, precision, threads, function_name, prepack=prepack, custom_layers=custom_layers)


def lower(
    file: ModelFile, precision: Precision, function_name: str | None = None, custom_layers: References | None = None
) -> tuple[Lowered | None, list[Unsupported]]:
    """Return the lowered model, or None, and the layers that stand in its way.

    Errors: NotExecutable for a kind of model that the runtime has no part for.
    """
    if file.kind == "mlprogram":
        from mlpipe.runtime.mlprogram.lower import lower_program

        return lower_program(file, precision, function_name)
    if file.kind == "neuralnetwork":
        from mlpipe.runtime.neuralnetwork.lower import lower_network

        return lower_network(file, precision, custom_layers or {})
    raise NotExecutable(f"the portable runtime does not execute models of kind {file.kind!r}", where=str(file.path))
