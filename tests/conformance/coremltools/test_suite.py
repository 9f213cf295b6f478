"""coremltools' own test suite, with predictions by mlpipe: a shard of it by default, the whole by hand."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

needs_tensorflow = pytest.mark.skipif(importlib.util.find_spec("tensorflow") is None, reason="NOT RUN: TensorFlow is not installed")

DEFAULT_SHARDS = {"ops": ("0/60", 200), "tensorflow": ("0/120", 25)}
"""Suite -> the shard that runs by default, and the fewest predictions that it must make (without PyTorch it makes fewer than with it)."""

FULL_SHARDS = 30


@needs_tensorflow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("suite", DEFAULT_SHARDS)
def test_shard(suite: str, tmp_path: Path, part: Callable[[str], ModuleType]) -> None:
    shard, fewest = DEFAULT_SHARDS[suite]
    run, files = part("run"), [tmp_path / "results.jsonl"]
    run.run_shard(run.SUITES[suite], shard, files[0])
    results = part("oracle.results").read_results(files)
    assert part("oracle.known").unexplained(results) == []
    assert sum(result["outcome"] == "passed with a prediction" for result in results.values()) >= fewest


@needs_tensorflow
@pytest.mark.full
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("shard", range(FULL_SHARDS))
def test_everything(shard: int, tmp_path_factory: pytest.TempPathFactory, part: Callable[[str], ModuleType]) -> None:
    """Keep the results in MLPIPE_CONFORMANCE_FOLDER, where summary.py reads them, and a run that was ended goes on."""
    folder = Path(os.environ.get("MLPIPE_CONFORMANCE_FOLDER") or tmp_path_factory.getbasetemp() / "conformance")
    run = part("run")
    found = []
    for suite, package in run.SUITES.items():
        file = folder / f"{suite}-mlprogram-{shard}of{FULL_SHARDS}.jsonl"
        run.run_shard(package, f"{shard}/{FULL_SHARDS}", file)
        results = part("oracle.results").read_results([file])
        found += part("oracle.known").unexplained(results)
    assert found == []
