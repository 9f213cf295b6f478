"""The recipe that `mlpipe init` writes: commented, and running as it stands."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

Description = Mapping[str, Any]
_NOT_COMPRESSIBLE = "# quantize: needs an ML Program for iOS16 or later, and this one is older: convert its source again\n"


def recipe_name(model: Path) -> str:
    """Return a name for the recipe of a model file: what of the file's name a recipe's name can hold."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", model.stem).strip("-._") or "model"


def recipe_text(name: str, kind: str, location: str, description: Description, *, allow_code: bool = False, compressible: bool = True) -> str:
    """Return a recipe for a source model that was described (`description.json`); `location` is as the recipe will name it.

    Without `compressible` it makes no variants: the file's format cannot hold compressed weights.
    """
    parts = [
        "# Written by `mlpipe init`. Run it with `mlpipe run`; see every default with `mlpipe show`.\n",
        f"mlpipe: 1\nname: {name}\n",
        _source(kind, location, description, allow_code=allow_code),
        "" if kind == "coreml" else _convert(description),
        _quantize() if compressible else _NOT_COMPRESSIBLE,
        _compare(description, has_source=kind != "coreml"),
        _gate(description, has_source=kind != "coreml") if compressible or kind != "coreml" else "",
        "# release: {variant: linear-8, name: Model}   # the variant that ships, once its gate passes\n",
    ]
    return "".join(parts)


def _source(kind: str, location: str, description: Description, *, allow_code: bool) -> str:
    lines = ["source:", f"  {kind}: {json.dumps(location)}", *(["  allow_code: true"] if allow_code else [])]
    lines += [f"  # input  {_feature(entry)}" for entry in description["inputs"]]
    lines += [f"  # output {_feature(entry)}" for entry in description["outputs"]]
    return "\n".join(lines) + "\n"


def _feature(entry: Description) -> str:
    shape = ", ".join("?" if size is None else str(size) for size in entry.get("shape") or ())
    return f"{entry['name']}: {entry.get('dtype', '?')} [{shape}]"


def _convert(description: Description) -> str:
    lines = [
        "convert:",
        "  to: mlprogram                        # or neuralnetwork (iOS 13 and 14; holds custom layers)",
        "  minimum_deployment_target: iOS16",
        "  compute_precision: float16           # or float32",
    ]
    open_shapes = [(entry["name"], shape) for entry in description["inputs"] if (shape := _closed(entry["shape"])) is not None]
    if open_shapes:
        lines += ["  inputs:                              # the source leaves sizes open: choose yours, or a range such as {min: 32, max: 512}"]
        lines += [f"    {json.dumps(name)}: {{shape: {json.dumps(shape)}}}" for name, shape in open_shapes]
    images = [(entry["name"], color) for entry in description["inputs"] if (color := _image_color(entry["shape"])) is not None]
    if images and not open_shapes:
        lines += ["  # Let the app feed images (pixels 0..255 become pixel * scale + bias, as the model was trained):", "  # inputs:"]
        lines += [f"  #   {json.dumps(name)}: {{image: {{color: {color}, scale: 0.00392156862745098, bias: 0.0}}}}" for name, color in images]
    lines += ["  # classifier: {class_labels: labels.txt}   # one label a line"]
    return "\n".join(lines) + "\n"


def _closed(shape: Sequence[int | None] | None) -> list[int] | None:
    """Return the shape with a size for every one that the source leaves open besides the batch; None where it leaves none open."""
    if shape is None or None not in shape[1:]:
        return None
    return [1 if axis == 0 else 64 if size is None else size for axis, size in enumerate(shape)]


def _image_color(shape: Sequence[int | None] | None) -> str | None:
    """Return the colour that an input of this shape could hold, or None."""
    if shape is None or len(shape) != 4:
        return None
    for channels in (shape[3], shape[1]):
        if channels in (1, 3):
            return "grayscale" if channels == 1 else "rgb"
    return None


def _quantize() -> str:
    return (
        "quantize:\n"
        "  linear: {method: linear, bits: [8]}      # a list makes variants: linear-8 ...\n"
        "  lut: {method: kmeans, bits: [8, 6]}      # lut-8, lut-6\n"
    )


def _compare(description: Description, *, has_source: bool) -> str:
    metrics = ["snr_db", "cosine", "max_abs_error", *(["top1_agreement"] if _looks_like_classifier(description) else [])]
    against = "the source and the converted model" if has_source else "the model as it came"
    return (
        f"compare:                                # every variant against {against}\n"
        "  samples: {synthetic: {count: 16, seed: 0}}   # better: {images: data/*.png, ground_truth: labels.csv} or {arrays: data.npz}\n"
        f"  metrics: [{', '.join(metrics)}]\n"
    )


def _looks_like_classifier(description: Description) -> bool:
    outputs = description["outputs"]
    shape = outputs[0].get("shape") if len(outputs) == 1 else None
    if shape is None or len(shape) != 2 or shape[0] not in (None, 1) or not str(outputs[0].get("dtype", "float32")).startswith("float"):
        return False
    return isinstance(shape[1], int) and shape[1] > 1


def _gate(description: Description, *, has_source: bool) -> str:
    agreement = ', top1_agreement: ">= 90%"' if _looks_like_classifier(description) else ""
    lines = ["gate:                                   # exit code 1 where a bound is missed; tighten these to what your app needs"]
    if has_source:
        lines.append('  converted: {source.cosine: ">= 0.999"}')
    lines.append(f'  "*": {{cosine: ">= 0.98"{agreement}}}')
    return "\n".join(lines) + "\n"
