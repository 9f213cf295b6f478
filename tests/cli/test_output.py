"""Exit codes that do not depend on who reads: closed pipes, closed descriptors, a full device. On real processes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

MLPIPE = [sys.executable, "-c", "from mlpipe.cli.main import main; main()"]


@pytest.mark.parametrize(("words", "code"), [(["schema"], 0), (["--help"], 0), (["show", "no-such-recipe.yaml", "--json"], 2)])
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_reader_who_has_left_changes_no_exit_code(words: list[str], code: int, stream: str) -> None:
    read, write = os.pipe()
    os.close(read)
    other = "stderr" if stream == "stdout" else "stdout"
    done = subprocess.run([*MLPIPE, *words], **{stream: write, other: subprocess.PIPE}, text=True, check=False)
    os.close(write)
    assert done.returncode == code
    assert not done.stderr


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_descriptors_change_no_exit_code(closed: str) -> None:
    for words, code in (("schema", 0), ("show no-such-recipe.yaml", 2)):
        done = subprocess.run(["sh", "-c", f'"$@" {words} {closed}', "sh", *MLPIPE], capture_output=True, check=False)
        assert done.returncode == code


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="NOT RUN: there is no /dev/full")
def test_a_full_device_is_said_once_and_is_no_bug() -> None:
    for words in (["schema"], ["--version"], ["show", "no-such-recipe.yaml", "--json"]):
        with Path("/dev/full").open("w") as full:
            done = subprocess.run([*MLPIPE, *words], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
        assert done.returncode == 3
        assert done.stderr.count("standard output cannot be written") == 1
        assert "Traceback" not in done.stderr


def test_json_is_json_whatever_the_encoding(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("source: {keras: größe.keras}\n", encoding="utf-8")
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    done = subprocess.run([*MLPIPE, "plan", "recipe.yaml", "--json"], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert "größe.keras" in json.loads(done.stdout)["error"]["what"]


@pytest.mark.skipif(sys.platform == "darwin", reason="NOT RUN: macOS has no such file names")
def test_a_sample_whose_name_is_no_text_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "model.mlmodel").touch()
    (tmp_path / os.fsdecode(b"\xff.png")).touch()
    (tmp_path / "recipe.yaml").write_text("source: {coreml: model.mlmodel}\ncompare: {samples: {images: '*.png'}, metrics: [snr_db]}\n")
    for more in ([], ["--json"]):
        done = subprocess.run([*MLPIPE, "plan", "recipe.yaml", *more], cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 2, done.stderr
        assert "is no UTF-8 text" in done.stdout + done.stderr
