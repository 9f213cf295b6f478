"""Failed steps, changes while a step runs, and two runs at once."""

from __future__ import annotations

import signal
import time

import pytest


def test_a_failed_step_leaves_its_log_and_the_other_branches_finish(demo):
    demo.edit(misbehave={"quantize:q8": "fail"})
    answer = demo.run(status=3)
    outcomes = answer["outcomes"]
    assert outcomes["demo:quantize:q8"] == "failed"
    assert {outcomes[f"demo:{task}"] for task in ("predict:q8", "gate:q8", "release")} == {"not_run"}
    assert {outcomes[f"demo:{task}"] for task in ("predict:q4", "gate:q4")} == {"ran"}
    assert answer["why"]["demo:release"] == "not run because demo:quantize:q8 failed"
    error = answer["errors"]["demo:quantize:q8"]
    assert (error["what"], error["kind"], error["exit_code"]) == ("it cannot be done", "expected", 3)
    with open(answer["logs"]["demo:quantize:q8"]) as log:  # noqa: PTH123
        text = log.read()
    assert "this is demo:quantize:q8" in text
    assert "error: it cannot be done" in text
    assert "fix: ask for something else" in text


@pytest.mark.parametrize(("misbehaviour", "kind"), [("fail", "expected"), ("bug", "bug"), ("crash", "signal")])
def test_a_failure_is_never_served_from_the_cache(demo, misbehaviour, kind):
    demo.edit(misbehave={"quantize:q8": misbehaviour})
    for _ in range(2):
        answer = demo.run("select=demo:quantize:q8", status=3)
        assert answer["errors"]["demo:quantize:q8"]["kind"] == kind
        assert "started demo:quantize:q8" in answer["stderr"]
    demo.edit(misbehave={})
    assert demo.outcomes("select=demo:quantize:q8") == {"ran": ["quantize:q8"]}


def test_a_failure_leaves_what_was_right_before(demo):
    demo.run()
    before = (demo.build / "q8.bin").read_bytes()
    demo.edit(misbehave={"gate": "bug"})
    answer = demo.run(status=3)
    assert answer["outcomes"]["demo:gate:q8"] == "failed"
    assert answer["errors"]["demo:gate:q8"]["exit_code"] == 70
    demo.edit(misbehave={})
    assert sorted(demo.outcomes()["restored"]) == ["gate:q4", "gate:q8", "release"]
    assert (demo.build / "q8.bin").read_bytes() == before


def test_fail_fast_stops_at_once(demo):
    demo.edit(misbehave={"quantize:q8": "fail"}, seconds={"quantize": 0}, bits=[8, 7, 6, 5, 4])
    outcomes = demo.run("fail_fast", status=3)["outcomes"]
    assert outcomes["demo:quantize:q8"] == "failed"
    assert outcomes["demo:gate:q4"] == "not_run"


def test_a_missing_input_fails_its_task_alone(demo):
    demo.run()
    (demo.root / "model.txt").unlink()
    answer = demo.run(status=3)
    assert "the file is missing" in answer["errors"]["demo:source"]["what"]
    assert answer["errors"]["demo:source"]["where"].endswith("model.txt")


@pytest.mark.parametrize("path", ["data/1.txt", "layer.py"])
def test_an_input_that_changes_while_it_is_read_fails_the_step_and_nothing_is_kept(demo, path):
    (demo.root / "layer.py").write_text("def layer(x):\n    return x\n")
    demo.edit(user_code=True, bits=[8], seconds={"predict": 1.0})
    demo.run("select=demo:quantize:q8")
    before = (demo.root / path).read_text()
    with demo.start() as process:
        for line in process.stderr:
            if line.startswith("started demo:predict"):
                time.sleep(0.5)
                (demo.root / path).write_text(before + "# edited" if path.endswith(".py") else "5")
                break
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 3, output + errors
    assert "changed while it was read" in output
    (demo.root / path).write_text(before)
    assert "predict:q8" in demo.outcomes()["ran"]


def test_two_runs_at_once_on_one_workspace(demo):
    demo.edit(seconds={"convert": 0.6})
    first = demo.start()
    for line in first.stderr:
        if line.startswith("started demo:convert"):
            break
    second = demo.run()
    first.communicate(timeout=60)
    assert first.returncode == 0
    assert f"another mlpipe run (process {first.pid})" in second["stderr"]
    assert set(second["outcomes"].values()) == {"up_to_date"}


def test_two_checkouts_at_once_on_one_store(demo, make_demo):
    other = make_demo("elsewhere")
    for one in (demo, other):
        one.edit(seconds={"convert": 0.2, "predict": 0.2})
    processes = [one.start() for one in (demo, other, demo, other)]
    assert [process.communicate(timeout=60) and process.returncode for process in processes] == [0, 0, 0, 0]
    assert (demo.build / "q4.bin").read_bytes() == (other.build / "q4.bin").read_bytes()
    assert demo.outcomes() == {}


def test_an_interrupted_run_keeps_what_is_done(demo):
    demo.edit(seconds={"quantize": 30})
    with demo.start() as process:
        for line in process.stderr:
            if line.startswith("started demo:quantize"):
                break
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=10)
    demo.edit(seconds={})
    found = demo.outcomes()
    assert "convert" not in found["ran"]
    assert "quantize:q8" in found["ran"]
