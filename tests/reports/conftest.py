from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from mlpipe.reports.model import report_data

ENTRY = {"value": 0.9861, "n": 360, "low": 0.968, "high": 0.994, "worst_sample": "7|8.png", "band": {"float32": 0.9861}, "outputs": {}}
PARAMETERS = {
    "recipe": "digits",
    "variants": ["converted", "lut-4"],
    "artifacts": {"converted": "converted.mlmodel", "lut-4": "lut-4.mlmodel"},
    "release": {"variant": "lut-4", "name": "Digits"},
}


def _gate(verdict: str, *gates: tuple[str, str, Any, str, str], size: int) -> dict[str, Any]:
    keys = ("metric", "bound", "value", "verdict", "why")
    return {"verdict": verdict, "gates": [dict(zip(keys, gate, strict=True)) for gate in gates], "size_bytes": size, "size_ratio": size / 1000}


VALUES: dict[str, Any] = {
    "source": {"description": {"kind": "keras", "inputs": [], "outputs": [], "tools": {"tensorflow": "2.21.0"}}},
    "convert": {"conversion": {}},
    "package:converted": {"size_bytes": 1000, "float32_size_bytes": 1000},
    "package:lut-4": {"size_bytes": 150, "float32_size_bytes": 1000},
    "compare:converted": {
        "metrics": {"source.snr_db": {**ENTRY, "value": "inf", "low": None, "high": None, "outputs": {"y": "inf"}}},
        "n": 360,
        "errors": {},
        "error_count": 0,
        "not_computed": {"accuracy": "there is no ground truth"},
    },
    "compare:lut-4": {
        "metrics": {"top1_agreement": ENTRY, "accuracy": {**ENTRY, "models": {"source": 0.99}}},
        "n": 360,
        "errors": {"bad|.png": "cannot be\nread"},
        "error_count": 1,
        "not_computed": {},
    },
    "gate:converted": _gate("PASS", ("source.snr_db", ">= 50 dB", "inf", "PASS", ""), size=1000),
    "gate:lut-4": _gate(
        "ERROR",
        ("samples", "all readable", 1, "ERROR", "1 sample(s) could not be used"),
        ("top1_agreement", ">= 99%", 0.9861, "FAIL", "98.61% is not >= 99%; <use> more bits \x00"),
        ("size_ratio", "<= 30%", 0.15, "PASS", ""),
        size=150,
    ),
    "quantize:lut-4": {"weights": {"layers": 3}},
    "release": {"variant": "lut-4", "released": None},
}


@pytest.fixture
def values() -> dict[str, Any]:
    return copy.deepcopy(VALUES)


@pytest.fixture
def report_of() -> Callable[..., dict[str, Any]]:
    def make(values: dict[str, Any], **parameters: Any) -> dict[str, Any]:
        return report_data(PARAMETERS | parameters, values, {"digits:source": {"artifact": "ab12"}}, {"numpy": "2.4.6"}, "0.1.0")

    return make
