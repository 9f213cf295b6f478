"""Predictions of a Core ML model on inputs as people name them: values, files, folders of samples."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from mlpipe.analysis.breakdown import custom_classes_of
from mlpipe.analysis.prediction.batch import Feed, open_batch
from mlpipe.analysis.prediction.result import Prediction
from mlpipe.analysis.prediction.values import value_of
from mlpipe.analysis.prediction.write import Writer, writer_for
from mlpipe.errors import InvalidInput, NotExecutable, RecipeError, SampleUnreadable, StoreUnusable
from mlpipe.model_files.read import read_model
from mlpipe.quantization.user_function import load_function
from mlpipe.recipe.guess import source_kind
from mlpipe.recipe.schema.compare import Samples
from mlpipe.runtime.features import Feature
from mlpipe.runtime.model import RuntimeModel, load_model
from mlpipe.runtime.state import RuntimeState
from mlpipe.runtime.taps import Taps


@dataclass(frozen=True)
class Predictions:
    """A model's predictions, made as they are gone through."""

    model: RuntimeModel
    total: int
    note: str | None
    """What the samples' place holds that is no sample."""
    _feeds: Iterator[tuple[str | None, Callable[[], Feed]]]
    _writer: Writer | None
    _taps: Taps | None
    _keep_state: bool = False
    _overflows: bool = False

    def __iter__(self) -> Iterator[Prediction]:
        """Yield a prediction for each sample, in order; one that cannot be read or computed carries its error, and the others go on.

        What is to be written is written when all of them were gone through. Errors: StoreUnusable where it cannot be.
        """
        for prediction in self._made():
            with _writing():
                if self._writer:
                    self._writer.add(prediction)
            yield prediction
        with _writing():
            if self._writer:
                self._writer.close()

    def _made(self) -> Iterator[Prediction]:
        state = self.model.make_state()
        for sample, read in self._feeds:
            try:
                yield self._predict(sample, read(), state if self._keep_state else self.model.make_state())
            except (SampleUnreadable, InvalidInput) as error:
                if sample is None:
                    raise
                yield Prediction(sample, error=error)

    def _predict(self, sample: str | None, feed: Feed, state: RuntimeState) -> Prediction:
        given = {"state": state} if self.model.states else {}
        taps = self._taps.predict_arrays(feed, **given) if self._taps else {}  # before the prediction changes the state
        overflows = tuple(self.model.overflows(feed)) if self._overflows else None
        return Prediction(sample, self.model.predict(feed, **given), taps, overflows)


def open_for(path: Path, precision: str, function: str | None, custom_layers: Mapping[str, Callable[..., Any] | str]) -> RuntimeModel:
    """Return a Core ML model that is ready to predict. A custom layer's reference is a function, or `file.py:function`.

    Errors: RecipeError for a model of another kind, or a function or class that the model or the file does not have; UserCodeFailed; ModelFileInvalid;
    NotExecutable.
    """
    require_core_ml(path)
    _check_classes(path, list(custom_layers))
    references = {name: load_function(given, Path()) if isinstance(given, str) else given for name, given in custom_layers.items()}
    try:
        return load_model(path, precision=precision, function_name=function, custom_layers=references)
    except InvalidInput as error:
        raise as_command_error(error) from error
    except NotExecutable as error:
        if error.fix is None and "has no reference" in error.what:
            error.fix = "say what stands in for a class: --custom-layer CLASS=FILE.py:FUNCTION (in Python: custom_layers={...})"
        raise


def _check_classes(path: Path, given: Sequence[str]) -> None:
    """Check that the model has the classes that references stand in for: nothing would rest on them. Errors: RecipeError."""
    if not given:
        return
    known = sorted(set(custom_classes_of(read_model(path).spec)))
    for name in given:
        if name not in known:
            raise RecipeError(f"the model has no custom class {name!r}", fix=f"its custom classes are {', '.join(map(repr, known)) or 'none'}")


def require_core_ml(path: Path) -> None:
    """Check that a file is of the one kind that the runtime executes. Errors: RecipeError."""
    kind = source_kind(path)
    if kind != "coreml":
        fix = "convert it first; mlpipe init writes a recipe for it"
        raise RecipeError("only Core ML models are executed", where=str(path), why=f"this is of the kind {kind}", fix=fix)


def start(
    model: RuntimeModel,
    inputs: Mapping[str, Any],
    samples: str | Path | None,
    settings: Samples,
    *,
    limit: int | None = None,
    output: Path | None = None,
    taps: Sequence[str] = (),
    keep_state: bool = False,
    overflows: bool = False,
) -> Predictions:
    """Return the predictions for these inputs, or for each of the samples together with these inputs.

    Errors: RecipeError for an input or tap that the model does not have, an input that is missing, a file that does not exist; SampleUnreadable.
    """
    features = {feature.name: feature for feature in model.inputs}
    for name in inputs:
        if name not in features:
            raise unknown_input(name, list(features))
    fixed = {name: value_of(features[name], given, settings) for name, given in inputs.items()}
    free = [feature for feature in model.inputs if feature.name not in fixed]
    tapped = _taps(model, taps)
    writer = None if output is None else writer_for(output, model.outputs, single=samples is None)
    if samples is None:
        _require(free)
        return Predictions(model, 1, None, iter([(None, lambda: fixed)]), writer, tapped, keep_state, overflows)
    batch = open_batch(samples, free, settings, limit)
    feeds = ((name, partial(_joined, read, fixed)) for name, read in zip(batch.ids, batch.read(), strict=True))
    return Predictions(model, len(batch.ids), batch.note, feeds, writer, tapped, keep_state, overflows)


@contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        where = None if error.filename is None else str(error.filename)
        raise StoreUnusable("the outputs cannot be written", where=where, why=error.strerror) from error


def as_command_error(error: InvalidInput) -> RecipeError:
    """Return what the runtime says of a name as an error of the command line that has it."""
    return RecipeError(error.what, where=error.where, why=error.why, fix=error.fix)


def unknown_input(name: str, known: Sequence[str]) -> RecipeError:
    """Return the error for an input that the model does not have."""
    near = difflib.get_close_matches(name, known, 1)
    meant = f"did you mean {near[0]!r}? " if near else ""
    return RecipeError(f"the model has no input {name!r}", fix=f"{meant}its inputs are {', '.join(map(repr, known)) or 'none'}")


def _joined(read: Callable[[], Feed], fixed: Feed) -> Feed:
    return {**read(), **fixed}


def _taps(model: RuntimeModel, names: Sequence[str]) -> Taps | None:
    try:
        return model.taps(names) if names else None
    except InvalidInput as error:
        near = error.fix if error.fix and error.fix.startswith("did you mean") else None
        raise RecipeError(error.what, why=error.why, fix=near or ("mlpipe inspect --values lists what can be tapped" if model.layers else None)) from error


def _require(missing: Sequence[Feature]) -> None:
    needed = [feature for feature in missing if not feature.optional]
    if needed:
        listed = "; ".join(f"{feature.name!r}, a {feature}" for feature in needed)
        example = " ".join(f"--input {feature.name}={_example(feature)}" for feature in needed[:3])
        raise RecipeError(
            f"{'inputs are' if len(needed) > 1 else 'an input is'} missing: {listed}", fix=f"give {'them' if len(needed) > 1 else 'it'}: {example}"
        )


def _example(feature: Feature) -> str:
    examples = {"image": "photo.png", "array": "values.npy", "int64": "3", "double": "0.5", "string": "'some text'", "dictionary": "'{\"key\": 1.0}'"}
    return examples.get(feature.kind, "values.json")
