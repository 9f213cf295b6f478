"""Which source files a step's key holds."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import mlpipe.runtime
from mlpipe.engine.own_code import OwnCode
from mlpipe.engine.state import State

FILES = {
    "__init__.py": "from toy.unrelated import thing\n",
    "unrelated.py": "thing = 1\n",
    "plain.py": "import json\n",
    "absolute.py": "import toy.deep.leaf\n",
    "from_package.py": "from toy.deep import leaf\n",
    "relative.py": "from .deep.leaf import name\n",
    "inside.py": "def run():\n    if True:\n        from toy.plain import x\n",
    "typing_only.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from toy import plain\nelse:\n    from toy import absolute\n",
    "by_name.py": "import importlib\nimportlib.import_module('toy.plain')\n",
    "computed.py": "from toy.ops import table\n",
    "circle.py": "from toy import circle_back\n",
    "circle_back.py": "from toy import circle\n",
    "deep/__init__.py": "from .sibling import y\n",
    "deep/leaf.py": "",
    "deep/sibling.py": "",
    "ops/__init__.py": "",
    "ops/table.py": "import importlib\nfor name in NAMES:\n    importlib.import_module(f'toy.ops.{name}')\n",
    "ops/relu.py": "",
    "ops/more/tanh.py": "from ... import plain\n",
}


@pytest.fixture
def toy(tmp_path, monkeypatch):
    for name, text in FILES.items():
        path = tmp_path / "toy" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path / "toy"


@pytest.mark.parametrize(
    ("module", "reached"),
    [
        ("plain", []),
        ("absolute", ["deep", "deep.leaf", "deep.sibling"]),
        ("from_package", ["deep", "deep.leaf", "deep.sibling"]),
        ("relative", ["deep", "deep.leaf", "deep.sibling"]),
        ("inside", ["plain"]),
        ("typing_only", ["absolute", "deep", "deep.leaf", "deep.sibling"]),
        ("by_name", ["plain"]),
        ("computed", ["ops", "ops.more.tanh", "ops.relu", "ops.table", "plain"]),
        ("circle", ["circle_back"]),
    ],
)
@pytest.mark.usefixtures("toy")
def test_reach(module, reached):
    found = OwnCode(State(None)).reach(f"toy.{module}").files
    assert sorted(found) == sorted(f"toy.{name}" for name in [module, *reached])
    assert "toy" not in sys.modules


def test_the_digest_follows_every_reached_file_and_no_other(toy):
    before = OwnCode(State(None)).reach("toy.inside").digest
    (toy / "unrelated.py").write_text("thing = 2\n")
    assert OwnCode(State(None)).reach("toy.inside").digest == before
    (toy / "plain.py").write_text("import json  # edited\n")
    assert OwnCode(State(None)).reach("toy.inside").digest != before


def test_a_file_that_did_not_change_is_not_read_again(toy, tmp_path):
    state = State(tmp_path / "state.sqlite3")
    before = OwnCode(state).reach("toy.inside")
    state.close()
    state = State(tmp_path / "state.sqlite3")
    state.put("code", str(toy / "plain.py"), [*state.get("code", str(toy / "plain.py"))[:2], "remembered", []])
    assert OwnCode(state).reach("toy.inside").files["toy.plain"] == "remembered"
    state.close()
    assert before.files["toy.plain"] != "remembered"


def test_a_step_that_does_not_exist():
    with pytest.raises(ModuleNotFoundError, match="no_such"):
        OwnCode(State(None)).reach("mlpipe.steps.no_such")


WITHOUT_PREDICTIONS = {f"mlpipe.runtime.{name}" for name in ("emulation", "export", "onnx_file")}
"""What explains models and writes them as ONNX."""


def test_a_prediction_reaches_the_whole_runtime():
    code = OwnCode(State(None))
    reached = code.reach("mlpipe.steps.predict").files
    runtime = Path(mlpipe.runtime.__file__).parent
    modules = {".".join(("mlpipe.runtime", *path.relative_to(runtime).with_suffix("").parts)).removesuffix(".__init__") for path in runtime.rglob("*.py")}
    assert modules - reached.keys() == WITHOUT_PREDICTIONS


STEPS = ("source", "convert", "quantize", "package", "compare", "gate", "release", "report")


@pytest.mark.parametrize("step", STEPS)
def test_no_step_but_predict_reaches_the_ops_of_the_runtime(step):
    files = OwnCode(State(None)).reach(f"mlpipe.steps.{step}").files
    assert not [name for name in files if name.startswith("mlpipe.runtime.")]
    assert not [name for name in files if name.startswith(("mlpipe.engine.", "mlpipe.cli", "mlpipe.api"))]
