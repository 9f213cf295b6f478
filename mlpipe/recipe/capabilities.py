"""What each Core ML format and deployment target can hold, as pure data.

Source: coremltools 9.0, `AvailableTarget`, `_converters_entry` and `optimize/coreml`; the NeuralNetwork part from `quantization_utils`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from mlpipe.recipe.schema.convert import Target
from mlpipe.recipe.schema.quantize import Granularity, Method

IOS13, IOS14, IOS15, IOS16, IOS17, IOS18, IOS26 = 4, 5, 6, 7, 8, 9, 10
"""Specification versions, by the iOS that brought them."""

_PLATFORMS: Mapping[str, Mapping[int, str]] = {
    "iOS": {IOS13: "13", IOS14: "14", IOS15: "15", IOS16: "16", IOS17: "17", IOS18: "18", IOS26: "26"},
    "macOS": {IOS13: "10.15", IOS14: "11", IOS15: "12", IOS16: "13", IOS17: "14", IOS18: "15", IOS26: "26"},
    "tvOS": {IOS13: "13", IOS14: "14", IOS15: "15", IOS16: "16", IOS17: "17", IOS18: "18", IOS26: "26"},
    "watchOS": {IOS13: "6", IOS14: "7", IOS15: "8", IOS16: "9", IOS17: "10", IOS18: "11", IOS26: "26"},
    "visionOS": {IOS17: "1", IOS18: "2", IOS26: "26"},
}
SPECIFICATION_VERSIONS: Mapping[str, int] = {
    platform + version: specification for platform, versions in _PLATFORMS.items() for specification, version in versions.items()
}
"""Deployment target -> specification version."""

FORMAT_NAMES: Mapping[Target, str] = {"neuralnetwork": "a NeuralNetwork", "mlprogram": "an ML Program"}
FORMAT_SPECIFICATIONS: Mapping[Target, tuple[int, ...]] = {"neuralnetwork": (IOS13, IOS14), "mlprogram": (IOS15, IOS16, IOS17, IOS18, IOS26)}
DEFAULT_TARGETS: Mapping[Target, str] = {"neuralnetwork": "iOS14", "mlprogram": "iOS16"}
DEFAULT_PRECISIONS: Mapping[Target, str] = {"neuralnetwork": "float32", "mlprogram": "float16"}

FLOAT16_FEATURES = IOS16
"""float16 inputs and outputs, and 16-bit grayscale images: ML Programs from this version."""
SEVERAL_ENUMERATED_INPUTS = IOS18
"""More than one input with enumerated shapes in an ML Program."""
UNBOUNDED_FORMATS: frozenset[Target] = frozenset({"neuralnetwork"})
"""Which formats take a size without an upper end."""
LARGEST_MLMODEL_BYTES = 2**31 - 1
"""A .mlmodel is one protobuf message, which holds no more; an .mlpackage keeps its weights in a file of their own."""

_EVERY = (8, 7, 6, 5, 4, 3, 2, 1)
_PALETTE: Mapping[int, int] = {8: IOS16, 6: IOS16, 4: IOS16, 3: IOS18, 2: IOS16, 1: IOS16}
WEIGHT_BITS: Mapping[tuple[Target, Method], Mapping[int, int]] = {
    ("neuralnetwork", "float16"): {16: IOS13},
    ("neuralnetwork", "linear"): dict.fromkeys(_EVERY, IOS13),
    ("neuralnetwork", "kmeans"): dict.fromkeys(_EVERY, IOS13),
    ("neuralnetwork", "lut"): dict.fromkeys(_EVERY, IOS13),
    ("mlprogram", "float16"): {16: IOS16},
    ("mlprogram", "linear"): {8: IOS16, 4: IOS18},
    ("mlprogram", "kmeans"): _PALETTE,
    ("mlprogram", "lut"): _PALETTE,
}
"""Bits that a method can have in a format -> the specification version that first holds them."""

GRANULARITIES: Mapping[tuple[Target, Method], Mapping[Granularity, int]] = {
    ("neuralnetwork", "linear"): {"per_channel": IOS13, "per_tensor": IOS13},
    ("neuralnetwork", "kmeans"): {"per_tensor": IOS13},
    ("neuralnetwork", "lut"): {"per_tensor": IOS13},
    ("mlprogram", "linear"): {"per_channel": IOS16, "per_tensor": IOS16, "per_block": IOS18},
    ("mlprogram", "kmeans"): {"per_tensor": IOS16, "per_grouped_channel": IOS18},
    ("mlprogram", "lut"): {"per_tensor": IOS16, "per_grouped_channel": IOS18},
}
"""The same for granularities; float16 has none."""

DEFAULT_GRANULARITIES: Mapping[Method, Granularity] = {"linear": "per_channel", "kmeans": "per_tensor", "lut": "per_tensor"}
DEFAULT_SYMMETRIC: Mapping[Target, bool] = {"neuralnetwork": False, "mlprogram": True}
SYMMETRIC_BITS: Mapping[Target, tuple[int, ...]] = {"neuralnetwork": (8,), "mlprogram": (8, 4)}
"""Bits that linear quantization symmetric about zero can have."""


def specification_version(target: str) -> int:
    """Return the specification version of a deployment target, e.g. 7 for iOS16 and macOS13. Errors: KeyError."""
    return SPECIFICATION_VERSIONS[target]


def target_name(specification: int, like: str = "iOS") -> str:
    """Return the deployment target of a specification version, on the platform of another target; iOS where that platform has none."""
    match = re.match(r"[A-Za-z]+", like)
    versions = _PLATFORMS.get(match[0] if match else "iOS", _PLATFORMS["iOS"])
    platform = match[0] if match and specification in versions and match[0] in _PLATFORMS else "iOS"
    return platform + _PLATFORMS[platform][specification]


def coremltools_target(target: str) -> str:
    """Return the name under which coremltools knows a deployment target: the iOS of the same specification version. Errors: KeyError."""
    return target_name(SPECIFICATION_VERSIONS[target])
