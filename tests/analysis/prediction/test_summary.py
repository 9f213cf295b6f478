"""Outputs in few words and as data."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mlpipe.analysis.prediction.summary import described, in_words, plain

ROWS: list[tuple[Any, str]] = [
    ({"cat": 0.75, "dog": 0.25}, "75.00% cat; 25.00% dog"),
    ({"cat": 1.5, "dog": -0.5}, "1.5 cat; -0.5 dog"),
    ({"cat": 3.0, "dog": 1.25}, "3 cat; 1.25 dog"),
    ({"cat": float("nan"), "dog": 0.5, "fox": float("-inf")}, "0.5 dog; -Infinity fox; NaN cat"),
    ({str(number): number / 21 for number in range(7)}, "28.57% 6; 23.81% 5; 19.05% 4; 14.29% 3; 9.52% 2  (best 5 of 7)"),
    ("cat", "cat"),
    (7, "7"),
    (np.asarray([2.5], np.float32), "float32 1  2.5"),
    (np.asarray([[1, 2], [3, 6]], np.int32), "int32 2x2  min 1  mean 3  max 6  first 1 2 3 6"),
    (np.zeros((0, 4), np.float32), "float32 0x4"),
    (np.full(3, np.nan, np.float32), "float32 3  3 NaN  first NaN NaN NaN"),
    (np.arange(8.0), "float64 8  min 0  mean 3.5  max 7  first 0 1 2 3 4 5"),
    (Image.fromarray(np.full((2, 3, 4), 255, np.uint8)), "image 2 x 3 (height x width)  min 255  mean 255  max 255"),
]


@pytest.mark.parametrize(("value", "words"), ROWS, ids=[words for _, words in ROWS])
def test_words(value: Any, words: str) -> None:
    found = described(value)
    assert in_words(found) == words
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_large_arrays_are_not_listed_and_their_mean_is_exact() -> None:
    numbers = np.full(5000, 0.1, np.float16)
    found = described(numbers)
    assert found["values"] is None
    assert found["mean"] == float(np.float16(0.1))
    assert len(described(numbers[:4096])["values"]) == 4096


def test_plain_values() -> None:
    given = {"a": [np.float32(1.5), float("inf")], 3: np.asarray([[1.0, np.nan]]), "b": np.asarray([1]) == 1, "c": np.asarray(-np.inf)}
    assert plain(given) == {"a": [1.5, "Infinity"], "3": [[1.0, "NaN"]], "b": [True], "c": "-Infinity"}
