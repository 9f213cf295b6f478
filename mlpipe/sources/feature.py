"""What goes in and out of a source model: names, shapes and types."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mlpipe.errors import InvalidInput


@dataclass(frozen=True)
class Feature:
    """One input or output. Shapes: None is a size that may vary; a shape of None means that not even the rank is known."""

    name: str
    shape: tuple[int | None, ...] | None
    dtype: str

    def as_dict(self) -> dict[str, Any]:
        """Return the entry for description.json."""
        return {"name": self.name, "shape": None if self.shape is None else list(self.shape), "dtype": self.dtype}


def unique_names(names: Iterable[str]) -> list[str]:
    """Return the names in order, later ones of the same name numbered: `a`, `a_1`, `a_2`."""
    taken: set[str] = set()
    result = []
    for name in names:
        count, candidate = 0, name
        while candidate in taken:
            count += 1
            candidate = f"{name}_{count}"
        taken.add(candidate)
        result.append(candidate)
    return result


def checked_feeds(features: Sequence[Feature], feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """Return the arrays in the features' order and types.

    Errors: InvalidInput for a missing or unknown name, a shape that does not fit, or values that the type cannot hold.
    """
    names = [feature.name for feature in features]
    if set(names) != set(feeds):
        raise InvalidInput(f"the source is fed {sorted(feeds)}", fix=f"its inputs are {sorted(names)}")
    return [_checked(feature, np.asarray(feeds[feature.name])) for feature in features]


def _checked(feature: Feature, value: np.ndarray) -> np.ndarray:
    if feature.shape is not None and (
        len(value.shape) != len(feature.shape) or any(want not in (None, size) for want, size in zip(feature.shape[1:], value.shape[1:], strict=True))
    ):
        raise InvalidInput(f"input {feature.name} has shape {list(value.shape)}", why=f"the source takes {list(feature.shape)}")
    wanted = np.dtype(feature.dtype)
    if value.dtype == wanted:
        return value
    if np.issubdtype(value.dtype, np.integer) and np.issubdtype(wanted, np.integer) and value.size:
        limits = np.iinfo(wanted)
        fits = limits.min <= int(value.min()) and int(value.max()) <= limits.max
    else:
        fits = np.can_cast(value.dtype, wanted, "same_kind")
    if not fits:
        raise InvalidInput(f"input {feature.name} is fed {value.dtype} values", why=f"the source takes {wanted}")
    return value.astype(wanted)
