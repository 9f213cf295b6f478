"""What Apple's framework says of a feed that it refuses: some tests look for its words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def refusal(features: Sequence[Any], feed: Mapping[str, Any], ours: str) -> str:
    """Return the framework's message; ours stands behind it, so that what mlpipe refused can be read."""
    sentences = ["Unable to compute the prediction using ML Program"]
    for feature in features:
        if feature.kind == "array" and feature.name in feed:
            sentences += _shape(np.shape(feed[feature.name]), feature.sizes)
    return ". ".join([*sentences, ours])


def _shape(shape: tuple[int, ...], sizes: Any) -> list[str]:
    if sizes.accept(shape):
        return []
    if sizes.enumerated:
        return [f"MultiArray Shape ({' x '.join(map(str, shape))}) was not in enumerated set of allowed shapes"]
    ranges = enumerate(zip(shape, sizes.ranges, strict=False))
    outside = [(axis, size, low, high) for axis, (size, (low, high)) in ranges if size < low or (high is not None and size > high)]
    return [f"Size ({size}) of dimension ({axis}) is not in allowed range ({low}..{high})" for axis, size, low, high in outside]
