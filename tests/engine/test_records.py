"""Records of tasks and the history of runs."""

from __future__ import annotations

import subprocess

from mlpipe.engine.outcome import Outcome, RunResult, TaskResult
from mlpipe.engine.records import append_history, git_revision, read_history, read_record


def test_a_record_says_what_ran_and_what_it_cost(demo):
    demo.edit(seconds={"quantize": 0.2})
    answer = demo.run()
    records = [read_record(demo.root, path.stem) for path in (demo.root / "build/.mlpipe/records").glob("*.json")]
    (record,) = [record for record in records if record["task"] == "demo:quantize:q8"]
    assert record["fields"]["parameters"] == {"bits": 8, "seconds": 0.2}
    assert record["why"] == "first run"
    assert record["fields"]["tools"].keys() == {"numpy"}
    assert record["notes"] == ["one layer was skipped"]
    assert record["seconds"] >= 0.2
    assert record["peak_bytes"] > 0
    assert (demo.root / record["log"]).read_text().startswith("this is demo:quantize:q8")
    assert len(records) == len(answer["outcomes"])
    assert read_record(demo.root, "no-such-record") is None


def test_history_lines_are_appended_whole(tmp_path):
    subprocess.run("git init -q . && git -c user.name=x -c user.email=x commit -q --allow-empty -m x", shell=True, check=True, cwd=tmp_path)
    tasks = {name: TaskResult(name, Outcome.RAN, record="r", seconds=1.0) for name in ("digits:source", "other:source")}
    append_history(tmp_path, "digits", RunResult(tasks), {"verdicts": {"linear-8": "pass"}})
    append_history(tmp_path, "digits", RunResult(tasks | {"digits:gate": TaskResult("digits:gate", Outcome.FAILED)}), {})
    with (tmp_path / "build/.mlpipe/history.jsonl").open("a") as stream:
        stream.write('{"cut short')
    first, second = read_history(tmp_path)
    assert first["tasks"] == {"digits:source": {"outcome": "ran", "record": "r", "seconds": 1.0}}
    assert first["verdicts"] == {"linear-8": "pass"}
    assert [first["ok"], second["ok"]] == [True, False]
    assert first["revision"] == git_revision(tmp_path)
    assert len(first["revision"]) == 40


def test_a_folder_outside_git_has_no_revision_and_no_history(tmp_path):
    assert git_revision(tmp_path) is None
    assert list(read_history(tmp_path)) == []
