"""The plugin that runs coremltools' suite: it sees every way in which a test can end, and chooses shards by the ids of tests alone."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

HERE = Path(__file__).parent


def load(name: str, path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def oracle(name: str) -> ModuleType:
    return load(f"mlpipe_test_oracle_{name}", HERE / "oracle" / f"{name}.py")


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict]:
    file = tmp_path_factory.mktemp("sample") / "results.jsonl"
    load("mlpipe_test_run", HERE / "run.py").run_shard(str(HERE / "sample_suite.py"), "0/1", file, without=("tensorflow", "torch"))
    return {name.rpartition("::")[2]: result for name, result in oracle("results").read_results([file]).items()}


ENDS = {
    "test_right": ("passed with a prediction", ""),
    "test_wrong": ("wrong output", "Not equal to tolerance"),
    "test_float16_near": ("passed with a prediction", ""),
    "test_float16_far": ("wrong output", "Not equal to tolerance"),
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


def test_shards_share_out_all_tests_and_never_change() -> None:
    identity = oracle("identity")
    names = [f"module::test[{number}]" for number in range(1000)]
    shards = [[name for name in names if identity.in_shard(name, f"{index}/7")] for index in range(7)]
    assert sorted(name for shard in shards for name in shard) == sorted(names)
    assert all(100 < len(shard) < 190 for shard in shards)
    assert identity.in_shard("module::test[1]", "1/2") is not identity.in_shard("module::test[1]", "0/2")
    # Written down: results of shards are only comparable while a test stays in its shard and keeps its seed.
    assert [number for number, name in enumerate(names[:10]) if identity.in_shard(name, "0/2")] == [2, 3, 4, 5, 8, 9]
    assert identity.seed("module::test[0]") == 645_516_808
