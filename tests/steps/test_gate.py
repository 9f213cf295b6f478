from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlpipe.recipe.bounds import parse_bound
from mlpipe.steps import gate
from mlpipe.steps.step import StepRequest

Request = Callable[..., StepRequest]


def entry(value: float | str, n: int = 360, **more: Any) -> dict[str, Any]:
    return {"value": value, "n": n, "low": None, "high": None, "worst_sample": "7.png", "band": {"float32": value}, "outputs": {}, **more}


@pytest.fixture
def verdict(step_request: Request) -> Callable[..., Any]:
    """The gate's values for bounds as a recipe writes them."""

    def judge(
        bounds: dict[str, str] | None,
        metrics: dict[str, Any] | None = None,
        *,
        variant: str = "lut-4",
        report_only: bool = False,
        confidence: float | None = None,
        package: dict[str, Any] | None = None,
        **compare: Any,
    ) -> Any:
        rules = None
        if bounds is not None:
            parsed = [parse_bound(key, text, confidence).model_dump(mode="json") for key, text in bounds.items()]
            rules = {"bounds": parsed, "report_only": report_only}
        values: dict[str, Any] = {"package": package or {"size_bytes": 250, "float32_size_bytes": 1000}}
        if metrics is not None:
            values["compare"] = {"metrics": metrics, "n": 360, "errors": {}, "error_count": 0, "not_computed": {}, **compare}
        request = step_request("gate", parameters={"variant": variant, "rules": rules}, values=values)
        result = gate.run(request).values
        assert json.loads((request.output / "verdict.json").read_text()) == result
        (request.output / "verdict.json").unlink()
        request.output.rmdir()
        return result

    return judge


def test_a_metric_without_a_bound_that_was_not_computed_is_an_error_where_anything_is_gated(verdict: Callable[..., Any]) -> None:
    why = "labels.csv:3: unknown label 'cow'"
    result = verdict({"snr_db": ">= 20 dB"}, {"snr_db": entry(40.0)}, not_computed={"accuracy": why})
    assert result["verdict"] == "ERROR"
    assert [gate["verdict"] for gate in result["gates"]] == ["PASS", "ERROR"]
    assert result["gates"][1]["why"] == f"accuracy was not computed: {why}"
    assert verdict(None, {}, not_computed={"accuracy": why})["verdict"] == "UNGATED"


@pytest.mark.parametrize(
    ("bound", "value", "expected"),
    [
        (">= 98%", 0.98, "PASS"),
        (">= 98%", 0.9799999, "FAIL"),
        ("> 98%", 0.98, "FAIL"),
        ("== 100%", 1.0, "PASS"),
        ("<= 98%", 0.99, "FAIL"),
        ("< 98%", 0.97, "PASS"),
    ],
)
def test_bounds_are_exact(verdict: Callable[..., Any], bound: str, value: float, expected: str) -> None:
    result = verdict({"accuracy": bound}, {"accuracy": entry(value)})
    assert (result["verdict"], result["gates"][0]["verdict"], result["gates"][0]["bound"]) == (expected, expected, bound)


def test_sizes_are_metrics(verdict: Callable[..., Any]) -> None:
    result = verdict({"size_ratio": "<= 30%", "size_bytes": "<= 0.2 kB"})
    assert (result["size_bytes"], result["size_ratio"]) == (250, 0.25)
    assert [one["verdict"] for one in result["gates"]] == ["PASS", "FAIL"]
    assert "fewer bits" in result["gates"][1]["why"]
    unknown = verdict({"size_ratio": "<= 30%"}, package={"size_bytes": 250, "float32_size_bytes": None})
    assert (unknown["verdict"], unknown["size_ratio"]) == ("ERROR", None)


@pytest.mark.parametrize("metrics", [None, {}])
def test_a_metric_that_was_not_computed_is_an_error(verdict: Callable[..., Any], metrics: dict[str, Any] | None) -> None:
    [judged] = verdict({"snr_db": ">= 40 dB"}, metrics)["gates"]
    assert (judged["verdict"], judged["value"]) == ("ERROR", None)
    assert "list it under compare.metrics" in judged["why"]


def test_the_reason_that_compare_recorded_is_told(verdict: Callable[..., Any]) -> None:
    result = verdict({"accuracy": ">= 90%"}, {}, not_computed={"accuracy": "labels.csv:3: unknown label 'cow'"})
    assert "unknown label 'cow'" in result["gates"][0]["why"]


@pytest.mark.parametrize("bound", [">= 0%", "<= 100%", "== 100%"])
def test_nan_passes_no_bound(verdict: Callable[..., Any], bound: str) -> None:
    [judged] = verdict({"accuracy": bound}, {"accuracy": entry("nan")})["gates"]
    assert (judged["verdict"], judged["value"]) == ("ERROR", "nan")
    assert "7.png" in judged["why"]


def test_infinite_decibels_pass(verdict: Callable[..., Any]) -> None:
    assert verdict({"snr_db": ">= 60 dB"}, {"snr_db": entry("inf")})["verdict"] == "PASS"
    assert verdict({"snr_db": ">= 60 dB"}, {"snr_db": entry("-inf")})["verdict"] == "FAIL"


def test_zero_samples_are_an_error_even_for_a_gate_on_size(verdict: Callable[..., Any]) -> None:
    result = verdict({"size_ratio": "<= 30%"}, {}, n=0)
    assert result["verdict"] == "ERROR"
    assert [one["verdict"] for one in result["gates"]] == ["ERROR", "PASS"]
    assert "no samples" in result["gates"][0]["why"]


def test_one_unreadable_sample_is_an_error_however_good_the_rest_is(verdict: Callable[..., Any]) -> None:
    result = verdict({"accuracy": ">= 90%"}, {"accuracy": entry(1.0)}, errors={"3.png": "damaged"}, error_count=2)
    assert result["verdict"] == "ERROR"
    assert result["gates"][0]["why"] == "2 sample(s) could not be used, e.g. 3.png: damaged; mend or remove them"


def test_error_beats_fail_and_fail_beats_pass(verdict: Callable[..., Any]) -> None:
    metrics = {"accuracy": entry(0.5), "snr_db": entry(50.0)}
    assert verdict({"accuracy": ">= 90%", "snr_db": ">= 40 dB"}, metrics)["verdict"] == "FAIL"
    assert verdict({"accuracy": ">= 90%", "cosine": ">= 0.9"}, metrics)["verdict"] == "ERROR"


def test_report_only_and_ungated(verdict: Callable[..., Any]) -> None:
    metrics = {"accuracy": entry(0.5)}
    reported = verdict({"accuracy": ">= 90%"}, metrics, report_only=True)
    assert (reported["verdict"], reported["gates"][0]["verdict"]) == ("REPORT_ONLY", "FAIL")
    assert verdict({}, metrics)["verdict"] == "UNGATED"
    assert verdict(None, metrics) == {"variant": "lut-4", "verdict": "UNGATED", "gates": [], "size_bytes": 250, "size_ratio": 0.25}


def test_confidence_demands_the_lower_end(verdict: Callable[..., Any]) -> None:
    # 358 of 360: Wilson's 95% interval starts at 0.97997, its 99% interval at 0.97208 (by finding the root of its definition).
    metrics = {"accuracy": entry(358 / 360)}
    assert verdict({"accuracy": ">= 97.9%"}, metrics, confidence=0.95)["verdict"] == "PASS"
    assert verdict({"accuracy": ">= 98.1%"}, metrics, confidence=0.95)["verdict"] == "FAIL"
    assert verdict({"accuracy": ">= 98.1%"}, metrics)["verdict"] == "PASS"
    [judged] = verdict({"accuracy": ">= 97.9%"}, metrics, confidence=0.99)["gates"]
    assert judged["verdict"] == "FAIL"
    assert "99.44% (358 of 360), of which 99% confidence leaves 97.21%" in judged["why"]


@pytest.mark.parametrize(
    ("bound", "n", "message"),
    [
        (">= 98%", 20, "20 samples are too few for this bound to mean anything: it takes 189"),
        (">= 98%", 188, "it takes 189"),
        (">= 98%", 189, ""),
        (">= 50%", 4, ""),
        (">= 50%", 3, "it takes 4"),
        ("== 100%", 20, ""),
        (">= 100%", 20, "even a perfect result shows no more than 83.9%"),
    ],
)
def test_too_few_samples_are_said(verdict: Callable[..., Any], bound: str, n: int, message: str) -> None:
    [judged] = verdict({"accuracy": bound}, {"accuracy": entry(1.0, n)})["gates"]
    assert judged["verdict"] == "PASS"
    assert (message in judged["why"]) if message else judged["why"] == ""


@pytest.mark.parametrize(
    ("metric", "bound", "value", "variant", "message"),
    [
        ("top1_agreement", ">= 98%", 0.9, "lut-4", "use more bits"),
        ("source.snr_db", ">= 60 dB", 20.0, "converted", "look at the conversion"),
        ("accuracy", ">= 98%", 0.9, "converted", "labels, the preprocessing"),
        ("snr_db", ">= 60 dB", 59.9999999, "lut-4", "59.9999999 dB is not >= 60 dB; worst sample 7.png"),
    ],
)
def test_a_failure_says_what_to_do_next(verdict: Callable[..., Any], metric: str, bound: str, value: float, variant: str, message: str) -> None:
    [judged] = verdict({metric: bound}, {metric: entry(value)}, variant=variant)["gates"]
    assert judged["verdict"] == "FAIL"
    assert message in judged["why"]


def test_float16_is_blamed_where_it_alone_fails(verdict: Callable[..., Any]) -> None:
    metrics = {"snr_db": entry(20.0, band={"float32": 90.0, "float16": 20.0})}
    assert "float16 is the cause" in verdict({"snr_db": ">= 40 dB"}, metrics)["gates"][0]["why"]
    metrics = {"snr_db": entry(20.0, band={"float32": 30.0, "float16": 20.0})}
    assert "float16" not in verdict({"snr_db": ">= 40 dB"}, metrics)["gates"][0]["why"]


def test_main_process_steps_import_nothing_heavy() -> None:
    import subprocess
    import sys

    heavy = {"numpy", "tensorflow", "coreml" + "tools", "onnx", "onnxruntime", "PIL"}
    code = f"import sys, mlpipe.steps.gate, mlpipe.steps.release, mlpipe.steps.report; print(sorted({heavy!r} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.strip() == "[]"
    assert Path(gate.__file__).exists()
