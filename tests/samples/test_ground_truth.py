from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mlpipe.errors import SampleUnreadable
from mlpipe.samples.ground_truth import ground_truth_array, read_ground_truth

IDS = ["a.png", "b.png"]


def read(folder: Path, text: str, ids: list[str] = IDS, labels: list[str] | None = None) -> dict[str, int]:
    (folder / "labels.csv").write_text(text, encoding="utf-8")
    return read_ground_truth(folder / "labels.csv", ids, labels)


@pytest.mark.parametrize(
    ("text", "ids", "labels", "expected"),
    [
        ("file,label\na.png,1\nb.png,0\n", IDS, None, [1, 0]),
        ("file,label\na.png,cat\nb.png,dog\nc.png,unknown\n", IDS, ["dog", "cat"], [1, 0]),
        ("file,label\na.png,1\nb.png,dog\n", IDS, ["dog", "cat"], [1, 0]),
        ("label,width,file\n 1 ,9,data/a.png\n0,9,data\\b.png\n", IDS, None, [1, 0]),
        ('\ufefffile,label\r\n"a.png",1\r\nb.png,0\r\n', IDS, None, [1, 0]),
        ("index,label\n1,4\n0,3\n", ["0", "1"], None, [3, 4]),
        ("file,label\nx/1.png,0\ny/1.png,1\n", ["x/1.png", "y/1.png"], None, [0, 1]),
        ("file,label\na.png,7\nb.png,1\n", IDS, ["1", "7"], [1, 0]),  # names that are numbers stay names
    ],
)
def test_labels_by_name_and_index(tmp_path: Path, text: str, ids: list[str], labels: list[str] | None, expected: list[int]) -> None:
    assert read(tmp_path, text, ids, labels) == dict(zip(ids, expected, strict=True))


@pytest.mark.parametrize(
    ("text", "labels", "message"),
    [
        ("file,label\na.png,1\n", None, r"labels\.csv: 1 sample\(s\) without a label: b\.png"),
        ("file,label\na.png,1\nb.png,0\na.png,1\n", None, r"labels\.csv:4: a second row for sample a\.png"),
        ("file,label\na.png,cow\nb.png,dog\n", ["dog", "cat"], r"labels\.csv:2: unknown label 'cow' \(the labels are dog, cat\)"),
        ("file,label\na.png,2\nb.png,dog\n", ["dog", "cat"], "unknown label '2'"),
        ("file,label\na.png,0\nb.png,1\n", ["1", "7"], "unknown label '0'"),
        ("file,label\na.png,cat\nb.png,0\n", None, "it must be an index"),
        ("file,label\na.png,-1\nb.png,0\n", None, "unknown label '-1'"),
        ("file,label\na.png\nb.png,0\n", None, "unknown label ''"),
        ("name,label\na.png,1\n", None, "the columns are name, label"),
        ("", None, "the columns are none"),
    ],
)
def test_mistakes_are_named_with_their_line(tmp_path: Path, text: str, labels: list[str] | None, message: str) -> None:
    with pytest.raises(SampleUnreadable, match=message):
        read(tmp_path, text, IDS, labels)


def test_only_the_first_missing_samples_are_listed(tmp_path: Path) -> None:
    ids = [f"{index}.png" for index in range(8)]
    with pytest.raises(SampleUnreadable, match=r"8 sample\(s\) without a label: 0\.png, 1\.png, 2\.png, 3\.png, 4\.png and 3 more; give"):
        read(tmp_path, "file,label\n", ids)
    with pytest.raises(SampleUnreadable, match=r"5 sample\(s\) without a label: 0\.png, 1\.png, 2\.png, 3\.png, 4\.png; give"):
        read(tmp_path, "file,label\n", ids[:5])


def test_unreadable_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(SampleUnreadable, match=r"absent\.csv: the ground truth cannot be read"):
        read_ground_truth(tmp_path / "absent.csv", IDS, None)
    (tmp_path / "latin.csv").write_bytes(b"file,label\na.png,\xff\n")
    with pytest.raises(SampleUnreadable, match="cannot be read"):
        read_ground_truth(tmp_path / "latin.csv", IDS, None)


def test_labels_in_an_array(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, y=np.asarray([[4], [2], [3]]), soft=np.zeros((3, 2), int), real=np.zeros(3))
    assert ground_truth_array(path, "y", ["0", "2"]) == {"0": 4, "2": 3}
    with pytest.raises(SampleUnreadable, match="one whole number a sample"):
        ground_truth_array(path, "soft", ["0"])
    with pytest.raises(SampleUnreadable, match="one whole number a sample"):
        ground_truth_array(path, "real", ["0"])
    with pytest.raises(SampleUnreadable, match="without a label: 3"):
        ground_truth_array(path, "y", ["0", "3"])
    with pytest.raises(SampleUnreadable, match="no array 'z'"):
        ground_truth_array(path, "z", ["0"])
