"""Models that are no networks, as the runtime's other models are used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mlpipe.errors import InvalidInput, NotExecutable
from mlpipe.runtime.classic.columns import Transform
from mlpipe.runtime.classic.rows import run_rows
from mlpipe.runtime.classic.table import ONLY_APPLE, transform_of
from mlpipe.runtime.features import Feature
from mlpipe.runtime.lowered import LayerValue, Unsupported
from mlpipe.runtime.model import RuntimeModel
from mlpipe.runtime.overflow import Overflow
from mlpipe.runtime.state import RuntimeState
from mlpipe.runtime.taps import Taps


class ClassicModel(RuntimeModel):
    """A tree ensemble, a linear model, a feature transformer ...: computed in float64, whatever the precision. Made by `load_model`."""

    _transform: Transform | None = None

    def unsupported(self) -> list[Unsupported]:
        """Return why the model cannot be executed: its type and the reason. Empty where it runs."""
        try:
            self.compile()
        except NotExecutable as error:
            why = error.why if self._file.kind in ONLY_APPLE else None
            return [Unsupported(self._file.kind, self._file.path.name, why or "; ".join(filter(None, (error.what, error.why))))]
        return []

    def compile(self) -> None:
        """Read the model's parameters.

        Errors: NotExecutable for a type that only Apple's systems execute, or parameters that do not fit each other.
        """
        if self._transform is None:
            self._transform = transform_of(self._file.spec, self._interface, self._custom_layers)

    @property
    def layers(self) -> tuple[LayerValue, ...]:
        """Return nothing: there is nothing inside that could be tapped."""
        return ()

    def taps(self, names: Sequence[str] | None = None) -> Taps:
        """Refuse, with InvalidInput: there is nothing inside."""
        raise InvalidInput(f"a model of kind {self._file.kind!r} has no layers to tap", why=f"asked for {', '.join(names)}" if names else None)

    def overflows(self, feed: Mapping[str, Any]) -> list[Overflow]:
        """Return nothing: it computes in float64."""
        del feed
        return []

    def _predict_all(self, feeds: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        self.compile()
        assert self._transform is not None
        return run_rows(self._transform, self._interface, feeds)

    def _predict_one(self, feed: Mapping[str, Any], state: RuntimeState | None) -> dict[str, Any]:
        del state
        return self._predict_all([feed])[0]

    def predict_arrays(self, feed: Mapping[str, Any], state: RuntimeState | None = None) -> dict[str, np.ndarray]:
        """Return every output as an array; a classifier's scores as a vector in label order. Errors: InvalidInput; NotExecutable."""
        return numbers_of(self.predict(feed, state), self.outputs, self._interface.predicted)


def numbers_of(results: Mapping[str, Any], outputs: Sequence[Feature], predicted: str) -> dict[str, np.ndarray]:
    """Return the numeric ones of a model's outputs as arrays: dictionaries as vectors in the order of their keys; a classifier's label is left out."""
    arrays: dict[str, np.ndarray] = {}
    has_scores = any(feature.kind == "dictionary" for feature in outputs)
    for feature in outputs:
        value = results[feature.name]
        if isinstance(value, dict):
            arrays[feature.name] = np.array(list(value.values()), np.float64)
        elif feature.kind in ("array", "double", "int64") and not (has_scores and feature.name == predicted):
            arrays[feature.name] = np.atleast_1d(np.asarray(value))
        elif feature.kind == "image":
            arrays[feature.name] = np.asarray(value)
    return arrays
