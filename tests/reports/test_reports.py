from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import Any
from xml.etree import ElementTree as ET

import jsonschema
import pytest

from mlpipe.reports.figures import format_apart, format_bytes, format_value
from mlpipe.reports.junit import junit
from mlpipe.reports.markdown import failed_gates, markdown
from mlpipe.reports.model import NOT_TESTED, overall_verdict
from mlpipe.reports.schema import report_schema

Report = Callable[..., dict[str, Any]]


def test_the_report_follows_its_schema(report_of: Report, values: dict[str, Any]) -> None:
    jsonschema.Draft202012Validator.check_schema(report_schema())
    validator = jsonschema.Draft202012Validator(report_schema())
    validator.validate(json.loads(json.dumps(report_of(values), allow_nan=False)))
    bare = {key: value for key, value in values.items() if not key.startswith(("compare", "quantize", "release"))}
    validator.validate(report_of(bare, release=None))


@pytest.mark.parametrize(
    "damage",
    [
        lambda report: report.pop("passed"),
        lambda report: report.update(surplus=1),
        lambda report: report["variants"]["lut-4"].update(verdict="MAYBE"),
        lambda report: report["variants"]["lut-4"].pop("gates"),
        lambda report: report["variants"]["lut-4"]["metrics"]["accuracy"].update(value="NaN"),
        lambda report: report["variants"]["lut-4"]["metrics"]["accuracy"].update(n=0),
        lambda report: report["variants"]["lut-4"]["gates"][0].pop("why"),
    ],
)
def test_the_schema_refuses_other_data(report_of: Report, values: dict[str, Any], damage: Callable[[dict[str, Any]], Any]) -> None:
    report = report_of(values)
    damage(report)
    assert not jsonschema.Draft202012Validator(report_schema()).is_valid(report)


def test_the_report_says_what_the_tasks_found(report_of: Report, values: dict[str, Any]) -> None:
    report = report_of(values)
    assert (report["recipe"], report["passed"], report["verdict"]) == ("digits", False, "ERROR")
    assert report["tools"] == {"numpy": "2.4.6", "tensorflow": "2.21.0"}
    assert report["release"] == {"variant": "lut-4", "name": "Digits", "released": None}
    lut = report["variants"]["lut-4"]
    assert (lut["artifact"], lut["size_bytes"], lut["size_ratio"], lut["weights"]) == ("lut-4.mlmodel", 150, 0.15, {"layers": 3})
    assert lut["samples"] == {"n": 360, "error_count": 1, "errors": {"bad|.png": "cannot be\nread"}}
    assert report["variants"]["converted"]["not_computed"] == {"accuracy": "there is no ground truth"}


def test_nothing_but_gates_that_pass_is_a_pass() -> None:
    order = ["ERROR", "FAIL", "PASS"]
    for verdicts in itertools.product(["PASS", "FAIL", "ERROR", "REPORT_ONLY", "UNGATED"], repeat=3):
        expected = next((verdict for verdict in order if verdict in verdicts), "UNGATED")
        assert overall_verdict(verdicts) == expected


def test_markdown_shows_every_variant_failure_and_limit(report_of: Report, values: dict[str, Any]) -> None:
    text = markdown(report_of(values))
    assert "## Metrics that were not computed\n\n- converted: accuracy: there is no ground truth\n" in text
    assert text.startswith("# digits could not be judged\n")
    assert "| lut-4 | 150 B | 15.00% | - | 98.61% (96.8 to 99.4) | 98.61% (96.8 to 99.4) | ERROR |" in text
    assert "| converted | 1.00 kB | 100.00% | inf dB | - | - | PASS |" in text
    assert "- **lut-4**: top1_agreement >= 99%: FAIL. 98.61% is not >= 99%; \\<use> more bits" in text
    assert "- lut-4: bad\\|.png: cannot be read" in text
    assert "**Not released:** the gate of lut-4 does not pass." in text
    assert "The source's own accuracy: 99.00%." in text
    assert "mlpipe 0" in text
    for item in NOT_TESTED:
        assert item in text
    tables = [line for line in text.splitlines() if line.startswith("|")]
    for name, columns in (("variant | size", 9), ("variant | metric", 8)):
        start = next(index for index, line in enumerate(tables) if line.startswith(f"| {name}"))
        assert all(len(line.replace("\\|", "").split("|")) == columns for line in tables[start : start + 3])


def test_markdown_of_a_pass_promises_no_more_than_portable_gates(report_of: Report, values: dict[str, Any]) -> None:
    values["gate:lut-4"] = {**values["gate:converted"], "verdict": "PASS"}
    values["release"]["released"] = "Digits.mlmodel"
    report = report_of(values)
    assert report["passed"]
    text = markdown(report)
    assert text.startswith("# digits passes portable gates\n")
    assert "What to do" not in text
    assert "`release/Digits.mlmodel`" in text


def test_layers_that_overflow_are_listed_by_variant(report_of: Report, values: dict[str, Any]) -> None:
    assert "overflow float16" not in markdown(report_of(values))
    values["compare:lut-4"]["overflows"] = ["a|b (conv) becomes infinite", "c (add) becomes NaN"]
    report = report_of(values)
    jsonschema.Draft202012Validator(report_schema()).validate(report)
    text = "## Layers that overflow float16\n\nThe first of a variant is the first cause.\n\n"
    assert text + "- lut-4: a\\|b (conv) becomes infinite\n- lut-4: c (add) becomes NaN\n" in markdown(report)


def test_report_only_variants_are_not_among_the_failed(report_of: Report, values: dict[str, Any]) -> None:
    assert [(name, gate["metric"]) for name, gate in failed_gates(report_of(values))] == [("lut-4", "samples"), ("lut-4", "top1_agreement")]
    values["gate:lut-4"]["verdict"] = "REPORT_ONLY"
    assert failed_gates(report_of(values)) == []


def test_junit_has_a_case_for_every_bound(report_of: Report, values: dict[str, Any]) -> None:
    root = ET.fromstring(junit(report_of(values)))
    assert root.tag == "testsuites"
    assert {key: root.attrib[key] for key in ("name", "tests", "failures", "errors", "skipped")} == {
        "name": "digits",
        "tests": "4",
        "failures": "1",
        "errors": "1",
        "skipped": "0",
    }
    cases = {(case.attrib["classname"], case.attrib["name"]): [child.tag for child in case] for case in root.iter("testcase")}
    assert cases == {
        ("digits.converted", "source.snr_db >= 50 dB"): [],
        ("digits.lut-4", "samples all readable"): ["error"],
        ("digits.lut-4", "top1_agreement >= 99%"): ["failure"],
        ("digits.lut-4", "size_ratio <= 30%"): [],
    }
    [failure] = root.iter("failure")
    assert failure.attrib["message"] == "98.61% is not >= 99%; <use> more bits \ufffd"
    for suite in root.iter("testsuite"):
        assert int(suite.attrib["tests"]) == len(suite.findall("testcase"))


def test_junit_skips_what_only_reports_or_has_no_gate(report_of: Report, values: dict[str, Any]) -> None:
    values["gate:lut-4"]["verdict"] = "REPORT_ONLY"
    values["gate:converted"] = {**values["gate:converted"], "verdict": "UNGATED", "gates": []}
    root = ET.fromstring(junit(report_of(values)))
    assert (root.attrib["failures"], root.attrib["errors"], root.attrib["skipped"]) == ("0", "0", "4")
    messages = [skipped.attrib["message"] for skipped in root.iter("skipped")]
    assert messages == ["UNGATED", "report only: ERROR with 1", "report only: FAIL with 98.61%", "report only: PASS with 15.00%"]


@pytest.mark.parametrize(
    ("metric", "value", "expected"),
    [
        ("source.top1_agreement", 0.98611, "98.61%"),
        ("size_ratio", 1.5, "150.00%"),
        ("snr_db", 61.234, "61.23 dB"),
        ("snr_db", "-inf", "-inf dB"),
        ("accuracy", "nan", "nan"),
        ("size_bytes", 1_234_567, "1.23 MB"),
        ("max_abs_error", 0.00012345, "0.0001234"),
        ("cosine", None, "-"),
    ],
)
def test_values_stand_in_their_units(metric: str, value: Any, expected: str) -> None:
    assert format_value(metric, value) == expected


def test_sizes_are_decimal() -> None:
    assert [format_bytes(size) for size in (999, 1000, 25_600, 3 * 10**9)] == ["999 B", "1.00 kB", "25.60 kB", "3.00 GB"]


@pytest.mark.parametrize(
    ("metric", "value", "bound", "expected"),
    [
        ("accuracy", 0.98996, 0.99, "98.996%"),
        ("accuracy", 0.99, 0.99, "99.00%"),
        ("snr_db", 39.99999, 40.0, "39.99999 dB"),
        ("cosine", 0.9999999, 1.0, "0.9999999"),
    ],
)
def test_a_value_that_misses_a_bound_never_looks_like_it(metric: str, value: float, bound: float, expected: str) -> None:
    assert format_apart(metric, value, bound) == expected
