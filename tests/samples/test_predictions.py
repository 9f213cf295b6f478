from __future__ import annotations

import hashlib
import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from mlpipe.errors import SampleUnreadable
from mlpipe.samples.predictions import PredictionWriter, open_predictions, without_batch


def write(folder: Path, rows: dict[str, dict[str, np.ndarray]], shard_bytes: int = 1 << 20) -> None:
    folder.mkdir(parents=True)
    writer = PredictionWriter(folder, shard_bytes)
    for name, outputs in rows.items():
        writer.add(name, outputs)
    writer.close()


def test_outputs_come_back_in_order_over_shards(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = {f"{index}.png": {"a": rng.normal(size=(1, 3)).astype(np.float32), "b/c:0": rng.integers(0, 9, 2)} for index in range(7)}
    write(tmp_path / "p", rows, shard_bytes=60)  # 12 + 16 bytes a sample
    predictions = open_predictions(tmp_path / "p")
    assert [shard["count"] for shard in predictions.manifest["shards"]] == [3, 3, 1]
    assert predictions.manifest["outputs"] == {"a": {"dtype": "float32", "shape": [3]}, "b/c:0": {"dtype": "int64", "shape": [2]}}
    for (name, outputs), (expected_name, expected) in zip(predictions.rows(), rows.items(), strict=True):
        assert name == expected_name
        assert np.array_equal(outputs["a"], expected["a"][0])
        assert np.array_equal(outputs["b/c:0"], expected["b/c:0"])
    for shard in predictions.manifest["shards"]:
        assert hashlib.sha256((tmp_path / "p" / shard["file"]).read_bytes()).hexdigest() == shard["sha256"]


def test_the_same_outputs_are_the_same_bytes(tmp_path: Path) -> None:
    rows = {"x": {"a": np.ones(3)}, "y": {"a": np.zeros(3)}}
    write(tmp_path / "one", rows)
    write(tmp_path / "two", rows)
    assert [path.read_bytes() for path in sorted((tmp_path / "one").iterdir())] == [path.read_bytes() for path in sorted((tmp_path / "two").iterdir())]


def test_sizes_that_vary_go_to_shards_of_their_own(tmp_path: Path) -> None:
    write(tmp_path / "p", {"a": {"o": np.ones((1, 2, 3))}, "b": {"o": np.ones((1, 4, 3))}, "c": {"o": np.ones((1, 4, 3))}})
    predictions = open_predictions(tmp_path / "p")
    assert [shard["count"] for shard in predictions.manifest["shards"]] == [1, 2]
    assert predictions.manifest["outputs"]["o"]["shape"] == [None, 3]
    assert [outputs["o"].shape for _, outputs in predictions.rows()] == [(2, 3), (4, 3), (4, 3)]


def test_failures_and_extras_are_in_the_manifest(tmp_path: Path) -> None:
    writer = PredictionWriter(tmp_path)
    writer.fail("bad.png", "unreadable")
    writer.add("good.png", {"o": np.asarray([np.nan, 1.0])})
    assert writer.close(classifier=None) == 1
    predictions = open_predictions(tmp_path)
    assert (predictions.ids, predictions.errors, predictions.outputs) == (["good.png"], {"bad.png": "unreadable"}, ["o"])
    assert json.loads((tmp_path / "outputs.json").read_text())["classifier"] is None
    assert np.isnan(next(predictions.rows())[1]["o"][0])


def test_no_samples_are_a_valid_set(tmp_path: Path) -> None:
    assert PredictionWriter(tmp_path).close() == 0
    assert list(open_predictions(tmp_path).rows()) == []


def test_a_folder_without_outputs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SampleUnreadable, match="cannot be read"):
        open_predictions(tmp_path)


@pytest.mark.parametrize(("shape", "expected"), [((1, 10), (10,)), ((10,), (10,)), ((1,), ()), ((), ()), ((1, 1, 5), (1, 5)), ((0, 3), (0, 3))])
def test_only_the_batch_axis_is_dropped(shape: tuple[int, ...], expected: tuple[int, ...]) -> None:
    assert without_batch(np.zeros(shape)).shape == expected


def test_memory_holds_one_shard(tmp_path: Path) -> None:
    writer = PredictionWriter(tmp_path, shard_bytes=1 << 20)
    tracemalloc.start()
    for index in range(64):
        writer.add(str(index), {"o": np.full((1, 1 << 16), index, np.float32)})
    writer.close()
    total = sum(float(outputs["o"][0]) for _, outputs in open_predictions(tmp_path).rows())
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert total == sum(range(64))
    assert peak < 6 << 20
