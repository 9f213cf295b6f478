"""junit.xml: one test case per bound, for the test tabs of CI servers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from xml.etree import ElementTree as ET

from mlpipe.reports.markdown import gate_value

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Source: production [2] Char of XML 1.0."""


def junit(report: Mapping[str, Any]) -> str:
    """Return the report as JUnit XML: a suite per variant. What only reports, or has no gate, is skipped."""
    root = ET.Element("testsuites", name=report["recipe"])
    for name, variant in report["variants"].items():
        suite = ET.SubElement(root, "testsuite", name=f"{report['recipe']}.{name}")
        for gate in variant["gates"]:
            case = _case(suite, f"{gate['metric']} {gate['bound']}")
            if variant["verdict"] == "REPORT_ONLY":
                ET.SubElement(case, "skipped", message=_text(f"report only: {gate['verdict']} with {gate_value(gate)}"))
            elif gate["verdict"] != "PASS":
                kind = "error" if gate["verdict"] == "ERROR" else "failure"
                ET.SubElement(case, kind, message=_text(gate["why"]), type=gate["verdict"]).text = _text(f"value: {gate_value(gate)}\n{gate['why']}")
        if not variant["gates"]:
            ET.SubElement(_case(suite, "gate"), "skipped", message=variant["verdict"])
        _count(suite)
    _count(root)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _case(suite: ET.Element, name: str) -> ET.Element:
    return ET.SubElement(suite, "testcase", classname=suite.attrib["name"], name=_text(name), time="0")


def _count(element: ET.Element) -> None:
    for attribute, tag in (("tests", "testcase"), ("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        element.set(attribute, str(sum(1 for _ in element.iter(tag))))
    element.set("time", "0")


def _text(value: str) -> str:
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", value)
