from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.spatial.distance import cosine as cosine_distance
from sklearn.metrics import accuracy_score, mean_squared_error, top_k_accuracy_score

from mlpipe.errors import StepFailed
from mlpipe.metrics.evaluate import SHARE_METRICS, TENSOR_METRICS, Pair, evaluate, worst_of
from mlpipe.recipe.metrics_table import METRICS
from mlpipe.recipe.schema.compare import MetricSpec

ARRAYS = hnp.arrays(np.float32, (4, 3), elements=st.floats(-100, 100, width=32))


def spec(name: str) -> MetricSpec:
    return MetricSpec.model_validate({"name": name, **({"peak": 255.0} if name == "psnr_db" else {}), **({"k": 2} if name == "topk_agreement" else {})})


def pairs(reference: np.ndarray, candidate: np.ndarray, labels: list[int] | None = None) -> Iterator[Pair]:
    for index, (r, c) in enumerate(zip(reference, candidate, strict=True)):
        yield Pair(str(index), {"out": r}, {"out": c}, None if labels is None else labels[index])


def value_of(name: str, reference: np.ndarray, candidate: np.ndarray, labels: list[int] | None = None) -> float:
    return evaluate(pairs(reference, candidate, labels), [spec(name)], "out")[name].value


REFERENCE = np.asarray([[3.0, 4.0], [0.0, 0.0]])
CANDIDATE = np.asarray([[3.0, 3.0], [0.0, 2.0]])
# signal 9 + 16 = 25, noise 1 + 4 = 5, four elements, product 9 + 12 = 21, candidate 9 + 9 + 4 = 22
BY_HAND = {
    "snr_db": (10 * math.log10(25 / 5), "1"),
    "psnr_db": (10 * math.log10(255**2 / (5 / 4)), "1"),
    "max_abs_error": (2.0, "1"),
    "cosine": (21 / math.sqrt(25 * 22), "1"),
    "top1_agreement": (0.0, "0"),  # sample 0: class 1 against a tie, whose first is 0; sample 1: a tie, whose first is 0, against 1
    "topk_agreement": (1.0, None),
    "accuracy": (0.5, "1"),  # labels 0 and 0
}


def test_every_metric_of_the_table_is_computed_and_checked_here() -> None:
    computed = {name for name, metric in METRICS.items() if metric.against != "nothing"}
    assert {*TENSOR_METRICS, *SHARE_METRICS} == computed == BY_HAND.keys()


@pytest.mark.parametrize("name", BY_HAND)
def test_values_worked_out_by_hand(name: str) -> None:
    expected, worst = BY_HAND[name]
    result = evaluate(pairs(REFERENCE, CANDIDATE, [0, 0]), [spec(name)], "out")[name]
    assert result.value == pytest.approx(expected, rel=1e-14)
    assert (result.n, result.worst_sample) == (2, worst)


@given(ARRAYS, ARRAYS)
def test_tensor_metrics_equal_independent_formulas(reference: np.ndarray, candidate: np.ndarray) -> None:
    r, c = reference.astype(np.float64).ravel(), candidate.astype(np.float64).ravel()
    assert value_of("max_abs_error", reference, candidate) == np.linalg.norm(r - c, np.inf)
    mean_square = mean_squared_error(r, c)
    if mean_square > 1e-12:
        assert value_of("psnr_db", reference, candidate) == pytest.approx(20 * math.log10(255 / math.sqrt(mean_square)), rel=1e-9, abs=1e-9)
        if np.any(np.abs(r) > 1e-6):
            expected = 20 * math.log10(np.linalg.norm(r) / np.linalg.norm(r - c))
            assert value_of("snr_db", reference, candidate) == pytest.approx(expected, rel=1e-9, abs=1e-9)
    if np.linalg.norm(r) > 1e-3 and np.linalg.norm(c) > 1e-3:
        assert value_of("cosine", reference, candidate) == pytest.approx(1 - cosine_distance(r, c), abs=1e-9)


@given(ARRAYS, ARRAYS, st.sampled_from([-4.0, 0.25, 2.0, 1024.0]))
def test_snr_and_cosine_do_not_depend_on_scale_or_order(reference: np.ndarray, candidate: np.ndarray, factor: float) -> None:
    reference, candidate = reference.astype(np.float64), candidate.astype(np.float64)
    for name in ("snr_db", "cosine"):
        plain = value_of(name, reference, candidate)
        assert value_of(name, reference * factor, candidate * factor) == pytest.approx(plain, rel=1e-9, abs=1e-9)
        assert value_of(name, reference[::-1], candidate[::-1]) == pytest.approx(plain, rel=1e-9, abs=1e-9)


def test_snr_of_a_tenth_of_the_noise_is_twenty_decibels_more() -> None:
    rng = np.random.default_rng(0)
    reference, noise = rng.normal(size=(5, 7)), rng.normal(size=(5, 7))
    gain = value_of("snr_db", reference, reference + noise / 10) - value_of("snr_db", reference, reference + noise)
    assert gain == pytest.approx(20, abs=1e-9)


def test_shares_equal_scikit_learn() -> None:
    rng = np.random.default_rng(1)
    reference, candidate = rng.normal(size=(200, 7)), rng.normal(size=(200, 7))
    chosen, labels = reference.argmax(axis=1), rng.integers(0, 7, 200)
    assert value_of("top1_agreement", reference, candidate) == accuracy_score(chosen, candidate.argmax(axis=1))
    assert value_of("topk_agreement", reference, candidate) == top_k_accuracy_score(chosen, candidate, k=2)
    assert value_of("accuracy", reference, candidate, labels.tolist()) == accuracy_score(labels, candidate.argmax(axis=1))


def test_k_beyond_the_classes_is_always_met() -> None:
    five = MetricSpec.model_validate({"name": "topk_agreement"})
    assert evaluate(pairs(REFERENCE, CANDIDATE), [five], "out")["topk_agreement"].value == 1.0


@pytest.mark.parametrize(
    ("name", "where"),
    [(name, where) for name in BY_HAND for where in ("reference", "candidate") if (name, where) != ("accuracy", "reference")],
)
def test_nan_is_never_equal_to_anything(name: str, where: str) -> None:
    damaged = np.asarray([[1.0, 2.0], [math.nan, 1.0], [5.0, 4.0]])
    sound = np.asarray([[1.0, 2.0], [0.0, 1.0], [5.0, 4.0]])
    reference, candidate = (damaged, sound) if where == "reference" else (sound, damaged)
    result = evaluate(pairs(reference, candidate, [1, 1, 0]), [spec(name)], "out")[name]
    assert math.isnan(result.value)
    assert result.worst_sample == "1"
    assert math.isnan(value_of(name, damaged, damaged, [1, 1, 0]))


@pytest.mark.parametrize("name", ["snr_db", "max_abs_error", "cosine"])
def test_the_same_infinity_on_both_sides_is_not_agreement(name: str) -> None:
    overflowed = np.asarray([[math.inf, 1.0]])
    assert math.isnan(value_of(name, overflowed, overflowed))


@pytest.mark.parametrize("name", ["top1_agreement", "topk_agreement", "accuracy"])
def test_an_overflowed_score_agrees_with_nothing_and_a_class_that_is_ruled_out_is_fine(name: str) -> None:
    assert math.isnan(value_of(name, np.asarray([[1.0, 0.0]]), np.asarray([[math.inf, 1.0]]), [0]))
    assert value_of(name, np.asarray([[1.0, -math.inf]]), np.asarray([[2.0, -math.inf]]), [0]) == 1.0


@pytest.mark.parametrize(
    ("name", "reference", "candidate", "expected"),
    [
        ("snr_db", [[1.0, 2.0]], [[1.0, 2.0]], math.inf),
        ("psnr_db", [[1.0, 2.0]], [[1.0, 2.0]], math.inf),
        ("snr_db", [[0.0, 0.0]], [[1.0, 2.0]], -math.inf),
        ("snr_db", [[0.0, 0.0]], [[0.0, 0.0]], math.inf),
        ("snr_db", [[1.0, 2.0]], [[1.0, math.inf]], -math.inf),
        ("cosine", [[0.0, 0.0]], [[0.0, 0.0]], 1.0),
        ("cosine", [[1.0, 2.0]], [[0.0, 0.0]], 0.0),
        ("cosine", [[1.0, 2.0]], [[-2.0, -4.0]], -1.0),
        ("max_abs_error", [[1.0, 2.0]], [[1.0, 2.0]], 0.0),
    ],
)
def test_limits(name: str, reference: list[list[float]], candidate: list[list[float]], expected: float) -> None:
    assert value_of(name, np.asarray(reference), np.asarray(candidate)) == pytest.approx(expected)


def test_unsigned_pixels_do_not_wrap_around() -> None:
    assert value_of("max_abs_error", np.asarray([[0]], np.uint8), np.asarray([[255]], np.uint8)) == 255


def test_float32_sums_are_not_the_limit() -> None:
    reference = np.ones((1, 1 << 20), np.float32)
    reference[0, 0] = 4096.0  # in float32, 2^24 + 1 stays 2^24
    expected = 10 * math.log10((4096.0**2 + (1 << 20) - 1) / (1 << 20))
    assert value_of("snr_db", reference, reference + np.float32(1)) == pytest.approx(expected, rel=1e-12)


def test_the_worst_output_counts() -> None:
    rows = [Pair("a", {"good": np.ones(2), "bad": np.ones(2)}, {"good": np.full(2, 1.001), "bad": np.full(2, 1.1)})]
    result = evaluate(rows, [spec("snr_db"), spec("max_abs_error")], None)
    assert result["snr_db"].value == pytest.approx(20.0)
    assert result["snr_db"].outputs == {"good": pytest.approx(60.0), "bad": pytest.approx(20.0)}
    assert result["max_abs_error"].value == pytest.approx(0.1)


def test_intervals_are_for_shares_only() -> None:
    result = evaluate(pairs(REFERENCE, CANDIDATE, [0, 0]), [spec("accuracy"), spec("snr_db")], "out")
    assert (result["accuracy"].low, result["accuracy"].high) == pytest.approx((0.094531, 0.905469), abs=1e-6)
    assert (result["snr_db"].low, result["snr_db"].high) == (None, None)


def test_nothing_is_computed_on_no_samples() -> None:
    assert evaluate([], [spec(name) for name in BY_HAND], "out") == {}


def test_axes_of_one_may_differ_and_others_may_not() -> None:
    assert evaluate([Pair("a", {"out": np.ones((1, 3))}, {"out": np.ones(3)})], [spec("max_abs_error")], None)["max_abs_error"].value == 0
    with pytest.raises(StepFailed, match="only outputs of one shape"):
        evaluate([Pair("a", {"out": np.ones((2, 3))}, {"out": np.ones((3, 2))})], [spec("snr_db")], None)


@pytest.mark.parametrize(
    ("row", "label", "message"),
    [(np.ones(1), 0, "no scores by class"), (np.ones((2, 2)), 0, "no scores by class"), (np.ones(3), 3, "has 3 classes"), (np.ones(3), -1, "has 3 classes")],
)
def test_scores_must_be_scores(row: np.ndarray, label: int, message: str) -> None:
    with pytest.raises(StepFailed, match=message):
        evaluate([Pair("a", {"out": row}, {"out": row}, label)], [spec("accuracy")], "out")


def test_other_outputs_are_refused() -> None:
    with pytest.raises(StepFailed, match="the candidate has the outputs b"):
        evaluate([Pair("a", {"a": np.ones(2)}, {"b": np.ones(2)})], [spec("snr_db")], None)


def test_worst_of_knows_the_direction() -> None:
    assert worst_of("snr_db", [3.0, 2.0]) == 2.0
    assert worst_of("max_abs_error", [3.0, 2.0]) == 3.0
    assert math.isnan(worst_of("snr_db", [3.0, math.nan]))
