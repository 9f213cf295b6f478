"""What a user sees when a step of the digits recipe fails, hangs, crashes or lacks a package: the others finish, and the message says what to do."""

from __future__ import annotations

import os
import re
import shutil

import pytest

RECIPE = "recipes/digits/recipe.yaml"
OTHERS = ("converted", "fp16", "linear-8", "lut-4")
TABLE = "import numpy as np\n\n\ndef table(weights, bits, name):\n    {body}\n    return np.linspace(weights.min(), weights.max(), 2**bits)\n"


@pytest.fixture
def with_function(checkout):
    """Return a function that gives the recipe a variant `mine`, made by a function of the recipe's own with this body."""

    def make(body: str):
        (checkout.folder / "recipes/digits/tables.py").write_text(TABLE.format(body=body))
        if "mine:" not in (checkout.folder / RECIPE).read_text():
            checkout.edit(RECIPE, "quantize:\n", "quantize:\n  mine:   {method: lut, bits: 4, function: tables.py:table}\n")
        return checkout

    return make


@pytest.mark.parametrize(
    ("body", "what", "why"),
    [
        ("raise ValueError('no table for ' + name)", "the user's look-up table function failed", "ValueError: no table for "),
        ("import os; os.kill(os.getpid(), 11)", "killed by SIGSEGV", "native code crashed"),
        ("import sys; sys.exit(3)", "SystemExit: 3", "the recipe's own code raised it"),
        ("weights = weights * np.nan", "the function must return a table of 16 finite values", "an entry is not a finite float32"),
    ],
)
def test_a_step_that_fails_fails_alone(with_function, body, what, why):
    checkout = with_function(body)
    answer = checkout.run("run", RECIPE, code=3)
    log = checkout.folder / "build/.mlpipe/logs/digits/quantize/mine.log"
    for text in (log.read_text(), answer.stderr):
        assert what in text
        assert why in text
    for stream in (answer.stdout, answer.stderr):
        assert what in stream
        assert "build/.mlpipe/logs/digits/quantize/mine.log" in stream
        assert "Traceback" not in stream
    assert "digits: could NOT BE JUDGED" in answer.stdout
    again = checkout.run_json("run", RECIPE, code=3)["tasks"]
    assert again["digits:quantize:mine"]["outcome"] == "failed"
    for task in ("package", "predict", "compare", "gate"):
        assert again[f"digits:{task}:mine"]["outcome"] == "not_run"
        assert again[f"digits:{task}:mine"]["why"] == "not run because digits:quantize:mine failed"
        assert {again[f"digits:{task}:{variant}"]["outcome"] for variant in OTHERS} == {"up_to_date"}


def test_a_failure_is_tried_again_and_the_mended_step_runs(with_function):
    counting = "import pathlib; path = pathlib.Path(__file__).with_name('calls'); path.write_text(path.read_text() + '.' if path.exists() else '.')"
    checkout = with_function(f"{counting}; raise ValueError('not yet')")
    calls = checkout.folder / "recipes/digits/calls"
    for attempt in (1, 2):
        checkout.run("run", RECIPE, code=3)
        assert len(calls.read_text()) == attempt
    checkout = with_function("pass")
    mine = {f"digits:{step}:mine" for step in ("quantize", "package", "predict", "compare", "gate")}
    assert checkout.outcomes(RECIPE) == {"ran": mine | {"digits:report"}}
    checkout.run("log", "digits:quantize:mine")


def test_a_step_past_its_timeout_fails_alone(with_function):
    checkout = with_function("import time; time.sleep(600)")
    checkout.edit(RECIPE, "source:\n", "workers: {timeout: {quantize: 5 s}}\nsource:\n")
    tasks = checkout.run_json("run", RECIPE, code=3)["tasks"]
    error = tasks["digits:quantize:mine"]["error"]
    assert (error["kind"], error["what"]) == ("timeout", "stopped after its timeout of 5 s")
    assert {name for name, task in tasks.items() if task["outcome"] == "failed"} == {"digits:quantize:mine"}


BLOCKER = """
import sys


class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"tensorflow", "keras", "tf_keras", "torch"} or name.startswith("coremltools.converters"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, Blocker())
"""


@pytest.fixture
def without_tensorflow(tmp_path):
    """Return what makes TensorFlow, Keras and coremltools' converters as good as not installed in the runs of a workspace."""
    folder = tmp_path / "without"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(BLOCKER)

    def block(workspace):
        workspace.environment |= {"PYTHONPATH": os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))}
        return workspace

    return block


def test_a_keras_recipe_without_tensorflow_names_the_command_that_installs_it(make_checkout, without_tensorflow):
    checkout = without_tensorflow(make_checkout(cold=True))
    answer = checkout.run("run", RECIPE, code=5)
    assert "tensorflow is not installed" in answer.stderr
    assert 'pip install "mlpipe[tensorflow]"' in answer.stderr
    assert "Traceback" not in answer.stderr + answer.stdout


CORE_ML = """
mlpipe: 1
name: existing
source: {coreml: %s}
quantize: {linear: {method: linear, bits: 8}}
compare:
  samples: {images: ../digits/data/*.png, fit: exact, limit: 90, ground_truth: ../digits/data/labels.csv}
  metrics: [top1_agreement, accuracy]
gate:
  "*": {accuracy: ">= 95%%", top1_agreement: ">= 95%%"}
release: {variant: linear, name: Existing}
"""


@pytest.mark.parametrize("model", ["digits/fp16.mlmodel", "digits-mlprogram/converted.mlpackage"])
def test_a_core_ml_recipe_needs_no_tensorflow_and_no_converter(built, make_checkout, without_tensorflow, model):
    checkout = without_tensorflow(make_checkout(cold=True))
    folder = checkout.folder / "recipes/existing"
    folder.mkdir()
    source = built.workspace.folder / "build" / model
    (shutil.copytree if source.is_dir() else shutil.copyfile)(source, folder / source.name)
    (folder / "recipe.yaml").write_text(CORE_ML % source.name)
    answer = checkout.run("run", "recipes/existing/recipe.yaml")
    assert "existing: passes portable gates" in answer.stdout
    assert (checkout.folder / "build/existing/release" / f"Existing{source.suffix}").exists()


def test_nothing_of_the_frameworks_reaches_the_user(built):
    progress = r"✓ [a-z0-9:-]+  [0-9.]+ s|note: [a-z0-9:-]+:quantize:[a-z0-9-]+: .* stayed as it was: .*|43 tasks: 43 ran"
    assert [line for line in built.stderr.splitlines() if not re.fullmatch(progress, line)] == []
    table = r"digits(-mlprogram)?: passes portable gates|variant +size .*verdict|(converted|fp16|int8|linear-8|lut-4) .*PASS|Report: build/[a-z-]+/report.md|"
    assert [line for line in built.stdout.splitlines() if not re.fullmatch(table, line)] == []
    logs = built.workspace.folder / "build/.mlpipe/logs"
    assert any("Converting" in log.read_text() or "TensorFlow" in log.read_text() for log in logs.rglob("convert.log")), "where then did the noise go?"


def test_a_part_of_a_run_has_never_passed(checkout):
    answer = checkout.run("run", RECIPE, "--only", "digits:gate:fp16")
    assert "PARTIAL: only selected tasks ran, so nothing has passed" in answer.stdout
    found = checkout.run_json("run", RECIPE, "--only", "digits:gate:fp16")
    assert (found["partial"], found["passed"]) == (True, False)
    needed = {f"digits:{step}:fp16" for step in ("quantize", "package", "predict", "compare", "gate")}
    assert found["tasks"].keys() == needed | {"digits:source", "digits:convert", "digits:predict:converted", "digits:predict:source"}
    checkout.run("run", RECIPE, "--only", "digits:gate:nothing", code=2)
    checkout.edit(RECIPE, 'size_ratio: "<= 55%"', 'size_ratio: "<= 5%"')
    answer = checkout.run("run", RECIPE, "--only", "digits:gate:fp16", code=1)
    assert "digits: FAILS its gates (PARTIAL: only selected tasks ran)" in answer.stdout
    assert re.search(r"FAIL fp16: size_ratio <= 5%: .*50\.", answer.stdout)


def test_a_recipe_without_gates_is_ungated_and_may_be_refused(checkout):
    text = (checkout.folder / RECIPE).read_text()
    (checkout.folder / RECIPE).write_text(text[: text.index("gate:\n")] + text[text.index("release:") :].replace("release:", "#"))
    assert "UNGATED" in checkout.run("run", RECIPE).stdout
    assert "UNGATED" in checkout.run("run", RECIPE, "--require-gate", code=1).stdout
    assert checkout.run_json("run", RECIPE, "--require-gate", code=1)["passed"] is False
