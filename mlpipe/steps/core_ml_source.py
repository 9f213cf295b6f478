"""A Core ML file in the source's place: run by the portable runtime, and fed pixels where it takes images."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from mlpipe.recipe.image_inputs import ResolvedImage
from mlpipe.recipe.schema.base import Color

Arrays = dict[str, np.ndarray[Any, np.dtype[Any]]]


def image_inputs(path: Path) -> dict[str, ResolvedImage]:
    """Return the image inputs that a Core ML file declares; a flexible size is None."""
    from mlpipe.runtime import open_model

    images = {}
    for feature in open_model(path).inputs:
        if feature.kind == "image":
            color: Color = "grayscale" if feature.channels == 1 else "bgr" if feature.color == "bgr" else "rgb"
            flexible = bool(feature.sizes.enumerated or feature.sizes.ranges)
            height, width = (None, None) if flexible else feature.sizes.default
            images[feature.name] = ResolvedImage(color, (1.0,) * feature.channels, (0.0,) * feature.channels, "nchw", height, width)
    return images


def run_core_ml(path: Path, feeds: Iterable[Arrays]) -> Iterator[Arrays]:
    """Yield the outputs in float32, as a reference has them."""
    from mlpipe.runtime import load_model

    model = load_model(path)
    for feed in feeds:
        # Samples do not know of each other: a model that remembers starts anew with each.
        yield model.predict_arrays(feed, model.make_state())
