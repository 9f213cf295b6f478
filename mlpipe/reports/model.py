"""report.json: everything that a run found out, as data. Every other report is rendered from it alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

NOT_TESTED = (
    "Core ML's own load and compile of the model",
    "placement on compute units (CPU, GPU, Neural Engine)",
    "accumulation order, fusion and rounding of Neural Engine and GPU kernels; float16 is a band, not one device's result",
    "latency and memory on a device",
    "the app's Swift classes for custom layers",
    "camera and Vision preprocessing in the app",
)
"""What no portable run can show; said in every report."""


def report_data(parameters: Mapping[str, Any], values: Mapping[str, Any], tasks: Mapping[str, Any], tools: Mapping[str, str], version: str) -> dict[str, Any]:
    """Return report.json's data from the values of the recipe's other tasks, by role (`source`, `package:V`, `gate:V`, ...); `version` is mlpipe's."""
    failures = parameters.get("failures", {})
    variants = {name: _variant(name, parameters["artifacts"][name], values, failures.get(name)) for name in parameters["variants"]}
    verdict = overall_verdict(variant["verdict"] for variant in variants.values())
    source = values["source"]["description"] if "source" in values else {}
    release = parameters["release"]
    return {
        "mlpipe": version,
        "recipe": parameters["recipe"],
        "passed": verdict == "PASS",
        "verdict": verdict,
        "source": source,
        "variants": variants,
        "release": None if release is None else {**release, "released": values["release"]["released"] if "release" in values else None},
        "not_tested": list(NOT_TESTED),
        "tasks": dict(tasks),
        "tools": {**tools, **source.get("tools", {})},
        "files": {},
    }


def overall_verdict(verdicts: Iterable[str]) -> str:
    """Return the verdict on a recipe: the worst of its variants'. UNGATED where no variant has a bound that counts."""
    found = set(verdicts)
    return next((verdict for verdict in ("ERROR", "FAIL", "PASS") if verdict in found), "UNGATED")


def _variant(name: str, artifact: str, values: Mapping[str, Any], failure: str | None) -> dict[str, Any]:
    gate = values[f"gate:{name}"] if failure is None else _not_built(failure)
    compare = values.get(f"compare:{name}") or {"metrics": {}, "n": None, "errors": {}, "error_count": 0, "not_computed": {}}
    quantize = values.get(f"quantize:{name}") or {}
    return {
        "artifact": artifact,
        "size_bytes": gate["size_bytes"],
        "size_ratio": gate["size_ratio"],
        "verdict": gate["verdict"],
        "metrics": compare["metrics"],
        "gates": gate["gates"],
        "samples": {"n": compare["n"], "error_count": compare["error_count"], "errors": compare["errors"]},
        "not_computed": compare["not_computed"],
        "overflows": compare.get("overflows", []),
        "weights": quantize.get("weights"),
    }


def _not_built(failure: str) -> dict[str, Any]:
    """Return what the gate says of a variant that a failed step kept from being judged."""
    gate = {"metric": "build", "bound": "completes", "value": None, "verdict": "ERROR", "why": failure}
    return {"verdict": "ERROR", "gates": [gate], "size_bytes": None, "size_ratio": None}
