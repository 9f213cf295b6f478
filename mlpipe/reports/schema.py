"""The JSON Schema of report.json."""

from __future__ import annotations

from typing import Any

VERDICTS = ("PASS", "FAIL", "ERROR", "REPORT_ONLY", "UNGATED")
_NUMBER = {"anyOf": [{"type": "number"}, {"enum": ["nan", "inf", "-inf"]}]}
_TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}
_NUMBERS = {"type": "object", "additionalProperties": _NUMBER}


def report_schema() -> dict[str, Any]:
    """Return the schema, of draft 2020-12. NaN and infinities are the strings "nan", "inf" and "-inf"."""
    return _object(
        {
            "mlpipe": {"type": "string", "description": "The version that wrote the report."},
            "recipe": {"type": "string"},
            "passed": {"type": "boolean", "description": "Whether there are gates and all of them pass."},
            "verdict": {"enum": [verdict for verdict in VERDICTS if verdict != "REPORT_ONLY"], "description": "The worst of the variants'."},
            "source": {"type": "object", "description": "The source's description.json."},
            "variants": {"type": "object", "additionalProperties": _variant()},
            "release": _or_null(_object({"variant": {"type": "string"}, "name": {"type": "string"}, "released": _or_null({"type": "string"})})),
            "not_tested": {"type": "array", "items": {"type": "string"}},
            "tasks": {"type": "object", "additionalProperties": {"type": "object"}},
            "tools": _TEXTS,
            "files": {"type": "object", "description": "Images and arrays that reports show."},
        }
    ) | {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "mlpipe report"}


def _variant() -> dict[str, Any]:
    text = {"type": "string"}
    return _object(
        {
            "artifact": {"type": "string", "description": "The model, relative to build/<recipe>/."},
            "size_bytes": _or_null({"type": "integer", "description": "Null where a step failed."}),
            "size_ratio": _or_null({"type": "number", "description": "Bytes over those of the fp32 conversion."}),
            "verdict": {"enum": list(VERDICTS)},
            "metrics": {"type": "object", "additionalProperties": _entry(), "description": "By name; source.* are against the source."},
            "gates": {"type": "array", "items": _gate()},
            "samples": _object({"n": _or_null({"type": "integer"}), "error_count": {"type": "integer"}, "errors": _TEXTS}),
            "not_computed": {**_TEXTS, "description": "Metric -> why it has no value."},
            "overflows": {
                "type": "array",
                "items": text,
                "description": "The layers that overflow float16, where outputs are infinite or NaN; first causes first.",
            },
            "weights": {"description": "What quantization did to the weights; null where there was none."},
        }
    )


def _entry() -> dict[str, Any]:
    share = _or_null({"type": "number", "minimum": 0, "maximum": 1})
    return _object(
        {
            "value": {**_NUMBER, "description": "The worse end of the band."},
            "n": {"type": "integer", "minimum": 1},
            "low": {**share, "description": "Lower end of a share's 95 % Wilson interval."},
            "high": share,
            "worst_sample": _or_null({"type": "string"}),
            "band": {**_NUMBERS, "description": "By precision."},
            "outputs": {**_NUMBERS, "description": "By output."},
        },
        {"models": {**_NUMBERS, "description": "accuracy: of `converted` and of the source on the same samples."}},
    )


def _gate() -> dict[str, Any]:
    text = {"type": "string"}
    return _object({"metric": text, "bound": text, "value": _or_null(_NUMBER), "verdict": {"enum": ["PASS", "FAIL", "ERROR"]}, "why": text})


def _object(properties: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    return {"type": "object", "properties": properties | (optional or {}), "required": list(properties), "additionalProperties": False}


def _or_null(schema: dict[str, Any]) -> dict[str, Any]:
    return {"anyOf": [schema, {"type": "null"}]}
