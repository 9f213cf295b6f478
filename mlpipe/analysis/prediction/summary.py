"""What an output holds, in few words and as JSON-able data."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from mlpipe.samples.ports import Array

MOST_VALUES = 4096
"""Arrays up to this many elements are listed whole in JSON; larger ones are for files."""

FIRST = 6
BEST = 5


def described(value: Any) -> dict[str, Any]:
    """Return kind, type, shape and statistics of one output, with its values where they are few."""
    if isinstance(value, np.ndarray):
        return {"kind": "array", **_statistics(value), "values": plain(value) if value.size <= MOST_VALUES else None}
    if isinstance(value, Mapping):
        best = sorted(value.items(), key=lambda entry: (math.isnan(entry[1]), -entry[1]))[:BEST]
        return {"kind": "scores", "count": len(value), "best": [{"label": label, "score": plain(score)} for label, score in best], "values": plain(value)}
    if hasattr(value, "getbands"):
        pixels = pixels_of_image(value)
        return {"kind": "image", "height": value.height, "width": value.width, **_statistics(pixels), "values": None}
    return {"kind": "value", "dtype": type(value).__name__, "values": plain(value)}


def in_words(found: Mapping[str, Any]) -> str:
    """Return one line for what `described` returns."""
    if found["kind"] == "scores":
        scores = found["values"].values()
        shares = all(isinstance(score, float) and 0 <= score <= 1 for score in scores) and math.isclose(sum(scores), 1, abs_tol=1e-3)
        best = "; ".join(f"{format(entry['score'], '.2%') if shares else _number(entry['score'])} {entry['label']}" for entry in found["best"])
        return best if found["count"] <= BEST else f"{best}  (best {BEST} of {found['count']})"
    if found["kind"] == "value":
        return str(found["values"])
    shape = "x".join(map(str, found["shape"])) or "single number"
    kind = f"image {found['height']} x {found['width']} (height x width)" if found["kind"] == "image" else f"{found['dtype']} {shape}"
    parts = [kind, *(f"{key} {_number(found[key])}" for key in ("min", "mean", "max") if found[key] is not None)]
    parts += [f"{found[key]} {name}" for key, name in (("nan", "NaN"), ("infinite", "infinite")) if found[key]]
    line = "  ".join(parts)
    if found["kind"] == "image":
        return line
    if found["values"] is not None and math.prod(found["shape"]) == 1:
        return f"{kind}  {_number(found['first'][0])}"
    return f"{line}  first {' '.join(map(_number, found['first']))}" if found["first"] else line


def plain(value: Any) -> Any:
    """Return a value as JSON has it: lists, and text for numbers that are not finite."""
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, np.ndarray):
        if value.dtype.kind != "f" or np.isfinite(value).all():
            return value.tolist()
        return [plain(entry) for entry in value] if value.ndim else plain(value.item())
    if isinstance(value, list | tuple):
        return [plain(entry) for entry in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def pixels_of_image(image: Any) -> Array:
    """Return an output image's pixels: height x width, or x 3, red first; Core ML's alpha channel is full and left out."""
    pixels = np.asarray(image)
    return np.ascontiguousarray(pixels[:, :, :3]) if pixels.ndim == 3 else pixels


def _statistics(array: Array) -> dict[str, Any]:
    """Return type, shape, and least, mean and greatest of the finite values, in float64."""
    numbers = array.reshape(-1)
    finite = numbers[np.isfinite(numbers)] if array.dtype.kind == "f" else numbers
    there = finite.size > 0
    return {
        "dtype": array.dtype.name,
        "shape": list(array.shape),
        "min": plain(finite.min()) if there else None,
        "mean": float(finite.mean(dtype=np.float64)) if there else None,
        "max": plain(finite.max()) if there else None,
        "nan": int(np.isnan(numbers).sum()) if array.dtype.kind == "f" else 0,
        "infinite": int(np.isinf(numbers).sum()) if array.dtype.kind == "f" else 0,
        "first": [plain(number) for number in numbers[:FIRST]],
    }


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
