from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlpipe.steps import compare
from mlpipe.steps.step import StepRequest

Request = Callable[..., StepRequest]
Predictions = Callable[..., Path]
ALL = [{"name": "top1_agreement"}, {"name": "topk_agreement", "k": 2}, {"name": "accuracy"}, {"name": "snr_db"}, {"name": "psnr_db", "peak": 1.0}]


def rows(*vectors: list[float], output: str = "scores") -> dict[str, dict[str, np.ndarray]]:
    return {f"{index}.png": {output: np.asarray([vector], np.float32)} for index, vector in enumerate(vectors)}


def parameters(*metrics: str | dict[str, Any], **samples: Any) -> dict[str, Any]:
    named = [{"name": metric} if isinstance(metric, str) else metric for metric in metrics]
    return {"samples": {"images": "*.png", **samples}, "metrics": named, "outputs": None}


def banded(predictions: Predictions, name: str, float32: Any, float16: Any, **extra: Any) -> Path:
    folder = predictions(f"{name}/float32", float32, **extra).parent
    predictions(f"{name}/float16", float16, **extra)
    return folder


def test_each_precision_meets_its_own_and_the_worse_end_counts(step_request: Request, predictions: Predictions) -> None:
    inputs = {
        "candidate": banded(predictions, "candidate", rows([1.0, 0.1], [0.0, 1.0]), rows([1.0, 0.0], [0.0, 1.5])),
        "converted": banded(predictions, "converted", rows([1.0, 0.0], [0.0, 1.0]), rows([1.0, 0.0], [0.0, 1.0])),
        "source": predictions("source", rows([1.0, 0.0], [1.0, 0.0])),
    }
    metrics = compare.run(step_request("c", parameters=parameters("snr_db", "top1_agreement", "max_abs_error", "size_ratio"), inputs=inputs)).values["metrics"]
    assert list(metrics) == ["snr_db", "top1_agreement", "max_abs_error", "source.snr_db", "source.top1_agreement", "source.max_abs_error"]
    ends = {"float32": pytest.approx(10 * math.log10(2 / 0.01), rel=1e-6), "float16": pytest.approx(10 * math.log10(2 / 0.25))}
    assert metrics["snr_db"]["band"] == ends
    assert (metrics["snr_db"]["value"], metrics["snr_db"]["worst_sample"], metrics["snr_db"]["n"]) == (ends["float16"], "1.png", 2)
    assert metrics["snr_db"]["outputs"] == {"scores": ends["float16"]}
    assert (metrics["max_abs_error"]["value"], metrics["max_abs_error"]["band"]["float32"]) == (0.5, pytest.approx(0.1))
    assert metrics["top1_agreement"]["value"] == 1.0
    source = metrics["source.top1_agreement"]
    assert (source["value"], source["low"], source["high"]) == (0.5, pytest.approx(0.0945, abs=1e-4), pytest.approx(0.9055, abs=1e-4))
    assert metrics["source.snr_db"]["value"] < 0


def test_a_candidate_in_float16_meets_a_reference_that_has_float32_alone(step_request: Request, predictions: Predictions) -> None:
    inputs = {
        "candidate": banded(predictions, "candidate", rows([1.0, 0.0]), rows([2.0, 0.0])),
        "converted": predictions("converted/float32", rows([1.0, 0.0])).parent,
    }
    entry = compare.run(step_request("c", parameters=parameters("max_abs_error"), inputs=inputs)).values["metrics"]["max_abs_error"]
    assert entry["band"] == {"float32": 0.0, "float16": 1.0}


def test_accuracy_is_the_candidates_with_the_others_beside_it(tmp_path: Path, step_request: Request, predictions: Predictions) -> None:
    classifier = {"output": "scores", "labels": ["cat", "dog"]}
    (tmp_path / "truth.csv").write_text("file,label\n0.png,cat\n1.png,dog\n2.png,dog\n")
    inputs = {
        "candidate": predictions("candidate/float32", rows([1, 0], [1, 0], [1, 0]), classifier=classifier).parent,
        "converted": predictions("converted/float32", rows([1, 0], [0, 1], [1, 0]), classifier=classifier).parent,
        "source": predictions("source", rows([1, 0], [0, 1], [0, 1])),
    }
    asked = parameters("accuracy", ground_truth="truth.csv")
    files = {"ground_truth": (tmp_path / "truth.csv",)}
    metrics = compare.run(step_request("c", parameters=asked, inputs=inputs, files=files)).values["metrics"]
    assert list(metrics) == ["accuracy"]
    entry = metrics["accuracy"]
    assert (entry["value"], entry["n"], entry["worst_sample"]) == (pytest.approx(1 / 3), 3, "1.png")
    assert entry["models"] == {"converted": pytest.approx(2 / 3), "source": 1.0}
    # Swapped labels must show.
    (tmp_path / "truth.csv").write_text("file,label\n0.png,dog\n1.png,cat\n2.png,cat\n")
    assert compare.run(step_request("d", parameters=asked, inputs=inputs, files=files)).values["metrics"]["accuracy"]["value"] == pytest.approx(2 / 3)


def test_labels_may_come_from_a_file_a_list_or_an_array(tmp_path: Path, step_request: Request, predictions: Predictions) -> None:
    inputs = {"candidate": predictions("candidate/float32", {"0": {"y": np.asarray([0.0, 1.0])}, "1": {"y": np.asarray([1.0, 0.0])}}).parent}
    (tmp_path / "truth.csv").write_text("index,label\n0,dog\n1,dog\n")
    (tmp_path / "labels.txt").write_text("cat\ndog\n")
    np.savez(tmp_path / "a.npz", x=np.zeros((2, 3)), y=np.asarray([1, 1]))
    truth = {"ground_truth": (tmp_path / "truth.csv",)}
    for name, samples, files in (
        ("file", {"ground_truth": "truth.csv", "labels": "labels.txt"}, truth | {"labels": (tmp_path / "labels.txt",)}),
        ("list", {"ground_truth": "truth.csv", "labels": ["cat", "dog"]}, truth),
        ("array", {"ground_truth": "key:y", "images": None, "arrays": "a.npz"}, {"samples": (tmp_path / "a.npz",)}),
    ):
        result = compare.run(step_request(name, parameters=parameters("accuracy", **samples), inputs=inputs, files=files)).values
        assert result["metrics"]["accuracy"]["value"] == 0.5, result["not_computed"]


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        ({}, "there is no ground truth"),
        ({"ground_truth": "truth.csv"}, "unknown label 'cow'"),
    ],
)
def test_accuracy_that_cannot_be_computed_is_recorded_with_its_reason(
    tmp_path: Path, step_request: Request, predictions: Predictions, samples: dict[str, Any], message: str
) -> None:
    (tmp_path / "truth.csv").write_text("file,label\n0.png,cow\n")
    inputs = {"candidate": predictions("candidate/float32", rows([1, 0])).parent, "source": predictions("source", rows([1, 0]))}
    files = {"ground_truth": (tmp_path / "truth.csv",)}
    result = compare.run(step_request("c", parameters=parameters("accuracy", "snr_db", **samples), inputs=inputs, files=files)).values
    assert list(result["metrics"]) == ["source.snr_db"]
    assert message in result["not_computed"]["accuracy"]


def test_samples_without_outputs_are_counted_whoever_lost_them(step_request: Request, predictions: Predictions) -> None:
    complete = rows([1, 0], [0, 1], [1, 0], [0, 1])
    candidate = {name: row for name, row in complete.items() if name != "1.png"}
    source = {name: row for name, row in complete.items() if name not in {"2.png", "3.png"}}
    inputs = {
        "candidate": predictions("candidate/float32", candidate, {"1.png": "cannot be read"}).parent,
        "source": predictions("source", source, {"2.png": "too dark"}),
    }
    request = step_request("c", parameters=parameters("snr_db"), inputs=inputs)
    result = compare.run(request).values
    assert result["metrics"]["source.snr_db"]["n"] == 1
    assert result["errors"] == {"1.png": "cannot be read", "2.png": "too dark", "3.png": "has outputs of one model only"}
    assert (result["error_count"], result["n"]) == (3, 3)
    assert json.loads((request.output / "metrics.json").read_text())["errors"] == result["errors"]


def test_no_samples_give_no_metrics(step_request: Request, predictions: Predictions) -> None:
    inputs = {"candidate": predictions("candidate/float32", {}).parent, "source": predictions("source", {})}
    result = compare.run(step_request("c", parameters=parameters("snr_db", "top1_agreement"), inputs=inputs)).values
    assert (result["metrics"], result["n"]) == ({}, 0)


def test_nan_in_one_precision_is_nan(step_request: Request, predictions: Predictions) -> None:
    inputs = {
        "candidate": banded(predictions, "candidate", rows([1, 0], [1, 0]), rows([1, 0], [math.nan, 0])),
        "source": predictions("source", rows([1, 0], [1, 0])),
    }
    request = step_request("c", parameters=parameters("snr_db", "top1_agreement", "cosine", "max_abs_error"), inputs=inputs)
    metrics = compare.run(request).values["metrics"]
    assert {entry["value"] for entry in metrics.values()} == {"nan"}
    assert {entry["worst_sample"] for entry in metrics.values()} == {"1.png"}
    assert metrics["source.snr_db"]["band"] == {"float32": "inf", "float16": "nan"}
    json.loads((request.output / "metrics.json").read_text(), parse_constant=pytest.fail)


def test_what_overflowed_is_passed_on(step_request: Request, predictions: Predictions) -> None:
    inputs = {"candidate": predictions("candidate/float32", rows([1.0])).parent, "source": predictions("source", rows([1.0]))}
    for number, overflows in enumerate((["conv_1 (conv) becomes infinite"], [])):
        made = step_request(
            f"c{number}", parameters=parameters("snr_db"), inputs=inputs, values={"candidate": {"n": 1, **({"overflows": overflows} if overflows else {})}}
        )
        assert compare.run(made).values["overflows"] == overflows
        assert json.loads((made.output / "metrics.json").read_text())["overflows"] == overflows


def test_agreement_needs_scores(step_request: Request, predictions: Predictions) -> None:
    def result(name: str, row: dict[str, np.ndarray], **extra: Any) -> Any:
        inputs = {"candidate": predictions(f"{name}/float32", {"a": row}, **extra).parent, "source": predictions(f"{name}/source", {"a": row})}
        return compare.run(step_request(name, parameters=parameters("top1_agreement", "snr_db"), inputs=inputs)).values

    several = result("several", {"a": np.ones(3), "b": np.ones(3)})
    assert list(several["metrics"]) == ["source.snr_db"]
    assert "which of the outputs a, b has the scores" in several["not_computed"]["source.top1_agreement"]
    image = result("image", {"a": np.ones((4, 4))})
    assert "no scores by class" in image["not_computed"]["source.top1_agreement"]
    single = result("single", {"a": np.ones((1, 1))})  # a sigmoid: its first maximum is always class 0, which would agree with anything
    assert "no scores by class" in single["not_computed"]["source.top1_agreement"]
    named = result("named", {"a": np.ones((4, 4)), "b": np.ones(3)}, classifier={"output": "b", "labels": ["x", "y", "z"]})
    assert named["metrics"]["source.top1_agreement"]["value"] == 1.0
    deep = result("deep", {"a": np.ones((1, 10, 1, 1))})
    assert deep["metrics"]["source.top1_agreement"]["value"] == 1.0


def test_outputs_of_other_shapes_are_not_compared(step_request: Request, predictions: Predictions) -> None:
    inputs = {"candidate": predictions("c/float32", rows([1, 0, 0])).parent, "source": predictions("s", rows([1, 0]))}
    result = compare.run(step_request("c", parameters=parameters("snr_db"), inputs=inputs)).values
    assert result["metrics"] == {}
    assert "only outputs of one shape" in result["not_computed"]["source.snr_db"]


def test_the_only_output_of_a_reference_may_have_another_name(step_request: Request, predictions: Predictions) -> None:
    inputs = {"candidate": predictions("c/float32", rows([1, 0])).parent, "source": predictions("s", rows([1, 0], output="other"))}
    assert compare.run(step_request("c", parameters=parameters("snr_db"), inputs=inputs)).values["metrics"]["source.snr_db"]["value"] == "inf"


def test_an_image_output_is_held_against_what_a_pixel_can_say(step_request: Request, predictions: Predictions) -> None:
    images = {"y": {"color": "grayscale", "scale": 255.0, "clip": True, "layout": "nhwc"}}
    source = {"a": {"y": np.asarray([[-0.5, 0.5, 1.5]])}}
    candidate = {"a": {"y": np.asarray([[0.0, 0.5, 1.0]])}}
    inputs = {"candidate": predictions("c/float32", candidate, image_outputs=images).parent, "source": predictions("s", source)}
    assert compare.run(step_request("c", parameters=parameters("max_abs_error"), inputs=inputs)).values["metrics"]["source.max_abs_error"]["value"] == 0.0


def test_a_model_without_numbers_says_why_nothing_was_compared(step_request: Request, predictions: Predictions) -> None:
    empty: dict[str, dict[str, np.ndarray]] = {"0": {}, "1": {}}
    inputs = {"candidate": predictions("c/float32", empty).parent, "source": predictions("s", empty)}
    result = compare.run(step_request("c", parameters=parameters("snr_db", "top1_agreement"), inputs=inputs)).values
    assert (result["metrics"], result["n"]) == ({}, 2)
    assert set(result["not_computed"]) == {"source.snr_db", "source.top1_agreement"}
    assert all("no output of the model is a number" in why for why in result["not_computed"].values())
