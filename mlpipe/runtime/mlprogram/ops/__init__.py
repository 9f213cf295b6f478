"""The operations of ML Programs, one family per module. A new family is one module and one line here."""

from __future__ import annotations

import importlib

FAMILIES = (
    "activation",
    "attention",
    "convolution",
    "cropping",
    "detection",
    "elementwise_binary",
    "elementwise_unary",
    "gather",
    "image_resizing",
    "linear",
    "lists",
    "normalization",
    "pooling",
    "quantization",
    "random_numbers",
    "rearrangement",
    "recurrent",
    "reduction",
    "resampling",
    "reshaping",
    "scatter",
    "slice_update",
    "slicing",
    "tensor_operation",
)


def load() -> None:
    """Import every family, which registers its operations."""
    for family in FAMILIES:
        importlib.import_module(f"{__name__}.{family}")
