"""The plugin that runs coremltools' suite: it sees every way in which a test can end, and chooses shards by the ids of tests alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory, part: Callable[[str], ModuleType]) -> dict[str, dict]:
    file = tmp_path_factory.mktemp("sample") / "results.jsonl"
    part("run").run_shard(str(HERE / "sample_suite.py"), "0/1", file, without=("tensorflow", "torch"))
    return {name.rpartition("::")[2]: result for name, result in part("oracle.results").read_results([file]).items()}


ENDS = {
    "test_right": ("passed with a prediction", ""),
    "test_wrong": ("wrong output", "Not equal to tolerance"),
    "test_float16_near": ("passed with a prediction", ""),
    "test_float16_far": ("wrong output", "Not equal to tolerance"),
    "test_float16_backend_near": ("passed with a prediction", ""),
    "test_float16_backend_far": ("passed with a prediction", ""),
    "test_no_prediction": ("passed without", ""),
    "test_swallows_unsupported": ("unsupported", "conjure"),
    "test_refused_as_expected": ("passed without", ""),
    "test_takes_the_process_down": ("crashed", "the process ended"),
    "test_downloads": ("failed", "runs without a network"),
    "test_setup": ("passed without", ""),
    "test_coroutine": ("failed", "coroutines run"),
}


@pytest.mark.parametrize("name", ENDS)
def test_each_way_to_end(outcomes: dict[str, dict], name: str) -> None:
    outcome, reason = ENDS[name]
    assert outcomes[name]["outcome"] == outcome
    assert reason in outcomes[name]["reason"]


def test_every_test_of_the_sample_is_listed(outcomes: dict[str, dict]) -> None:
    assert set(outcomes) == set(ENDS)
    assert [name for name, result in outcomes.items() if result.get("float16_tolerance")] == ["test_float16_near"]
    assert [name for name, result in outcomes.items() if result.get("far_in_float16")] == ["test_float16_backend_far"]


def test_shards_share_out_all_tests_and_never_change(part: Callable[[str], ModuleType]) -> None:
    identity = part("oracle.identity")
    names = [f"module::test[{number}]" for number in range(1000)]
    shards = [[name for name in names if identity.in_shard(name, f"{index}/7")] for index in range(7)]
    assert sorted(name for shard in shards for name in shard) == sorted(names)
    assert all(100 < len(shard) < 190 for shard in shards)
    assert identity.in_shard("module::test[1]", "1/2") is not identity.in_shard("module::test[1]", "0/2")
    # Written down: results of shards are only comparable while a test stays in its shard and keeps its seed.
    assert [number for number, name in enumerate(names[:10]) if identity.in_shard(name, "0/2")] == [2, 3, 4, 5, 8, 9]
    assert identity.seed("module::test[0]") == 645_516_808


def test_a_wrong_output_is_never_explained_away(part: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch) -> None:
    known = part("oracle.known")
    monkeypatch.setattr(known, "known_failures", lambda: {"suite::*": "it is so"})
    failures = {
        "suite::a": {"outcome": "wrong output", "reason": "off", "predict_calls": 1},
        "suite::b": {"outcome": "unsupported", "reason": "no such op", "predict_calls": 1},
        "suite::c": {"outcome": "failed", "reason": "PyTorch not found", "predict_calls": 0},
        "other::d": {"outcome": "unsupported", "reason": "no such op", "predict_calls": 1},
        "other::e": {"outcome": "passed with a prediction", "reason": "", "predict_calls": 1},
    }
    assert [line.split(": ")[1] for line in known.unexplained(failures)] == ["suite::a", "other::d"]


CROP = "converters.mil.mil.ops.tests.iOS16.test_image_resizing::TestCropResize::test_builder_to_backend_ios16[pad_value=0.0]"


@pytest.mark.parametrize(("name", "off", "passes"), [(CROP, 0.001, True), (CROP, 0.002, False), ("another::test", 0.001, False)])
def test_a_test_whose_numbers_are_wrong_is_held_to_how_far_they_are(part: Callable[[str], ModuleType], name: str, off: float, passes: bool) -> None:
    record = part("oracle.record").RECORD
    record.clear(name)

    def compare(mlmodel, atol=1e-4, rtol=1e-5, dtype="fp32", state=None):
        assert (mlmodel, dtype, state) == (model, "fp32", None)
        assert off <= atol + rtol

    # A specification without a program holds no float16.
    model = SimpleNamespace(get_spec=lambda: SimpleNamespace(WhichOneof=str))
    changed = part("oracle.tolerance").with_float16_tolerance(compare)
    if passes:
        changed(model)
    else:
        with pytest.raises(AssertionError):
            changed(model)
    assert record.wrong_literal is passes
