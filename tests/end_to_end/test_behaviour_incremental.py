"""What reruns after an edit: exactly what depends on it, task by task, on the digits recipe through the command line."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import pytest

import mlpipe

RECIPE = "recipes/digits/recipe.yaml"
VARIANTS = ("converted", "fp16", "linear-8", "lut-4")
ALL = {
    *("digits:source", "digits:convert", "digits:predict:source", "digits:release", "digits:report"),
    *(f"digits:quantize:{variant}" for variant in VARIANTS[1:]),
    *(f"digits:{step}:{variant}" for step in ("package", "predict", "compare", "gate") for variant in VARIANTS),
}


def tasks(step, variants=VARIANTS):
    return {f"digits:{step}:{variant}" for variant in variants}


def changed_models(checkout, before):
    return {path for path, digest in checkout.outputs().items() if digest != before[path] and path.endswith(".mlmodel")}


def test_nothing_to_do(checkout):
    before = {path: path.stat().st_mtime_ns for path in checkout.folder.rglob("*")}
    again = checkout.run_json("run", RECIPE)
    assert again["tasks"].keys() == ALL
    assert {task["outcome"] for task in again["tasks"].values()} == {"up_to_date"}
    assert "Nothing to do: 24 tasks up to date." in checkout.run("run", RECIPE).stdout
    assert {path: path.stat().st_mtime_ns for path in checkout.folder.rglob("*")} == before


def test_a_parameter_of_one_variant_reruns_what_depends_on_it_and_reverted_restores_it(checkout):
    descendants = {f"digits:{step}:linear-8" for step in ("quantize", "package", "predict", "compare", "gate")} | {"digits:report"}
    before = checkout.outputs()
    checkout.edit(RECIPE, "linear: {method: linear, ", "linear: {method: linear, minimum_elements: 2000, ")
    assert checkout.outcomes(RECIPE) == {"ran": descendants}
    assert changed_models(checkout, before) == {"digits/linear-8.mlmodel"}
    checkout.edit(RECIPE, "minimum_elements: 2000, ", "")
    assert checkout.outcomes(RECIPE) == {"restored": descendants}
    assert checkout.outputs() == before


def test_a_parameter_that_changes_no_byte_stops_at_its_step(checkout):
    checkout.edit(RECIPE, "linear: {method: linear, ", "linear: {method: linear, minimum_elements: 1, ")
    assert checkout.outcomes(RECIPE) == {"ran": {"digits:quantize:linear-8"}}


@pytest.mark.parametrize(
    ("old", "new", "variants"),
    [
        ('source.snr_db: ">= 50 dB"', 'source.snr_db: ">= 51 dB"', ("converted",)),
        ('size_ratio: "<= 55%"', 'size_ratio: "<= 56%"', ("fp16",)),
        ('"*":       {top1_agreement: ">= 97%"', '"*":       {top1_agreement: ">= 96%"', ("fp16", "linear-8", "lut-4")),
    ],
)
def test_a_bound_reruns_gate_release_and_report_alone(checkout, old, new, variants):
    checkout.edit(RECIPE, old, new)
    released = {"digits:release"} if "lut-4" in variants else set()
    assert checkout.outcomes(RECIPE) == {"ran": tasks("gate", variants) | released | {"digits:report"}}


def test_metadata_rerun_package_and_what_reads_the_packages_alone(checkout):
    before = checkout.outputs()
    checkout.edit(RECIPE, "license: Apache-2.0", "license: MIT")
    assert checkout.outcomes(RECIPE) == {"ran": tasks("package") | tasks("gate") | {"digits:release", "digits:report"}}
    assert changed_models(checkout, before) == {*(f"digits/{variant}.mlmodel" for variant in VARIANTS), "digits/release/Digits.mlmodel"}
    checkout.edit(RECIPE, "license: MIT", "license: Apache-2.0")
    assert checkout.outcomes(RECIPE).keys() == {"restored"}
    assert checkout.outputs() == before


def test_a_metric_added_runs_no_model(checkout):
    checkout.edit(RECIPE, "metrics: [top1_agreement, accuracy, snr_db]", "metrics: [top1_agreement, accuracy, snr_db, cosine]")
    assert checkout.outcomes(RECIPE) == {"ran": tasks("compare") | tasks("gate") | {"digits:report"}}  # the verdict of lut-4 came out the same


def test_ground_truth_edited_runs_no_model(checkout):
    checkout.edit("recipes/digits/data/labels.csv", "000.png,", "000.png, ")
    assert checkout.outcomes(RECIPE) == {"ran": tasks("compare")}


def test_a_source_that_is_saved_again_and_converts_to_the_same_bytes_stops_there(checkout):
    model = checkout.folder / "recipes/digits/digits.keras"
    with zipfile.ZipFile(model) as archive:
        members = [(info.filename, archive.read(info)) for info in archive.infolist()]
    with zipfile.ZipFile(model, "w") as archive:
        for name, data in members:
            archive.writestr(zipfile.ZipInfo(name, (2001, 2, 3, 4, 5, 6)), data)
    before = checkout.outputs()
    # The report names the source by its digest; the models, what they predicted and their verdicts are as they were.
    assert checkout.outcomes(RECIPE) == {"ran": {"digits:source", "digits:convert", "digits:predict:source", "digits:report"}}
    assert {path for path, digest in checkout.outputs().items() if digest != before[path]} == {"digits/report.json"}


@pytest.fixture
def own_code(checkout, tmp_path):
    """Return a copy of mlpipe that the checkout runs, as an editable installation of another machine would."""
    copy = tmp_path / "code" / "mlpipe"
    shutil.copytree(Path(mlpipe.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
    checkout.environment |= {"PYTHONPATH": str(copy.parent)}
    assert {task["outcome"] for task in checkout.run_json("run", RECIPE)["tasks"].values()} == {"up_to_date"}
    return copy


def edit_code(file, old, new):
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


def test_a_line_of_a_runtime_op_makes_predictions_stale_and_nothing_else(checkout, own_code):
    edit_code(own_code / "runtime/neuralnetwork/layers/convolution.py", '"""', '"""Another way to say it. ')
    planned = {name: task["outcome"] for name, task in json.loads(checkout.run("plan", RECIPE, "--json").stdout)["tasks"].items()}
    assert {name for name, outcome in planned.items() if outcome == "ran" and ":predict:" in name} == tasks("predict", ("source", *VARIANTS))
    assert planned["digits:quantize:lut-4"] == planned["digits:package:lut-4"] == "up_to_date"
    assert checkout.outcomes(RECIPE) == {"ran": tasks("predict", ("source", *VARIANTS))}


def test_a_runtime_op_that_computes_something_else_is_noticed_by_the_gates(checkout, own_code):
    edit_code(own_code / "runtime/neuralnetwork/layers/activation.py", '"Relu"', '"Abs"')
    found = checkout.outcomes(RECIPE, code=1)
    descendants = tasks("predict", ("source", *VARIANTS)) | tasks("compare") | tasks("gate") | {"digits:release", "digits:report"}
    assert found == {"ran": descendants}
    assert not (checkout.folder / "build/digits/release").exists() or not any((checkout.folder / "build/digits/release").iterdir())
    assert checkout.report("digits")["variants"]["converted"]["verdict"] == "FAIL"


def test_explain_and_plan_say_why(checkout):
    checkout.edit(RECIPE, "linear: {method: linear, ", "linear: {method: linear, minimum_elements: 2000, ")
    task = checkout.run_json("explain", "digits:quantize:linear-8")
    assert task["outcome"] == "ran"
    [change] = task["changes"]
    assert (change["old"], change["new"]) == ("0", "2000")
    assert "minimum_elements" in change["field"]
    plan = checkout.run("plan", RECIPE).stdout
    assert "minimum_elements" in plan


def test_plan_check_tells_stale_from_done(checkout, make_checkout):
    checkout.run("plan", RECIPE, "--check")
    checkout.edit(RECIPE, 'size_ratio: "<= 55%"', 'size_ratio: "<= 56%"')
    checkout.run("plan", RECIPE, "--check", code=4)
    checkout.run("run", RECIPE)
    checkout.run("plan", RECIPE, "--check")
    other = make_checkout("other")
    other.run("plan", RECIPE, "--check", code=4)
    assert not (other.folder / "build").exists()
    other.run("run", RECIPE)
    other.run("plan", RECIPE, "--check")


def test_every_run_that_did_something_is_in_the_history(checkout):
    checkout.edit(RECIPE, 'size_ratio: "<= 55%"', 'size_ratio: "<= 5%"')
    checkout.run("run", RECIPE, code=1)
    checkout.run("run", RECIPE, code=1)
    lines = [json.loads(line) for line in (checkout.folder / "build/.mlpipe/history.jsonl").read_text().splitlines()]
    assert [line["passed"] for line in lines] == [True, False]
    for line in lines:
        assert line["recipe"] == "digits"
        assert line["tasks"].keys() == ALL
        assert line["sizes"] == {variant: (checkout.folder / f"build/digits/{variant}.mlmodel").stat().st_size for variant in VARIANTS}
        assert line["metrics"]["fp16"]["accuracy"] > 0.98
        for task in line["tasks"].values():
            record = json.loads((checkout.folder / f"build/.mlpipe/records/{task['record']}.json").read_text())
            assert record.keys() >= {"key", "fields", "artifact", "seconds", "peak_bytes", "time"}
