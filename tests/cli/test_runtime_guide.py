"""docs/runtime.md: every command and every line of Python in it runs."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mlpipe.exit_codes import ExitCode
from mlpipe.runtime.emulation import How

GUIDE = Path(__file__).parents[2] / "docs" / "runtime.md"
BLOCKS = re.findall(r"```(bash|python)\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path, photo: Path, program: Path, custom: Path, pipeline: Path, words: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the working directory, with the files that the guide names."""
    made = tmp_path / "guide"
    (made / "pictures").mkdir(parents=True)
    photo.rename(made / "Photo.mlmodel")
    custom.rename(made / "Custom.mlmodel")
    pipeline.rename(made / "Pipeline.mlmodel")
    words.rename(made / "Words.mlmodel")
    (made / "counts").mkdir()
    (made / "counts" / "one.json").write_text('{"good": 1}')
    (made / "swish.py").write_text("import numpy as np\n\ndef swish(x, beta):\n    return x / (1 + np.exp(-beta * x))\n")
    for name in ("Net.mlpackage", "Functions.mlpackage"):
        (made / name).symlink_to(program, target_is_directory=True)
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3)).astype(np.uint8)
    Image.fromarray(pixels).save(made / "large.jpg")
    Image.fromarray(pixels).save(made / "pictures" / "one.png")
    Image.fromarray(pixels[:4, :6]).save(made / "cat.png")
    np.savez(made / "rows.npz", x=np.ones((4, 3), np.float32))
    np.save(made / "tokens.npy", np.ones((4, 2), np.float32))
    monkeypatch.chdir(made)
    return made


def test_the_examples_run(folder: Path, mlpipe: Any) -> None:
    names: dict[str, Any] = {}
    commands = 0
    for language, text in BLOCKS:
        if language == "python":
            exec(compile(text, str(GUIDE), "exec"), names)
            continue
        for line in text.splitlines():
            said = mlpipe(*shlex.split(line)[1:])
            assert said.code is ExitCode.DONE, (line, said)
            commands += 1
    assert commands >= 12
    np.testing.assert_array_equal(names["total"], [3, 6])
    np.testing.assert_array_equal(names["values"]["doubled"], [1, 2, 4])
    assert {"results.json", "outputs.npz", "taps.npz", "net.onnx", "photo.onnx"} <= {path.name for path in folder.iterdir()}


def test_the_guide_explains_every_way_of_execution() -> None:
    rows = re.findall(r"^\| (\w+) (?:\(not listed\) )?\| ", GUIDE.read_text(encoding="utf-8"), re.MULTILINE)
    assert {str(how) for how in How} <= set(rows)
