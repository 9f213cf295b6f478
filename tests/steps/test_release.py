from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mlpipe.steps import release
from mlpipe.steps.step import StepRequest


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "package"
    (folder / "model.mlpackage" / "Data").mkdir(parents=True)
    (folder / "model.mlpackage" / "Data" / "weight.bin").write_bytes(b"weights")
    return folder


def test_a_passing_variant_is_released_under_its_name(step_request: Callable[..., StepRequest], package: Path, tmp_path: Path) -> None:
    values = {"gate": {"verdict": "PASS"}}
    request = step_request("r", parameters={"variant": "lut-4", "name": "Digits"}, inputs={"package": package}, values=values)
    assert release.run(request).values == {"variant": "lut-4", "released": "Digits.mlpackage"}
    assert (request.output / "Digits.mlpackage" / "Data" / "weight.bin").read_bytes() == b"weights"
    (tmp_path / "single").mkdir()
    (tmp_path / "single" / "model.mlmodel").write_bytes(b"model")
    request = step_request("s", parameters={"variant": "lut-4", "name": "Digits"}, inputs={"package": tmp_path / "single"}, values=values)
    assert release.run(request).values["released"] == "Digits.mlmodel"
    assert (request.output / "Digits.mlmodel").read_bytes() == b"model"


@pytest.mark.parametrize("verdict", ["FAIL", "ERROR", "REPORT_ONLY", "UNGATED"])
def test_nothing_else_is_released(step_request: Callable[..., StepRequest], package: Path, verdict: str) -> None:
    values = {"gate": {"verdict": verdict}}
    request = step_request("r", parameters={"variant": "lut-4", "name": "Digits"}, inputs={"package": package}, values=values)
    result = release.run(request)
    assert result.values == {"variant": "lut-4", "released": None}
    assert result.log_notes == (f"Digits is not released: the gate of lut-4 says {verdict}",)
    assert list(request.output.iterdir()) == []
