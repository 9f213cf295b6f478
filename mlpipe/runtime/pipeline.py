"""Pipelines: models one after the other, each fed with what was fed and computed before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from mlpipe.errors import InvalidInput, MlpipeError, NotExecutable
from mlpipe.model_files.read import kind_of
from mlpipe.runtime.classic.classic_model import ClassicModel, numbers_of
from mlpipe.runtime.features import Feature
from mlpipe.runtime.lowered import LayerValue, Unsupported, not_executable
from mlpipe.runtime.model import RuntimeModel, model_of
from mlpipe.runtime.overflow import Overflow
from mlpipe.runtime.state import RuntimeState
from mlpipe.runtime.taps import Taps


class PipelineModel(RuntimeModel):
    """A pipeline, pipeline classifier or pipeline regressor. Made by `load_model`."""

    _stages: list[RuntimeModel] | None = None

    def unsupported(self) -> list[Unsupported]:
        """Return every layer of every stage that the runtime cannot execute."""
        found: list[Unsupported] = []
        for number, stage in enumerate(self.stages(), 1):
            try:
                missing = stage.unsupported()
                # A layer has a name of its own; a classic model has the one of the file, which is the pipeline's.
                found += [replace(each, name=f"stage {number}") if isinstance(stage, ClassicModel) else each for each in missing]
            except NotExecutable as error:
                found.append(Unsupported("stage", str(number), error.what))
        return found

    def stages(self) -> list[RuntimeModel]:
        """Return the models of the pipeline, in order."""
        if self._stages is None:
            spec = self._file.spec
            pipeline = getattr(spec, spec.WhichOneof("Type"))
            models = pipeline.models if hasattr(pipeline, "models") else pipeline.pipeline.models
            if not models:
                raise NotExecutable("the pipeline has no models", where=str(self._file.path))
            files = [replace(self._file, spec=each, kind=kind_of(each)) for each in models]
            self._stages = [model_of(file, self._precision, self._threads, prepack=self._prepack, custom_layers=self._custom_layers) for file in files]
        return self._stages

    def compile(self) -> None:
        """Make every stage ready.

        Errors: NotExecutable, with every layer of every stage that cannot be executed.
        """
        missing = [] if self._compiled else self.unsupported()
        if missing:
            raise not_executable(missing, str(self._file.path))
        for stage in self.stages():
            stage.compile()
        self._compiled = True

    _compiled = False

    @property
    def layers(self) -> tuple[LayerValue, ...]:
        """Return nothing: the layers belong to the stages."""
        return ()

    def taps(self, names: Sequence[str] | None = None) -> Taps:
        """Refuse, with InvalidInput: the layers belong to the stages."""
        raise InvalidInput("a pipeline has no layers of its own to tap", why=f"asked for {', '.join(names)}" if names else None)

    def overflows(self, feed: Mapping[str, Any]) -> list[Overflow]:
        """Return the layers of every stage that overflow float16, or come near it."""
        found: list[Overflow] = []
        values = dict(feed)
        for stage in self.stages():
            given = {each.name: _fitted(each, values[each.name]) for each in stage.inputs if each.name in values}
            found += stage.overflows(given)
            values |= stage.predict(given)
        return found

    def _predict_one(self, feed: Mapping[str, Any], state: RuntimeState | None) -> dict[str, Any]:
        del state
        self.compile()
        names = [feature.name for feature in self.inputs]
        for name in feed:
            if name not in names:
                raise InvalidInput(f"the model has no input {name!r}", fix=f"its inputs are {', '.join(map(repr, names))}")
        for feature in self.inputs:
            if feed.get(feature.name) is None and not feature.optional:
                raise InvalidInput(f"input {feature.name!r} is missing", why=f"expected {feature}")
        values = dict(feed)
        for number, stage in enumerate(self.stages(), 1):
            try:
                values |= stage.predict({each.name: _fitted(each, values[each.name]) for each in stage.inputs if each.name in values})
            except MlpipeError as error:
                raise InvalidInput(f"stage {number} of the pipeline: {error.what}", why=error.why, fix=error.fix) from error
        missing = [feature.name for feature in self.outputs if feature.name not in values]
        if missing:
            raise NotExecutable(f"no stage of the pipeline computes the output {missing[0]!r}", where=str(self._file.path))
        return {feature.name: _declared(feature, values[feature.name]) for feature in self.outputs}

    def predict_arrays(self, feed: Mapping[str, Any], state: RuntimeState | None = None) -> dict[str, np.ndarray]:
        """Return every output as an array; a classifier's scores as a vector in label order. Errors: InvalidInput; NotExecutable."""
        return numbers_of(self.predict(feed, state), self.outputs, self._interface.predicted)


def _fitted(feature: Feature, value: Any) -> Any:
    """Return an array in the shape that a stage declares where dimensions of one are all that differs."""
    if feature.kind != "array" or not isinstance(value, np.ndarray) or feature.sizes.accept(value.shape):
        return value
    wanted = feature.sizes.default
    same = wanted and _without_ones(wanted) == _without_ones(value.shape)
    return value.reshape(wanted) if same else value


def _without_ones(shape: Sequence[int]) -> list[int]:
    return [size for size in shape if size != 1]


def _declared(feature: Feature, value: Any) -> Any:
    """Return an output in the type that the pipeline declares: a stage may declare another kind of number."""
    if feature.kind == "array" and feature.dtype:
        return _fitted(feature, np.asarray(value).astype(feature.dtype if feature.dtype != "float16" else np.float32))
    if feature.kind == "double" and isinstance(value, np.ndarray) and value.size == 1:
        return float(value.reshape(-1)[0])
    return value
