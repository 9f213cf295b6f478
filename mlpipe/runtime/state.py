"""What a stateful model remembers between predictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from mlpipe.errors import InvalidInput
from mlpipe.runtime.features import Feature
from mlpipe.runtime.feeding import STORAGE, graph_array
from mlpipe.runtime.results import shown_array


class RuntimeState:
    """The memory of one sequence of predictions, zeros at first. Made by `RuntimeModel.make_state`; functions with equal states may share one."""

    def __init__(self, features: Sequence[Feature]) -> None:
        """Start with zeros."""
        self.features = tuple(features)
        self._values = {feature.name: np.zeros(feature.sizes.default, STORAGE[feature.dtype]) for feature in features}

    def read_state(self, name: str) -> np.ndarray:
        """Return a copy of a state variable's value; float16 comes as float32, as in predictions.

        Errors: InvalidInput for a name that the model does not have.
        """
        return shown_array(self._feature(name), self._values[name]).copy()

    def write_state(self, name: str, value: Any) -> None:
        """Set a state variable's value.

        Errors: InvalidInput for a name that the model does not have, or a value of another shape or kind.
        """
        self._values[name] = graph_array(self._feature(name), value).copy()

    def arrays(self) -> Mapping[str, np.ndarray]:
        """Return every value as the graph takes it, by name."""
        return self._values

    def replace(self, values: Mapping[str, np.ndarray]) -> None:
        """Take what a prediction left behind."""
        self._values.update(values)

    def _feature(self, name: str) -> Feature:
        for feature in self.features:
            if feature.name == name:
                return feature
        names = ", ".join(repr(feature.name) for feature in self.features)
        raise InvalidInput(f"the model has no state {name!r}", fix=f"its states are {names}" if names else "it keeps none")


def checked_state(features: Sequence[Feature], state: RuntimeState | None) -> RuntimeState:
    """Return the state that a prediction uses; a model that keeps none needs none.

    Errors: InvalidInput where a stateful model is given none, or that of another model.
    """
    names = ", ".join(repr(feature.name) for feature in features)
    if state is None:
        if features:
            raise InvalidInput("the model keeps state, and none was given", why=f"its states are {names}", fix="predict(feed, state=model.make_state())")
        return RuntimeState(())
    if not isinstance(state, RuntimeState) or set(state.features) != set(features):
        given = ", ".join(f"{feature.name!r}: {feature}" for feature in state.features) if isinstance(state, RuntimeState) else type(state).__name__
        raise InvalidInput("the state belongs to another model", why=f"it is {given or 'empty'}", fix="make it with the model's own make_state()")
    return state
