"""Custom models: a Python reference for a class of the app."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mlpipe.errors import NotExecutable, UserCodeFailed


@pytest.fixture
def spec(specification: Any) -> Any:
    made = specification("customModel", {"x": "float64[3]", "n": "int64", "word": "string"}, {"y": "float32[3]", "count": "int64", "said": "string"})
    made.customModel.className = "Mine"
    made.customModel.parameters["factor"].doubleValue = 2.5
    made.customModel.parameters["loud"].boolValue = True
    return made


def mine(inputs: dict[str, Any], factor: float, *, loud: bool) -> dict[str, Any]:
    return {"y": inputs["x"] * factor, "count": inputs["n"] + 1, "said": inputs["word"].upper() if loud else inputs["word"]}


def test_the_reference_gets_inputs_by_name_and_parameters(spec: Any, run: Any) -> None:
    feeds = [{"x": [1, 2, 3], "n": 4, "word": "hello"}, {"x": [0, 0, 1], "n": 0, "word": "bye"}]
    first, second = run(spec, feeds, {"Mine": mine})
    assert first["y"].tolist() == [2.5, 5.0, 7.5]
    assert first["y"].dtype == np.float32
    assert (first["count"], first["said"], second["count"], second["said"]) == (5, "HELLO", 1, "BYE")


def test_a_class_without_reference_is_named_with_its_interface(spec: Any, run: Any) -> None:
    with pytest.raises(NotExecutable, match="'Mine' has no reference") as raised:
        run(spec, [], {"Other": mine})
    assert "x: float64 array 3" in str(raised.value.why)
    assert "'factor': 2.5" in str(raised.value.why)


def fails(_: dict[str, Any], **__: Any) -> dict[str, Any]:
    raise ValueError("no luck")


@pytest.mark.parametrize(
    ("reference", "message"),
    [(fails, "no luck"), (lambda _, **__: 3, "returned int"), (lambda inputs, **_: {"y": inputs["x"]}, "did not return the output 'count'")],
)
def test_a_reference_that_fails(spec: Any, run: Any, reference: Any, message: str) -> None:
    with pytest.raises(UserCodeFailed) as raised:
        run(spec, [{"x": [1, 2, 3], "n": 4, "word": "hello"}], {"Mine": reference})
    assert message in f"{raised.value.what} {raised.value.why}"
