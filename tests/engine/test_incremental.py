"""Which tasks run after which change: each case on real processes."""

from __future__ import annotations

import shutil

ALL = ["source", "convert", "quantize:q8", "predict:q8", "gate:q8", "quantize:q4", "predict:q4", "gate:q4", "release"]


def test_the_first_run_runs_everything_and_the_second_nothing(demo):
    assert sorted(demo.outcomes()["ran"]) == sorted(ALL)
    assert demo.outcomes() == {}


def test_an_edited_parameter_reruns_what_depends_on_it_and_a_reverted_one_restores(demo):
    demo.run()
    demo.edit(bits=[8, 2])
    assert sorted(demo.outcomes()["ran"]) == ["gate:q2", "predict:q2", "quantize:q2"]
    demo.edit(scale=2.0)
    assert "source" not in demo.outcomes()["ran"]
    demo.edit(scale=1.0)
    found = demo.outcomes()
    assert found.keys() == {"restored"}
    assert "convert" in found["restored"]


def test_gate_bounds_are_in_no_other_key(demo):
    demo.run()
    demo.edit(bound=0.2)
    assert demo.outcomes() == {"ran": ["gate:q8", "gate:q4"]}


def test_early_cutoff_where_a_changed_source_converts_to_the_same_bytes(demo):
    demo.run()
    (demo.root / "model.txt").write_text("# saved again\n0.1\n0.7\n-0.3\n")
    assert demo.outcomes() == {"ran": ["source", "convert"]}


def test_a_line_of_a_runtime_op_makes_predictions_stale_and_nothing_else(demo):
    demo.run()
    relu = demo.code / "demo_steps" / "runtime" / "relu.py"
    relu.write_text(relu.read_text() + "# edited\n")
    answer = demo.run()
    ran = [task for task, outcome in answer["outcomes"].items() if outcome != "up_to_date"]
    assert ran == ["demo:predict:q8", "demo:predict:q4"]
    assert answer["why"]["demo:predict:q8"] == "code: demo_steps.runtime.relu changed"


def test_samples_added_and_changed(demo):
    demo.run()
    (demo.root / "data" / "9.txt").write_text("9")
    assert sorted(demo.outcomes()["ran"]) == ["gate:q4", "gate:q8", "predict:q4", "predict:q8"]
    (demo.root / "data" / "9.txt").write_text("8")
    assert "predict:q4" in demo.outcomes()["ran"]
    (demo.root / "data" / "9.txt").unlink()
    assert "restored" in demo.outcomes()


def test_user_modules_that_a_step_loaded_belong_to_its_key(demo):
    layer = demo.root / "layer.py"
    layer.write_text("def layer(x):\n    return x\n")
    demo.edit(user_code=True)
    demo.run()
    assert demo.outcomes() == {}
    layer.write_text("def layer(x):\n    return 2 * x\n")
    answer = demo.run()
    assert [task for task, outcome in answer["outcomes"].items() if outcome == "ran" and "predict" in task] == ["demo:predict:q8", "demo:predict:q4"]
    assert answer["why"]["demo:predict:q8"] == "layer.py changed"
    layer.write_text("def layer(x):\n    return x\n")
    assert demo.outcomes().keys() == {"restored"}


def test_a_second_checkout_restores_everything(demo, make_demo):
    demo.run()
    other = make_demo("elsewhere")
    assert sorted(other.outcomes()["restored"]) == sorted(ALL)
    assert (other.build / "q8.bin").read_bytes() == (demo.build / "q8.bin").read_bytes()
    assert (other.build / "q8.bin").stat().st_ino != (demo.cache / "artifacts").stat().st_ino


def test_a_lost_or_broken_state_is_rebuilt_from_the_store(demo):
    demo.run()
    (demo.root / "build/.mlpipe/state.sqlite3").write_bytes(b"this is no database" * 1000)
    assert sorted(demo.outcomes()["restored"]) == sorted(ALL)
    shutil.rmtree(demo.root / "build")
    assert sorted(demo.outcomes()["restored"]) == sorted(ALL)


def test_only_some_tasks(demo):
    answer = demo.run("select=*:quantize:q8")
    assert list(answer["outcomes"]) == ["demo:source", "demo:convert", "demo:quantize:q8"]
    assert answer["partial"]


def test_a_dry_run_says_what_would_happen_and_writes_nothing(demo):
    first = demo.run("dry")
    assert set(first["outcomes"].values()) == {"ran"}
    assert not (demo.root / "build").exists()
    demo.run()
    demo.edit(bits=[2, 4])
    plan = demo.run("dry")
    assert plan["why"]["demo:predict:q2"] == "reads demo:quantize:q2, unless that comes out the same as before"
    assert plan["outcomes"]["demo:quantize:q4"] == "up_to_date"
    demo.edit(bits=[8, 4], scale=2.0)
    assert demo.run("dry")["why"]["demo:convert"] == "parameters.scale: 1.0 -> 2.0"
    demo.run()
    demo.edit(scale=1.0)
    plan = demo.run("dry")
    assert plan["outcomes"]["demo:convert"] == "restored"
    assert demo.run("dry")["outcomes"] == plan["outcomes"]
