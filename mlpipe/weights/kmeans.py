"""Optimal look-up tables: exact k-means in one dimension, the same on every machine whatever its number of threads."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlpipe.errors import EnvironmentLacksTool

Array = NDArray[Any]
_NAME = "mlpipe_kmeans1d"


@dataclass(frozen=True)
class Palette:
    """A table of 2**bits values and, for each weight, which of them it becomes."""

    indices: NDArray[np.uint8]
    """The weight's shape."""
    tables: Array
    """Shapes: (groups, 2**bits); one group unless groups of channels have tables of their own."""
    bits: int
    axis: int = 0
    """The axis that the groups divide."""


def cluster(values: Array, bits: int, storage: np.dtype[Any]) -> Palette:
    """Return the table of 2**bits values that makes the squared error smallest, and each weight's nearest entry.

    Exact where there are no more distinct values than points in the histogram; else the histogram's bins are clustered by their means and the
    result is refined on the values themselves. Unused entries repeat the last one. `storage` is the type that the file holds the table in.
    Source: dynamic programming over sorted values, Grønlund et al. 2017, in coremltools' kmeans1d.
    """
    flat = values.reshape(-1).astype(np.float64)
    points, counts = _points(flat, limit=min(max(1024, 16 * 2**bits), 4096))
    if points.size <= 2**bits:
        centres = points
    else:
        centres = np.array(_kmeans1d().cluster(points, 2**bits, weights=counts).centroids)
        centres = _refined(flat, centres)
    table = np.pad(centres, (0, 2**bits - centres.size), mode="edge").astype(storage)
    return Palette(nearest(values, table), table[None], bits)


def nearest(values: Array, table: Array) -> NDArray[np.uint8]:
    """Return the index of the table's nearest entry for each value; of equal entries the first. Shapes: that of `values`."""
    entries, first = np.unique(table.astype(np.float64), return_index=True)
    middles = (entries[1:] + entries[:-1]) / 2
    return first[np.searchsorted(middles, values.astype(np.float64))].astype(np.uint8)


def noise_bound(values: Array, bits: int) -> float:
    """Return a sum of squared errors that an optimal table cannot exceed.

    2**bits levels in the middle of equal cells over the range leave no value further than half a cell off; the best table is no worse. Half a
    bin of the histogram is added for its rounding.
    """
    low, high = float(values.min()), float(values.max())
    return float(((high - low) / 2 * (2.0**-bits + 2.0**-10)) ** 2 * values.size)


def _points(flat: Array, limit: int) -> tuple[Array, Array]:
    """Return the distinct values, sorted, with their counts; where there are more than `limit`, the means of so many equally wide bins."""
    distinct, counts = np.unique(flat, return_counts=True)
    if distinct.size <= limit:
        return distinct, counts.astype(np.float64)
    low, high = distinct[0], distinct[-1]
    bins = np.minimum(((flat - low) * (limit / (high - low))).astype(np.int64), limit - 1)
    counts = np.bincount(bins, minlength=limit)
    sums = np.bincount(bins, weights=flat, minlength=limit)
    used = counts > 0
    return sums[used] / counts[used], counts[used].astype(np.float64)


def _refined(flat: Array, centres: Array) -> Array:
    """Return the means of the values that are nearest to each centre; one such step never raises the error."""
    owner = np.searchsorted((centres[1:] + centres[:-1]) / 2, flat)
    counts = np.bincount(owner, minlength=centres.size)
    sums = np.bincount(owner, weights=flat, minlength=centres.size)
    return np.where(counts > 0, sums / np.maximum(counts, 1), centres)


def _kmeans1d() -> ModuleType:
    """Return coremltools' kmeans1d, loaded by itself: importing it the usual way would import all of coremltools."""
    if _NAME in sys.modules:
        return sys.modules[_NAME]
    package = importlib.util.find_spec("coremltools")
    if package is None or not package.submodule_search_locations:
        raise EnvironmentLacksTool("coremltools is not installed", fix='pip install "coremltools>=9,<10"')
    folder = f"{package.submodule_search_locations[0]}/_deps/kmeans1d"
    spec = importlib.util.spec_from_file_location(_NAME, f"{folder}/__init__.py", submodule_search_locations=[folder])
    if spec is None or spec.loader is None:
        raise EnvironmentLacksTool("this coremltools has no kmeans1d", fix='pip install "coremltools>=9,<10"')
    module = importlib.util.module_from_spec(spec)
    sys.modules[_NAME] = module
    try:
        spec.loader.exec_module(module)
    except (ImportError, OSError) as error:
        del sys.modules[_NAME]
        raise EnvironmentLacksTool("coremltools' kmeans1d cannot be loaded", why=str(error), fix='pip install "coremltools>=9,<10"') from error
    return module
