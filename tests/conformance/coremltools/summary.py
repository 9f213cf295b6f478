"""Results of `run.py` -> results.json and the section of docs/conformance.md.

`python tests/conformance/coremltools/summary.py --folder RESULTS`
"""

from __future__ import annotations

import argparse
import datetime as dt
import importlib.metadata
import json
import platform
import sys
from collections import Counter
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from oracle.known import known_failures, reason_of  # noqa: E402
from oracle.outcome import FAILURES  # noqa: E402
from oracle.reasons import not_runnable  # noqa: E402
from oracle.results import collected, read_results  # noqa: E402
from run import SUITES  # noqa: E402

DOCUMENT = HERE.parents[2] / "docs" / "conformance.md"
BEGIN, END = "<!-- Written by tests/conformance/coremltools/summary.py -->", "<!-- End of what summary.py writes -->"
TOOLS = ("coremltools", "onnxruntime", "numpy", "tensorflow", "tf_keras", "torch", "pytest")


def summary(folder: Path) -> dict[str, Any]:
    """Return counts, failures and what was not runnable, by suite; what was run as NeuralNetworks stands apart."""
    files = {suite: sorted(folder.glob(f"{suite}-mlprogram-*.jsonl")) for suite in SUITES}
    files |= {f"{suite}, as NeuralNetworks": sorted(folder.glob(f"{suite}-neuralnetwork-*.jsonl")) for suite in SUITES}
    suites = {name: _suite(found) for name, found in files.items() if found}
    return {"date": dt.datetime.now(dt.UTC).date().isoformat(), "tools": _versions(), "python": platform.python_version(), "suites": suites}


def _suite(files: list[Path]) -> dict[str, Any]:
    results = read_results(files)
    counted = {name: result for name, result in results.items() if not_runnable(result) is None}
    predicting = [result for result in counted.values() if result["predict_calls"] and result["outcome"] != "expected failure"]
    known = known_failures()
    failures = [
        {"test": name, "outcome": result["outcome"], "what": result["reason"][:300], "reason": reason_of(name, known)}
        for name, result in sorted(counted.items())
        if result["outcome"] in FAILURES
    ]
    return {
        "collected": collected(files),
        "run": len(results),
        "predicting": len(predicting),
        "outcomes": dict(sorted(Counter(result["outcome"] for result in counted.values()).items())),
        "float16_tolerance": sum("float16_tolerance" in result for result in counted.values()),
        "wrong_literals": sorted(name for name, result in counted.items() if "wrong_literal" in result),
        "far_in_float16": sorted(name for name, result in counted.items() if "far_in_float16" in result),
        "not_runnable": dict(sorted(Counter(filter(None, map(not_runnable, results.values()))).items())),
        "failures": failures,
    }


def _versions() -> dict[str, str]:
    installed = {distribution.metadata["Name"].lower().replace("-", "_"): distribution.version for distribution in importlib.metadata.distributions()}
    return {tool: installed[tool] for tool in TOOLS if tool in installed}


def passing(suite: dict[str, Any]) -> float:
    """Return the share of the tests that call `predict` and pass with a prediction."""
    return suite["outcomes"].get("passed with a prediction", 0) / max(1, suite["predicting"])


def markdown(results: dict[str, Any]) -> str:
    """Return the section as it stands in the document."""
    tools = ", ".join(f"{tool} {version}" for tool, version in results["tools"].items())
    lines = [f"Run on {results['date']} with Python {results['python']}, {tools}.", ""]
    lines += [
        "| suite | tests | run | call predict | passed with a prediction | unsupported | wrong output | other failures | passed without |",
        "|---" * 9 + "|",
    ]
    for name, suite in results["suites"].items():
        count = Counter(suite["outcomes"])
        others = sum(failure["outcome"] not in ("unsupported", "wrong output") for failure in suite["failures"])
        share = f"{count['passed with a prediction']} ({passing(suite):.1%})"
        cells = (
            name,
            suite["collected"],
            suite["run"],
            suite["predicting"],
            share,
            count["unsupported"],
            count["wrong output"],
            others,
            count["passed without"],
        )
        lines.append("| " + " | ".join(map(str, cells)) + " |")
    lines += ["", "Not counted above:", ""]
    for name, suite in results["suites"].items():
        count = Counter(suite["outcomes"])
        skipped = f"{count['skipped']} skipped and {count['expected failure']} expected to fail by the suite itself"
        blocked = ", ".join(f"{number} {why}" for why, number in suite["not_runnable"].items()) or "none"
        lines.append(f"- `{name}`: {skipped}; not runnable: {blocked}. ")
    lines += ["", "About float16:", ""]
    for name, suite in results["suites"].items():
        held = f"{suite['float16_tolerance']} tests of the float32 backend held to four steps of float16"
        lines.append(
            f"- `{name}`: {held}; {len(suite['far_in_float16'])} tests of the float16 backend pass and are farther than four steps from what they expect."
        )
    off = sum(len(suite["wrong_literals"]) for suite in results["suites"].values())
    lines += ["", f"Tests whose own numbers are wrong, see `wrong_literals.yaml`: {off}, all within the deviation that stands there."]
    lines += ["", "### Every failure", ""]
    lines += _failures(results) or ["None."]
    return "\n".join(lines)


def _row(cells: tuple[Any, ...]) -> str:
    return "| " + " | ".join(map(str, cells)) + " |"


def _failures(results: dict[str, Any]) -> list[str]:
    by_reason: dict[str, list[str]] = {}
    for suite in results["suites"].values():
        for failure in suite["failures"]:
            why = failure["reason"] or f"not explained yet: {failure['outcome']}, {failure['what']}".replace("|", "/")
            by_reason.setdefault(why, []).append(failure["test"])
    lines = []
    for why, tests in sorted(by_reason.items(), key=lambda entry: -len(entry[1])):
        functions = sorted({test.partition("[")[0] for test in tests})
        lines.append(f"- {len(tests)}: {why} " + ", ".join(f"`{name}`" for name in functions))
    return lines


def write(results: dict[str, Any]) -> None:
    """Write results.json and put the section into the document, between its two marks."""
    (HERE / "results.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    before, _, rest = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)
    DOCUMENT.write_text(f"{before}{BEGIN}\n{markdown(results)}\n{END}{rest.partition(END)[2]}", encoding="utf-8")


def main() -> None:
    """Read a folder of results and write what they say."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--print", action="store_true", help="print the section, write nothing")
    chosen = parser.parse_args()
    results = summary(chosen.folder)
    if chosen.print:
        print(markdown(results))
    else:
        write(results)


if __name__ == "__main__":
    main()
