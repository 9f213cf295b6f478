"""`lut`: a look-up table that the user's own function makes.

`file.py:function` names `function(weights, bits, name)`: the weight (or group of channels) as a float array in its own shape, the bits, and the weight's
name. It returns the table, an array of 2**bits values, or the pair `(table, indices)` with an index for each weight, in the weight's shape or flat.
Without indices each weight takes the nearest entry.
"""

from __future__ import annotations

import traceback
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpipe.errors import QuantizationFailed
from mlpipe.quantization.palettes import palette_by_group
from mlpipe.quantization.user_function import load_function
from mlpipe.quantization.weight import Weight
from mlpipe.recipe.schema.quantize import QuantizeStep
from mlpipe.weights.kmeans import Palette, nearest


def encode(weight: Weight, step: QuantizeStep) -> Palette:
    """Return the user's table and indices.

    Errors: QuantizationFailed where the function raises, or returns something that is no table of 2**bits finite values with fitting indices.
    """
    if step.function is None:
        raise QuantizationFailed("the method lut needs a function", fix="add `function: file.py:function`, or use the method kmeans")
    function = load_function(step.function, weight.folder)
    where = f"{step.function}, weight {weight.name}"

    def make(values: NDArray[Any]) -> Palette:
        try:
            result = function(values.copy(), step.bits, weight.name)
        except Exception as error:
            place = traceback.extract_tb(error.__traceback__)[-1]
            why = f"{type(error).__name__}: {error}, at {Path(place.filename).name}:{place.lineno}"
            raise QuantizationFailed("the user's look-up table function failed", where=where, why=why) from error
        return _palette(result, values, step.bits, weight.storage, where)

    return palette_by_group(weight, step, make)


def noise_bound(weight: Weight, step: QuantizeStep) -> float:
    """Return the energy of the weight itself: a table that is worse than zeros is a mistake, unless the recipe sets another bound."""
    return float("inf") if step.minimum_snr_db is not None else float(np.sum(weight.values.astype(np.float64) ** 2))


def _palette(result: Any, values: NDArray[Any], bits: int, storage: np.dtype[Any], where: str) -> Palette:
    table, indices = result if isinstance(result, tuple) and len(result) == 2 else (result, None)
    try:
        table = np.asarray(table, np.float64)
        indices = None if indices is None else np.asarray(indices)
    except (TypeError, ValueError) as error:
        raise QuantizationFailed("the function returned no table of numbers", where=where, why=str(error)) from error
    stored = table.astype(storage)
    if table.shape != (2**bits,) or not np.isfinite(stored).all():
        why = f"it returned an array of shape {list(table.shape)}" if table.shape != (2**bits,) else f"an entry is not a finite {storage}"
        raise QuantizationFailed(f"the function must return a table of {2**bits} finite values", where=where, why=why)
    if indices is None:
        return Palette(nearest(values, stored), stored[None], bits)
    if indices.size != values.size or indices.dtype.kind not in "iu" or indices.min() < 0 or indices.max() >= 2**bits:
        why = f"it returned {indices.size} of type {indices.dtype} from {indices.min()} to {indices.max()}" if indices.size else "it returned none"
        raise QuantizationFailed(f"the function must return {values.size} whole-number indices below {2**bits}", where=where, why=why)
    return Palette(indices.reshape(values.shape).astype(np.uint8), stored[None], bits)
